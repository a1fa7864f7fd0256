"""The command that lets a generator bring pictures into the range that it knows."""

from pathlib import Path

from pcfh.files import require_new
from pcfh.methods.familiar import put_familiar_before
from pcfh.methods.files import fits_16_bits, load_generator, save_generator
from pcfh.preparation.training_range import read_range, shipped_range


def models_familiar(out: Path, generator: Path, *, ranges: Path | None = None) -> int:
    """Write a generator that first blurs and brightens pictures unlike its training, without training.

    For cameras that are grainier, sharper or of another contrast than those of the training. Each picture
    gets the mildest change that brings it near; one that is like the training stays as it is.

    Args:
        out: file to write; must not exist.
        generator: generator.safetensors of a training.
        ranges: of its training faces, as python -m bench training_range writes them; if not given, those of
            the built-in sample.
    """
    require_new(out)
    kept, about = load_generator(generator)
    put_familiar_before(kept, shipped_range() if ranges is None else read_range(ranges))
    save_generator(out, kept, about, half=fits_16_bits(kept))
    print(out)
    return 0
