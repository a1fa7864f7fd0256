"""How far one face image lies from another: pixels, structure, colour, and the place of the landmarks.

Images are (row, column, channel), sRGB in [0, 1]; a mask is true where pixels count. Landmarks are the 68
(x, y) points, in pixels, whole numbers at pixel centres. Means over a mask are means over its pixels and the
three channels, all of the same weight. Angles are in degrees.

scikit-image is imported by who measures only: tables are trained on machines that lack it.
"""

import math
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial import ConvexHull, QhullError

from pcfh.errors import UserError
from pcfh.geometry.scheme import LEFT_EYE, MOUTH_CORNERS, NOSE_TIP, RIGHT_EYE

_TOUCHING = 1e-9  # pixels; a point this close to a line counts as on it
_ROUNDING = 1e-6  # how far values may lie outside of [0, 1]
_WINDOW = 11  # taps of the Gaussian window of SSIM
_OUTER_CORNERS = (36, 45)
_EYES_OVER_NOSE = 1.94  # distance of the eye centres over the nose's height, both of an average face


def face_mask(landmarks: Float[np.ndarray, "n 2"], size: int) -> Bool[np.ndarray, "{size} {size}"]:
    """Marks the pixels whose centre lies in the convex hull of the landmarks, or on its border.

    Args:
        landmarks: in pixels of the square image; those outside it count, too. Points on one line enclose
            nothing.
        size: side of the image.
    """
    try:
        lines = ConvexHull(landmarks).equations  # (normal outwards, offset) of each side
    except QhullError:
        return np.zeros((size, size), dtype=bool)
    rows, columns = np.mgrid[:size, :size]
    outside = np.stack([columns, rows], -1) @ lines[:, :2].T + lines[:, 2]
    return np.asarray((outside <= _TOUCHING).all(-1))


def mean_absolute_error(
    a: Float[np.ndarray, "h w 3"], b: Float[np.ndarray, "h w 3"], mask: Bool[np.ndarray, "h w"]
) -> float:
    """The mean of |a - b| over the mask, in [0, 1]; 1/255 is one step of an 8-bit image.

    Raises:
        UserError: images or mask do not fit.
    """
    _require_comparable(a, b, mask)
    return float(np.abs(a - b)[mask].mean())


# The two functions that notebooks use take any array, so that a wrong one gets an answer and no traceback.


def psnr(a: np.ndarray | Any, b: np.ndarray | Any, mask: np.ndarray | Any) -> float:
    """The peak signal-to-noise ratio -10 log10(mean (a - b)^2) over the mask, in dB; infinite if equal.

    Args:
        a: image of floats in [0, 1], (row, column, RGB).
        b: the other one, of the same shape.
        mask: of booleans, (row, column); true where pixels count.

    Raises:
        UserError: images or mask do not fit.
    """
    _require_comparable(a, b, mask)
    if np.array_equal(a[mask], b[mask]):
        return math.inf
    one, other = (image[mask].astype(np.float64) for image in (a, b))
    from skimage.metrics import peak_signal_noise_ratio  # noqa: PLC0415 - see the module

    return float(peak_signal_noise_ratio(one, other, data_range=1.0))


def ssim(a: np.ndarray | Any, b: np.ndarray | Any, mask: np.ndarray | Any) -> float:
    """The mean structural similarity over the mask, at most 1, which only equal images reach.

        SSIM = (2 m_a m_b + C1) (2 s_ab + C2) / ((m_a^2 + m_b^2 + C1) (s_a^2 + s_b^2 + C2))

    Means m, variances s^2 and covariance s_ab are under a Gaussian window of 11 taps and sigma 1.5 whose
    weights sum to one; C1 = 0.01^2 and C2 = 0.03^2, for a data range of 1. The map is computed channel by
    channel on the whole images, mirrored beyond their border, so pixels beyond the mask have a part in it
    within 5 pixels of the mask's border.

    Args:
        a: image of floats in [0, 1], (row, column, RGB), of 11 pixels or more each way.
        b: the other one, of the same shape.
        mask: of booleans, (row, column); true where pixels count.

    Raises:
        UserError: images or mask do not fit.

    Reference: Z. Wang, A. C. Bovik, H. R. Sheikh and E. P. Simoncelli, "Image quality assessment: from error
        visibility to structural similarity", IEEE TIP 2004.
    """
    _require_comparable(a, b, mask)
    if min(a.shape[:2]) < _WINDOW:
        raise UserError(f"expected images of {_WINDOW} pixels or more each way, got {_size(a)}; enlarge both")
    from skimage.metrics import structural_similarity  # noqa: PLC0415 - see the module

    _, similarity = structural_similarity(
        a.astype(np.float64),
        b.astype(np.float64),
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1.0,
        channel_axis=2,
        full=True,
    )
    return float(similarity[mask].mean())


def colour_difference(
    a: Float[np.ndarray, "h w 3"], b: Float[np.ndarray, "h w 3"], mask: Bool[np.ndarray, "h w"]
) -> float:
    """The mean CIEDE2000 over the mask, e.g. of the skin; 0 for equal colours, 1 is about what is just seen.

    Raises:
        UserError: images or mask do not fit.
    """
    _require_comparable(a, b, mask)
    from skimage.color import deltaE_ciede2000, rgb2lab  # noqa: PLC0415 - see the module

    return float(deltaE_ciede2000(rgb2lab(a[mask]), rgb2lab(b[mask])).mean())


def landmark_distance(
    a: Float[np.ndarray, "68 2"], b: Float[np.ndarray, "68 2"], part: slice = slice(None)
) -> float:
    """The mean distance of the 68 points, or of a part, over the outer inter-ocular distance of ``a``.

    Not symmetric: exchanged, the same distance is divided by the other face's eye distance (points 36 and
    45). Give the face that is the measure first; distances are comparable if they share it.
    """
    left, right = a[list(_OUTER_CORNERS)]
    return float(np.hypot(*(a - b)[part].T).mean() / np.hypot(*(right - left)))


def yaw(landmarks: Float[np.ndarray, "68 2"]) -> float:
    """Estimates how far a face is turned, in degrees from -90 to 90; positive with the nose to the right.

        tan(yaw) = 1.94 o / e

    with e the distance of the eye centres, and o how far the tip of the nose (point 30) lies to the right of
    the middle between eyes and mouth, along the line of the eyes. Under parallel projection e shrinks with
    the cosine of the turn and o grows with the sine of it times the height of the nose above the plane of
    eyes and mouth. 1.94 is the ratio of both for an average face; for a person whose nose is 10 % longer,
    tan(yaw) comes out 10 % larger. Roll, scale and place do not matter; a pitch of 15 degrees makes the
    estimate about a tenth smaller.
    """
    points = landmarks.astype(np.float64)
    left, right = points[LEFT_EYE].mean(0), points[RIGHT_EYE].mean(0)
    middle = ((left + right) / 2 + points[MOUTH_CORNERS].mean(0)) / 2
    along = right - left
    offset = (points[NOSE_TIP] - middle) @ along
    return math.degrees(math.atan2(_EYES_OVER_NOSE * offset, along @ along))


def yaw_error(a: Float[np.ndarray, "68 2"], b: Float[np.ndarray, "68 2"]) -> float:
    """How far the estimated yaw of two faces differs, in degrees, not negative."""
    return abs(yaw(a) - yaw(b))


def _require_comparable(a: np.ndarray | Any, b: np.ndarray | Any, mask: np.ndarray | Any) -> None:
    """Refuses what is no pair of images in [0, 1] with a mask over which there is a mean."""
    strange = [type(one).__name__ for one in (a, b, mask) if not isinstance(one, np.ndarray)]
    if strange:
        raise UserError(f"expected three arrays, got {', '.join(strange)}; make them by np.asarray")
    for name, image in (("a", a), ("b", b)):
        if not np.issubdtype(image.dtype, np.floating):
            raise UserError(
                f"{name}: expected an image of floats in [0, 1], got {image.dtype}; divide by 255"
            )
        if image.ndim != 3 or image.shape[2] != 3:
            raise UserError(
                f"{name}: expected an image (row, column, RGB), got the shape {image.shape}; repeat the "
                "channel of a grey one three times"
            )
    if a.shape != b.shape or mask.shape != a.shape[:2] or mask.dtype != bool:
        raise UserError(
            f"expected two images and a mask of booleans of one size, got {_size(a)}, {_size(b)} "
            f"and a mask of {mask.dtype} of {_size(mask)}"
        )
    if not mask.any():
        raise UserError(
            "expected a mask with at least one pixel, got an empty one; "
            "check that the landmarks are in pixels of this image"
        )
    low, high = min(a.min(), b.min()), max(a.max(), b.max())
    if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):
        raise UserError(
            f"expected values in [0, 1], got {low:.4g} to {high:.4g}; divide 8-bit values by 255, and bring "
            "a network's [-1, 1] there by (x + 1) / 2"
        )


def _size(image: np.ndarray) -> str:
    return " x ".join(map(str, image.shape[:2]))
