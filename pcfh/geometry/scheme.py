"""The 68 landmarks of Multi-PIE / iBUG: which is what, and which takes the place of which in a mirror.

Left and right are those of the image. Points are (x, y) in pixels, whole numbers at pixel centres.
"""

JAW = slice(0, 17)
LEFT_BROW, RIGHT_BROW = slice(17, 22), slice(22, 27)
NOSE, NOSE_TIP = slice(27, 36), 30
LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)
EYES = slice(36, 48)
MOUTH, MOUTH_CORNERS = slice(48, 68), [48, 54]
LIPS = slice(48, 60)  # their outline
INNER = slice(17, 68)  # brows, nose, eyes and mouth: the jaw may well lie outside a picture

# Which landmark of a face becomes each landmark of the mirrored face.
MIRRORED = [
    *range(16, -1, -1),
    *range(26, 16, -1),
    *range(27, 31),
    *range(35, 30, -1),
    *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),
    *range(54, 47, -1),
    *range(59, 54, -1),
    *range(64, 59, -1),
    *range(67, 64, -1),
]
