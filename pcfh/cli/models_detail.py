"""The command that lets a generator keep some of the person's own detail."""

from pathlib import Path

from pcfh.errors import UserError
from pcfh.files import require_new
from pcfh.methods.files import fits_16_bits, load_generator, save_generator
from pcfh.methods.pcfh.generator import Generator, with_detail


def models_detail(out: Path, generator: Path, *, share: float = 0.5, zoom: int = 2) -> int:
    """Write a generator that takes fine detail in part from the near-infrared image, without training.

    What is finer than the generator's own pixels comes from the near-infrared image alone, so its pictures
    may be larger than those it was trained on.

    Args:
        out: file to write; must not exist.
        generator: generator.safetensors of a training of pcfh.
        share: of the input's detail, from 0.01 to 1; 0 with --zoom 1 takes it off, for another training.
        zoom: by how much its pictures are larger than those of the training.
    """
    require_new(out)
    if not 0.01 <= share <= 1 and (share, zoom) != (0, 1):
        raise UserError(f"--share {share:g}: expected 0.01 to 1, or 0 with --zoom 1, which takes detail off")
    kept, about = load_generator(generator)
    if not isinstance(kept, Generator):
        raise UserError(f"{generator}: expected a generator of the method pcfh, got another one")
    save_generator(out, with_detail(kept, share, zoom), about, half=fits_16_bits(kept))
    print(out)
    return 0
