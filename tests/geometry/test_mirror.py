import torch

from pcfh.geometry.mirror import mirror_points
from pcfh.geometry.scheme import MIRRORED
from pcfh.geometry.warp import inverse_distance_warp


def test_every_landmark_has_one_partner_and_the_partner_points_back():
    assert sorted(MIRRORED) == list(range(68))
    assert [MIRRORED[MIRRORED[i]] for i in range(68)] == list(range(68))


def test_the_points_on_the_middle_line_are_their_own_partners():
    assert [i for i in range(68) if MIRRORED[i] == i] == [8, 27, 28, 29, 30, 33, 51, 57, 62, 66]


def test_the_eyes_swap_corner_by_corner():
    assert [MIRRORED[i] for i in (36, 37, 38, 39, 40, 41)] == [45, 44, 43, 42, 47, 46]


def test_mirroring_twice_gives_the_face_back():
    landmarks = torch.rand(2, 68, 2) * 63
    torch.testing.assert_close(mirror_points(mirror_points(landmarks, 64), 64), landmarks)


def test_warping_mirrored_faces_is_mirroring_the_warped_face():
    image = torch.rand(1, 3, 64, 64)
    p, q = torch.rand(1, 68, 2) * 63, torch.rand(1, 68, 2) * 63
    mirrored = inverse_distance_warp(image.flip(-1), mirror_points(p, 64), mirror_points(q, 64))
    torch.testing.assert_close(mirrored.flip(-1), inverse_distance_warp(image, p, q), atol=1e-4, rtol=1e-4)
