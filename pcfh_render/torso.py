"""The form of shoulders and chest under clothes, as profiles around the neck.

Head coordinates of the mean head (``params.py``), centimetres. Angles around the neck are in degrees, 0 in
front, 90 at the person's left, 180 behind. Axis letters: r rows from the neck down, a angles.
"""

import numpy as np
from jaxtyping import Float

# Profiles of the body at five angles: distance from the axis of the neck, and height, from the neck down.
AXIS_Z = -1.8
_OUT = np.array(
    [
        [6.2, 7.4, 9.0, 10.6, 11.3, 11.8],
        [6.6, 9.4, 12.5, 15.0, 16.2, 16.6],
        [7.0, 11.5, 16.5, 19.8, 21.2, 21.6],
        [6.4, 9.6, 12.8, 14.6, 15.2, 15.4],
        [5.8, 7.6, 9.0, 9.8, 10.0, 9.8],
    ]
)
_DOWN = np.array(
    [
        [-14.2, -16.0, -18.5, -22.5, -28.0, -36.0],
        [-13.4, -14.8, -16.8, -20.5, -27.0, -36.0],
        [-12.0, -13.6, -15.2, -17.6, -24.0, -36.0],
        [-11.6, -13.2, -15.2, -18.6, -25.0, -36.0],
        [-11.2, -13.2, -16.0, -20.0, -27.0, -36.0],
    ]
)


def torso_profile(at: Float[np.ndarray, "r a"], angle: Float[np.ndarray, " a"]) -> Float[np.ndarray, "r a 3"]:
    """Points of the body's profiles; whole numbers in ``at`` are the columns of the tables."""
    turn = np.minimum(angle % 360, 360 - angle % 360)
    # A cosine between the tabled angles keeps the surface smooth across them.
    left = np.clip((turn // 45).astype(int), 0, 3)
    part = (1 - np.cos(np.pi * (turn - 45 * left) / 45)) / 2 * 0.5 + 0.5 * (turn - 45 * left) / 45
    dense = np.linspace(0, 5, 51)
    out, down = (_rounded(table) for table in (_OUT, _DOWN))
    found = []
    for table in (out, down):
        columns = table[left] * (1 - part)[:, None] + table[left + 1] * part[:, None]
        found.append(np.stack([np.interp(at[:, k], dense, columns[k]) for k in range(len(angle))], -1))
    radians = np.radians(angle)
    return np.stack([found[0] * np.sin(radians), found[1], found[0] * np.cos(radians) + AXIS_Z], -1)


def _rounded(table: Float[np.ndarray, "5 6"]) -> Float[np.ndarray, "5 51"]:
    """Profiles with their corners rounded off."""
    dense = np.stack([np.interp(np.linspace(0, 5, 51), np.arange(6), row) for row in table])
    padded = np.pad(dense, ((0, 0), (4, 4)), mode="reflect", reflect_type="odd")
    return np.stack([np.convolve(row, np.full(9, 1 / 9), "valid") for row in padded])
