import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from pcfh.evaluation.colour import ciede2000, srgb_to_lab

# L*, a*, b* of two colours and their difference: the published test data of Sharma, Wu and Dalal (2005)
SHARMA = np.array(
    [
        [50, 2.6772, -79.7751, 50, 0, -82.7485, 2.0425],
        [50, 3.1571, -77.2803, 50, 0, -82.7485, 2.8615],
        [50, 2.8361, -74.0200, 50, 0, -82.7485, 3.4412],
        [50, -1.3802, -84.2814, 50, 0, -82.7485, 1.0000],
        [50, -1.1848, -84.8006, 50, 0, -82.7485, 1.0000],
        [50, -0.9009, -85.5211, 50, 0, -82.7485, 1.0000],
        [50, 0, 0, 50, -1, 2, 2.3669],
        [50, -1, 2, 50, 0, 0, 2.3669],
        [50, 2.4900, -0.0010, 50, -2.4900, 0.0009, 7.1792],
        [50, 2.4900, -0.0010, 50, -2.4900, 0.0010, 7.1792],
        [50, 2.4900, -0.0010, 50, -2.4900, 0.0011, 7.2195],
        [50, 2.4900, -0.0010, 50, -2.4900, 0.0012, 7.2195],
        [50, -0.0010, 2.4900, 50, 0.0009, -2.4900, 4.8045],
        [50, -0.0010, 2.4900, 50, 0.0010, -2.4900, 4.8045],
        [50, -0.0010, 2.4900, 50, 0.0011, -2.4900, 4.7461],
        [50, 2.5, 0, 50, 0, -2.5, 4.3065],
        [50, 2.5, 0, 73, 25, -18, 27.1492],
        [50, 2.5, 0, 61, -5, 29, 22.8977],
        [50, 2.5, 0, 56, -27, -3, 31.9030],
        [50, 2.5, 0, 58, 24, 15, 19.4535],
        [50, 2.5, 0, 50, 3.1736, 0.5854, 1.0000],
        [50, 2.5, 0, 50, 3.2972, 0, 1.0000],
        [50, 2.5, 0, 50, 1.8634, 0.5757, 1.0000],
        [50, 2.5, 0, 50, 3.2592, 0.3350, 1.0000],
        [60.2574, -34.0099, 36.2677, 60.4626, -34.1751, 39.4387, 1.2644],
        [63.0109, -31.0961, -5.8663, 62.8187, -29.7946, -4.0864, 1.2630],
        [61.2901, 3.7196, -5.3901, 61.4292, 2.2480, -4.9620, 1.8731],
        [35.0831, -44.1164, 3.7933, 35.0232, -40.0716, 1.5901, 1.8645],
        [22.7233, 20.0904, -46.6940, 23.0331, 14.9730, -42.5619, 2.0373],
        [36.4612, 47.8580, 18.3852, 36.2715, 50.5065, 21.2231, 1.4146],
        [90.8027, -2.0831, 1.4410, 91.1528, -1.6435, 0.0447, 1.4441],
        [90.9257, -0.5406, -0.9208, 88.6381, -0.8985, -0.7239, 1.5381],
        [6.7747, -0.2908, -2.4247, 5.8714, -0.0985, -2.2286, 0.6377],
        [2.0776, 0.0795, -1.1350, 0.9033, -0.0636, -0.5514, 0.9082],
    ]
)


def colours(seed=0):
    return np.random.default_rng(seed).uniform((0, -90, -90), (100, 90, 90), (5000, 3))


class TestCiede2000:
    @pytest.mark.parametrize("row", SHARMA, ids=range(1, 35))
    def test_equals_the_published_test_data(self, row):
        assert ciede2000(row[None, :3], row[None, 3:6])[0] == pytest.approx(row[6], abs=5e-5)

    def test_equals_scikit_image(self):
        a, b = colours(0), colours(1)
        assert np.allclose(ciede2000(a, b), deltaE_ciede2000(a, b), rtol=0, atol=1e-9)

    def test_is_symmetric(self):
        a, b = colours(0), colours(1)
        assert np.allclose(ciede2000(a, b), ciede2000(b, a), rtol=0, atol=1e-9)

    def test_of_equal_colours_is_zero(self):
        assert np.array_equal(ciede2000(colours(), colours()), np.zeros(5000))

    def test_of_greys_near_the_middle_is_nearly_the_difference_in_lightness(self):
        assert ciede2000(np.array([[49.5, 0, 0]]), np.array([[50.5, 0, 0]]))[0] == pytest.approx(1)


class TestSrgbToLab:
    def test_of_white_is_the_white_point(self):
        assert srgb_to_lab(np.ones(3)) == pytest.approx([100, 0, 0], abs=1e-9)

    def test_of_black_is_black(self):
        assert srgb_to_lab(np.zeros(3)) == pytest.approx([0, 0, 0], abs=1e-9)

    def test_of_greys_has_no_colour(self):
        greys = np.linspace(0, 1, 50)[:, None] * np.ones(3)
        assert np.allclose(srgb_to_lab(greys)[:, 1:], 0, atol=1e-9)

    def test_of_the_primaries_are_the_published_ones(self):
        expected = [[53.24, 80.09, 67.20], [87.73, -86.18, 83.18], [32.30, 79.19, -107.86]]
        assert np.allclose(srgb_to_lab(np.eye(3)), expected, atol=0.01)

    def test_equals_scikit_image_to_the_digits_of_its_matrix(self):
        image = np.random.default_rng(0).random((50, 60, 3))
        assert np.allclose(srgb_to_lab(image), rgb2lab(image), rtol=0, atol=0.02)
