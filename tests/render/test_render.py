"""Facts about pictures, on a face model made of formulas."""

from dataclasses import replace

import numpy as np
import pytest

from pcfh_render.camera import SAMPLES, averaged, project, rays, turn
from pcfh_render.difficulty import difficulty_of
from pcfh_render.params import Camera, Lamp, Shot
from pcfh_render.sampling import draw_look, draw_person
from pcfh_render.shots import draw_shots

SIZE = 96
CAMERA = Camera(
    distance=90.0,
    height=31.0,
    shift=(0.0, 0.0),
    exposure=1.0,
    balance=(1.0, 1.0, 1.0),
    blur=0.3,
    read_noise=0.0,
    shot_noise=0.0,
    jpeg=95,
)
FLASH = Lamp(kind="point", position=(0.0, 3.0, 90.0), colour=(0.0, 0.0, 0.0, 1.0), radius=0.5)
SUN = Lamp(kind="distant", position=(1.0, 0.3, 0.4), colour=(1.0, 1.0, 1.0, 0.0), radius=0.05)


def shot(modality="NIR", **changes) -> Shot:
    plain = Shot(
        modality=modality,
        seed=5,
        expression="neutral",
        weights=(),
        yaw=0.0,
        pitch=0.0,
        roll=0.0,
        glasses=False,
        lamps=(FLASH,) if modality == "NIR" else (SUN,),
        background=(0.5, 0.5, 0.5, 0.5),
        background_light=0.02 if modality == "NIR" else 0.5,
        camera=CAMERA,
    )
    return replace(plain, **changes)


@pytest.fixture(scope="module")
def person():
    return draw_person(7, 1)


@pytest.fixture(scope="module")
def look(person):
    return draw_look(person, 1)


@pytest.fixture(scope="module")
def take(renderer, person, look):
    def take(*shots, person=person, look=look):
        return list(renderer.portraits(person, look, shots))

    return take


def luma(image):
    return image.astype(float).mean(2)


def face_of(portrait):
    """Mean brightness between eyes and mouth."""
    (x0, y0), (x1, y1) = portrait.landmarks[31:36].min(0), portrait.landmarks[48:55].max(0)
    return luma(portrait.image)[int(y0) : int(y1), int(x0) : int(x1)].mean()


def test_a_nir_capture_is_grey_and_has_its_truth(take):
    (portrait,) = take(shot())
    assert (portrait.image == portrait.image[..., :1]).all()
    assert portrait.truth.shape == (SIZE, SIZE, 3)
    assert np.ptp(portrait.truth.astype(int), axis=2).max() > 20


def test_a_vis_capture_has_no_truth(take):
    (portrait,) = take(shot("VIS"))
    assert portrait.truth is None
    assert np.ptp(portrait.image.astype(int), axis=2).max() > 20


def test_the_same_shot_gives_the_same_bytes(take):
    first, second = take(shot(), shot())
    assert (first.image == second.image).all()
    assert (first.truth == second.truth).all()


def test_the_landmarks_are_those_of_the_truth_whatever_the_lamps(take):
    bright, dark = take(shot(), shot(lamps=(replace(FLASH, colour=(0.0, 0.0, 0.0, 0.2)),)))
    assert (bright.landmarks == dark.landmarks).all()
    assert (bright.truth == dark.truth).all()
    assert face_of(dark) < 0.7 * face_of(bright)


def test_a_positive_yaw_moves_the_nose_to_the_right_of_the_image(take):
    left, ahead, right = take(shot(yaw=-30.0), shot(), shot(yaw=30.0))
    tip = [
        portrait.landmarks[30, 0] - portrait.landmarks[[36, 45], 0].mean()
        for portrait in (left, ahead, right)
    ]
    assert tip[0] < -3
    assert abs(tip[1]) < 0.5
    assert tip[2] > 3


def test_a_positive_pitch_lifts_the_nose(take):
    ahead, up = take(shot(), shot(pitch=20.0))
    assert up.landmarks[30, 1] - up.landmarks[36, 1] < ahead.landmarks[30, 1] - ahead.landmarks[36, 1] - 1


def test_a_positive_roll_turns_the_eye_line_clockwise(take):
    (tilted,) = take(shot(roll=12.0))
    (x0, y0), (x1, y1) = tilted.landmarks[[36, 45]]
    assert np.degrees(np.arctan2(y1 - y0, x1 - x0)) == pytest.approx(12, abs=1)


def test_light_from_the_right_of_the_image_leaves_the_left_dark(take):
    (portrait,) = take(shot("VIS"))
    middle, (top, bottom) = int(portrait.landmarks[30, 0]), (50, 62)
    bright = luma(portrait.image)[top:bottom, middle + 6 : middle + 16].mean()
    assert luma(portrait.image)[top:bottom, middle - 16 : middle - 6].mean() < 0.6 * bright


def test_twice_the_distance_gives_a_quarter_of_the_flash(take):
    """Before the transfer curve; the lamp stands twice as far from the face, with the same power."""
    near, far = take(
        shot(),
        shot(lamps=(replace(FLASH, position=(0.0, 6.0, 180.0), colour=(0.0, 0.0, 0.0, 0.25)),)),
    )

    def linear(portrait):
        return ((face_of(portrait) / 255 + 0.055) / 1.055) ** 2.4

    assert linear(far) / linear(near) == pytest.approx(0.25, abs=0.06)


def test_dark_and_light_skin_are_closer_in_nir_than_in_vis(renderer, person, look):
    dark, light = (replace(person, melanin=m, freckles=0.0, moles=()) for m in (0.35, 0.02))
    plain = replace(look, tan=1.0)
    nir, vis = [], []
    for who in (dark, light):
        vis.append(face_of(next(renderer.portraits(who, plain, [shot("VIS")]))))
        nir.append(face_of(next(renderer.portraits(who, plain, [shot()]))))
    assert nir[1] / nir[0] < 0.6 * vis[1] / vis[0]


def test_noise_follows_the_seed_of_the_shot(take):
    noisy = replace(CAMERA, read_noise=0.02)
    first, second = take(shot(camera=noisy), shot(camera=noisy, seed=6))
    assert (first.image != second.image).mean() > 0.3
    assert (first.landmarks == second.landmarks).all()


def test_drawn_captures_show_a_face_inside_the_picture(renderer):
    person = draw_person(3, 2)
    look = draw_look(person, 1)
    shots = draw_shots(person, look, difficulty=difficulty_of("casia"), nir=2, vis=2)
    for portrait in renderer.portraits(person, look, shots):
        inner = portrait.landmarks[17:]
        assert (inner > 0).all()
        assert (inner < SIZE).all()
        assert 20 < face_of(portrait) < 250


def test_a_capture_is_the_same_with_and_without_its_true_image(renderer, person, look):
    whole, alone = (next(renderer.portraits(person, look, [shot()], truth=truth)) for truth in (True, False))
    assert whole.truth is not None
    assert alone.truth is None
    assert (whole.image == alone.image).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_pixel_is_the_mean_of_its_samples(channels):
    samples = np.random.default_rng(0).uniform(size=(48, 2, 48, 2, channels)).astype(np.float32)
    planes = np.ascontiguousarray(samples.reshape(-1, channels).T)
    assert np.allclose(averaged(planes, 48), samples.mean((1, 3)), rtol=1e-6)


def test_rays_of_a_pixel_meet_where_its_points_are_projected():
    size = 8
    directions = rays(CAMERA, size * SAMPLES)
    points = np.array([0, 0, CAMERA.distance]) + directions * 70.0
    there = project(points.astype(float), CAMERA, size).reshape(size, SAMPLES, size, SAMPLES, 2).mean((1, 3))
    rows, columns = np.mgrid[:size, :size]
    assert np.allclose(there, np.stack([columns, rows], -1), atol=1e-4)


def test_a_turn_is_a_rotation():
    matrix = turn((20.0, -10.0, 5.0))
    assert np.allclose(matrix @ matrix.T, np.eye(3))
    assert np.linalg.det(matrix) == pytest.approx(1)
