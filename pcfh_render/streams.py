"""Random numbers that belong to something: the same wherever and in whatever order they are drawn."""

import zlib

import numpy as np


def generator(what: str, *numbers: int) -> np.random.Generator:
    """A generator for one thing.

    Args:
        what: kind of thing; different kinds with equal numbers have nothing in common.
        numbers: which one, below 2^32 each.
    """
    # The length stands in front because SeedSequence takes (1, 2) and (1, 2, 0) for the same.
    words = (zlib.crc32(what.encode()), len(numbers), *numbers)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))
