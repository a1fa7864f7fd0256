"""The command that averages the weights of generators."""

from pathlib import Path

from pcfh.files import require_new
from pcfh.methods.average import mean_generator
from pcfh.methods.files import save_generator


def models_average(out: Path, *generators: Path) -> int:
    """Write a generator with the mean of the weights of several whose trainings began with the same weights.

    The mean is often better than each of them. A file named twice counts twice.

    Args:
        out: file to write, e.g. mean.safetensors; must not exist.
        generators: two or more generator.safetensors.
    """
    require_new(out)
    generator, about = mean_generator(generators)
    save_generator(out, generator, about)
    print(out)
    return 0
