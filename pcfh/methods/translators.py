"""The networks that a run may be for: each turns (NIR images, landmarks) into VIS images.

A translator has a ``size``, the side of its images in pixels, and ``arguments``, with which its class builds
the same network again. A generator file names its kind.
"""

from collections.abc import Mapping

from pcfh.methods.cyclegan import ResidualGenerator
from pcfh.methods.pcfh.generator import Generator
from pcfh.methods.pix2pix import UNetGenerator

Translator = Generator | UNetGenerator | ResidualGenerator

KINDS: Mapping[str, type[Translator]] = {
    "pcfh": Generator,
    "pix2pix": UNetGenerator,
    "cyclegan": ResidualGenerator,
}


def kind_of(translator: Translator) -> str:
    """The kind of a network, as generator files name it."""
    return next(kind for kind, network in KINDS.items() if isinstance(translator, network))
