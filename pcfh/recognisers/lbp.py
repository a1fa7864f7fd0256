"""Local binary patterns: the feature of faces before deep networks, for rivals of that time.

Uniform patterns of eight neighbours on circles of radius 1, 3, 5 and 7, counted in cells of 16 x 16 pixels:
8 x 8 cells x 59 patterns x 4 radii = 15,104 numbers. Square roots of the shares are taken, so that unit
vectors come out and their product is Bhattacharyya's coefficient of the histograms.

Images are grey, 0 to 255, 128 x 128. Axis letters: b batch.

Reference:
    Ojala, Pietikainen and Maenpaa, "Multiresolution gray-scale and rotation invariant texture classification
    with local binary patterns", IEEE TPAMI 2002
"""

import numpy as np
from jaxtyping import Float32, UInt8
from skimage.feature import local_binary_pattern

RADII, CELL, NEIGHBOURS, PATTERNS = (1, 3, 5, 7), 16, 8, 59


def lbp_features(faces: UInt8[np.ndarray, "b 128 128"]) -> Float32[np.ndarray, "b 15104"]:
    """Unit histograms of patterns."""
    return np.stack([_one(face) for face in faces])


def _one(face: UInt8[np.ndarray, "128 128"]) -> Float32[np.ndarray, " 15104"]:
    place = np.arange(len(face)) // CELL
    cells = len(face) // CELL
    first = (place[:, None] * cells + place) * PATTERNS  # bin of each pixel's cell
    counts = [
        np.bincount(
            (first + local_binary_pattern(face, NEIGHBOURS, radius, "nri_uniform").astype(int)).ravel(),
            minlength=cells**2 * PATTERNS,
        )
        for radius in RADII
    ]
    return np.sqrt(np.concatenate(counts) / (len(RADII) * face.size)).astype(np.float32)
