"""What a generated face keeps of what was in the picture: irises, frames of glasses, surroundings.

Images are (row, column, RGB), sRGB in [0, 1]; a mask is true where pixels count, and lies on its images. All
colours are in CIELAB. What ``pcfh.evaluation.image_metrics`` says of scikit-image holds here, too.

Axis letters: h and w of an image.
"""

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import binary_erosion, gaussian_filter

_AROUND = 1 / 32  # of the side: how wide the surroundings of a frame's pixel are, as a Gaussian's sigma
_BORDER = 1 / 64  # of the side: how near to a border colours of both sides are mixed


def unequal_eyes(
    image: Float[np.ndarray, "h w 3"], left: Bool[np.ndarray, "h w"], right: Bool[np.ndarray, "h w"]
) -> float:
    """CIEDE2000 between the median colours of two irises; glints do not move it.

    Args:
        image: a face.
        left: pixels of one iris, at least one.
        right: of the other.
    """
    from skimage.color import deltaE_ciede2000  # noqa: PLC0415 - see the module

    one, other = (np.median(_lab(image[iris]), axis=0) for iris in (left, right))
    return float(deltaE_ciede2000(one, other))


def frame_kept(
    generated: Float[np.ndarray, "h w 3"], truth: Float[np.ndarray, "h w 3"], frame: Bool[np.ndarray, "h w"]
) -> float:
    """How much of the contrast of a frame of glasses is there, and no more; 1 where it is the truth's.

        2 sum c_g c_t / (sum c_g^2 + sum c_t^2)

    c is the colour of a pixel of the frame less the mean of what lies around it and is no frame, weighted by
    a Gaussian. A frame that was replaced by its surroundings gives 0, one of half the contrast 0.8, one of
    which half is missing 0.67, one that is bright in the place of dark less than 0.

    Args:
        generated: a face.
        truth: the same as it should be.
        frame: pixels of the frame, not all.
    """
    made, true = (_contrast(image, frame) for image in (generated, truth))
    total = (made**2).sum() + (true**2).sum()
    return float(2 * (made * true).sum() / total) if total else 1.0


def skin_coloured(
    image: Float[np.ndarray, "h w 3"], skin: Bool[np.ndarray, "h w"]
) -> Bool[np.ndarray, "h w"]:
    """Marks the pixels that have the hue and the chroma of a person's own skin, at any lightness.

    In the plane of a* and b* they are less far from the median of the skin than half as far as grey is. So no
    grey pixel is, and none of a face without colour.

    Args:
        image: a face.
        skin: pixels of its skin, at least one.
    """
    colours = _lab(image)[..., 1:]
    own = np.median(colours[skin], axis=0)
    return np.asarray(np.hypot(*np.moveaxis(colours - own, -1, 0)) < np.hypot(*own) / 2)


def painted_skin(
    generated: Float[np.ndarray, "h w 3"],
    truth: Float[np.ndarray, "h w 3"],
    skin: Bool[np.ndarray, "h w"],
    surroundings: Bool[np.ndarray, "h w"],
) -> float:
    """The share of the surroundings, in [0, 1], that has the colour of skin where it has another in truth.

    Each image is measured by its own skin, so a face of another tone than the truth's is no matter.

    Args:
        generated: a face.
        truth: the same as it should be.
        skin: pixels that are skin, at least one.
        surroundings: pixels that are neither face, hair nor body, at least one; see ``away_from_borders``.
    """
    painted, true = (skin_coloured(image, skin)[surroundings] for image in (generated, truth))
    return float((painted & ~true).mean())


def away_from_borders(mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """A mask without the pixels near its borders, where colours are mixed; the image's border is none."""
    steps = max(1, round(len(mask) * _BORDER))
    return np.asarray(binary_erosion(mask, iterations=steps, border_value=1))


def _contrast(image: Float[np.ndarray, "h w 3"], frame: Bool[np.ndarray, "h w"]) -> Float[np.ndarray, "n 3"]:
    """The colour of each pixel of a frame less that of what lies around it."""
    colours, around = _lab(image), (~frame)[..., None].astype(np.float64)
    sigma = len(frame) * _AROUND
    weighted, weight = (gaussian_filter(x, (sigma, sigma, 0))[frame] for x in (colours * around, around))
    return np.asarray(colours[frame] - weighted / weight)


def _lab(image: Float[np.ndarray, "... 3"]) -> Float[np.ndarray, "... 3"]:
    """In CIELAB, D65."""
    from skimage.color import rgb2lab  # noqa: PLC0415 - see the module

    return np.asarray(rgb2lab(image))
