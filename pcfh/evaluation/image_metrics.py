"""How far one face image lies from another: pixels, structure, colour, and the place of the landmarks.

Images are (row, column, channel), sRGB in [0, 1]; a mask is true where pixels count. Landmarks are the 68
(x, y) points, in pixels, whole numbers at pixel centres. Means over a mask are means over its pixels and the
three channels, all of the same weight. Angles are in degrees.
"""

import math

import numpy as np
from jaxtyping import Bool, Float

from pcfh.errors import UserError
from pcfh.evaluation.colour import ciede2000, srgb_to_lab
from pcfh.geometry.scheme import LEFT_EYE, MOUTH_CORNERS, NOSE_TIP, RIGHT_EYE

_TOUCHING = 1e-9  # pixels; a point this close to a line counts as on it
_SIGMA, _RADIUS = 1.5, 5  # of the Gaussian window, in pixels; 11 taps
_K1, _K2 = 0.01, 0.03
_OUTER_CORNERS = (36, 45)
_EYES_OVER_NOSE = 1.94  # distance of the eye centres over the nose's height, both of an average face


def face_mask(landmarks: Float[np.ndarray, "n 2"], size: int) -> Bool[np.ndarray, "{size} {size}"]:
    """Marks the pixels whose centre lies in the convex hull of the landmarks, or on its border.

    The hull is the common part of the half planes that are bounded by a line through two of the points and
    hold all of them.

    Args:
        landmarks: in pixels of the square image; those outside it count, too. Not all on one line.
        size: side of the image.
    """
    points = landmarks.astype(np.float64)
    along = points - points[:, None]  # from the first axis' point to the second's
    length = np.hypot(along[..., 0], along[..., 1])
    inward = along[length > 0][:, ::-1] * (-1, 1) / length[length > 0, None]
    level = (inward * points[np.nonzero(length)[0]]).sum(1) - _TOUCHING
    bounds = (points @ inward.T >= level).all(0)
    low, high = np.floor(points.min(0)), np.ceil(points.max(0)) + 1
    (left, top), (right, bottom) = np.clip([low, high], 0, size).astype(int)
    rows, columns = np.mgrid[top:bottom, left:right]
    pixels = np.stack([columns, rows], -1)
    mask = np.zeros((size, size), dtype=bool)
    mask[top:bottom, left:right] = (pixels @ inward[bounds].T >= level[bounds]).all(-1)
    return mask


def mean_absolute_error(
    a: Float[np.ndarray, "h w 3"], b: Float[np.ndarray, "h w 3"], mask: Bool[np.ndarray, "h w"]
) -> float:
    """The mean of |a - b| over the mask, in [0, 1]; 1/255 is one step of an 8-bit image.

    Raises:
        UserError: the mask is empty.
    """
    _require_pixels(mask)
    return float(np.abs(a - b)[mask].mean())


def psnr(
    a: Float[np.ndarray, "h w 3"], b: Float[np.ndarray, "h w 3"], mask: Bool[np.ndarray, "h w"]
) -> float:
    """The peak signal-to-noise ratio -10 log10(mean (a - b)^2) over the mask, in dB; infinite if equal.

    Raises:
        UserError: the mask is empty.
    """
    _require_pixels(mask)
    error = float(((a.astype(np.float64) - b)[mask] ** 2).mean())
    return -10 * math.log10(error) if error > 0 else math.inf


def colour_difference(
    a: Float[np.ndarray, "h w 3"], b: Float[np.ndarray, "h w 3"], mask: Bool[np.ndarray, "h w"]
) -> float:
    """The mean CIEDE2000 over the mask, e.g. of the skin; 0 for equal colours, 1 is about what is just seen.

    Raises:
        UserError: the mask is empty.
    """
    _require_pixels(mask)
    return float(ciede2000(srgb_to_lab(a[mask]), srgb_to_lab(b[mask])).mean())


def ssim(
    a: Float[np.ndarray, "h w 3"], b: Float[np.ndarray, "h w 3"], mask: Bool[np.ndarray, "h w"]
) -> float:
    """The mean structural similarity over the mask, at most 1, which only equal images reach.

    The map is computed on the whole images, so pixels beyond the mask have a part in it within 5 pixels of
    the mask's border.

    Raises:
        UserError: the mask is empty.
    """
    _require_pixels(mask)
    box = tuple(_stretch(np.asarray(mask.any(axis))) for axis in (1, 0))  # what lies outside changes nothing
    return float(ssim_map(a[box], b[box])[mask[box]].mean())


def ssim_map(a: Float[np.ndarray, "h w 3"], b: Float[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w 3"]:
    """The structural similarity around each pixel, channel by channel.

        SSIM = (2 m_a m_b + C1) (2 s_ab + C2) / ((m_a^2 + m_b^2 + C1) (s_a^2 + s_b^2 + C2))

    Means m, variances s^2 and covariance s_ab are under a Gaussian window of 11 taps and sigma 1.5 whose
    weights sum to one; C1 = 0.01^2 and C2 = 0.03^2, for a data range of 1. Beyond the border the images go on
    mirrored, the border pixels twice.

    Reference: Z. Wang, A. C. Bovik, H. R. Sheikh and E. P. Simoncelli, "Image quality assessment: from error
        visibility to structural similarity", IEEE TIP 2004.
    """
    a, b = a.astype(np.float64), b.astype(np.float64)
    m_a, m_b, m_aa, m_bb, m_ab = (_blurred(image) for image in (a, b, a * a, b * b, a * b))
    C1, C2 = _K1**2, _K2**2
    s_ab = m_ab - m_a * m_b
    s_aa_bb = m_aa - m_a**2 + m_bb - m_b**2
    luminance = (2 * m_a * m_b + C1) / (m_a**2 + m_b**2 + C1)
    return np.asarray(luminance * (2 * s_ab + C2) / (s_aa_bb + C2))


def landmark_distance(a: Float[np.ndarray, "68 2"], b: Float[np.ndarray, "68 2"]) -> float:
    """The mean Euclidean distance of the 68 points over the outer inter-ocular distance of ``a``.

    Not symmetric: exchanged, the same distance is divided by the other face's eye distance (points 36 and
    45). Give the face that is the measure first; distances are comparable if they share it.
    """
    left, right = a[list(_OUTER_CORNERS)]
    return float(np.hypot(*(a - b).T).mean() / np.hypot(*(right - left)))


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


def _blurred(image: Float[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w 3"]:
    """The image's mean under the Gaussian window around each pixel."""
    weights = np.exp(-0.5 * (np.arange(-_RADIUS, _RADIUS + 1) / _SIGMA) ** 2)
    weights /= weights.sum()
    height, width = image.shape[:2]
    wide = np.pad(image, ((_RADIUS, _RADIUS), (_RADIUS, _RADIUS), (0, 0)), mode="symmetric")
    down = sum(weight * wide[tap : tap + height] for tap, weight in enumerate(weights))
    return np.asarray(sum(weight * down[:, tap : tap + width] for tap, weight in enumerate(weights)))


def _stretch(marked: Bool[np.ndarray, " n"]) -> slice:
    """From the first to the last that is marked, and as far on as the Gaussian window reaches."""
    places = np.flatnonzero(marked)
    return slice(max(0, int(places[0]) - _RADIUS), int(places[-1]) + _RADIUS + 1)


def _require_pixels(mask: Bool[np.ndarray, "h w"]) -> None:
    """Refuses a mask over which there is no mean."""
    if not mask.any():
        raise UserError(
            "expected a mask with at least one pixel, got an empty one; "
            "check that the landmarks are in pixels of this image"
        )
