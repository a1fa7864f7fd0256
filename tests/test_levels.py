"""One exposure for all NIR faces: what moves it, and what does not."""

import pytest
import torch

from pcfh.errors import UserError
from pcfh.geometry.align import align_face
from pcfh.images import read_image
from pcfh.landmarks.given import read_landmarks
from pcfh.levels import MOST_GAIN, SKIN, has_levels, levelled, put_levels_before, skin_grey
from pcfh.methods.average import mean_generator
from pcfh.methods.files import load_generator, save_generator
from pcfh.methods.pcfh.generator import Generator
from pcfh.ranges import from_bytes
from tests.small_database import SAMPLE

SIZE = 128


@pytest.fixture(scope="module")
def face():
    """A NIR capture of the sample, aligned, and its landmarks."""
    source = min((SAMPLE / "s1/NIR").rglob("*.jpg"))
    name = source.relative_to(SAMPLE).with_suffix("").as_posix().lower()
    crop, landmarks = align_face(read_image(source), read_landmarks(SAMPLE / "landmarks68.csv")[name], SIZE)
    nir = from_bytes(torch.from_numpy(crop.copy()).permute(2, 0, 1)[None]).mean(1, keepdim=True)
    return nir.expand(-1, 3, -1, -1), torch.from_numpy(landmarks)[None].float()


def darker(nir, factor):
    return factor * (nir + 1) - 1


@pytest.mark.parametrize("stops", [1, 2, 3])
def test_the_exposure_of_the_capture_does_not_matter(face, stops):
    nir, landmarks = face
    dark = darker(nir, 0.5**stops)
    assert torch.allclose(levelled(dark, landmarks), levelled(nir, landmarks), atol=1e-5)
    assert torch.isclose(skin_grey(levelled(dark, landmarks), landmarks), torch.tensor(SKIN), atol=1e-3)


def test_lamp_glints_margin_and_black_surroundings_do_not_move_it(face):
    nir, landmarks = face
    before = skin_grey(nir, landmarks)
    spoilt = nir.clone()
    spoilt[..., :24, :24] = 1  # a lamp
    for eye in (slice(36, 42), slice(42, 48)):  # glints on glasses
        x, y = landmarks[0, eye].mean(0).long().tolist()
        spoilt[..., y - 6 : y + 6, x - 9 : x + 9] = 1
    spoilt[..., -10:] = 1  # a white margin
    spoilt[..., :8, 30:] = -1
    assert torch.isclose(skin_grey(spoilt, landmarks), before, rtol=0.05)


def test_levels_twice_are_levels_once(face):
    once = levelled(*face)
    assert torch.allclose(levelled(once, face[1]), once, atol=1e-3)


def test_a_black_picture_stays_black_and_finite(face):
    black = torch.full_like(face[0], -1)
    assert torch.equal(levelled(black, face[1]), black)
    grey = darker(face[0], 1e-3)
    assert torch.allclose(levelled(grey, face[1]) + 1, MOST_GAIN * (grey + 1), atol=1e-5)


def test_generator_levels_what_it_is_given_and_its_file_remembers(face, tmp_path):
    torch.manual_seed(0)
    generator = Generator(size=SIZE, width=4, blocks=1, local_blocks=1).eval()
    plain = generator(levelled(*face), face[1])
    put_levels_before(generator)
    put_levels_before(generator)  # once is enough
    save_generator(tmp_path / "levels.safetensors", generator, {})
    again, _ = load_generator(tmp_path / "levels.safetensors")
    assert has_levels(again)
    for network in (generator, again):
        assert torch.allclose(network(darker(face[0], 0.25), face[1]), plain, atol=1e-4)


def test_no_mean_of_weights_with_and_without_levels(tmp_path):
    generator = Generator(size=SIZE, width=4, blocks=1, local_blocks=1)
    save_generator(tmp_path / "plain.safetensors", generator, {})
    put_levels_before(generator)
    save_generator(tmp_path / "levels.safetensors", generator, {})
    with pytest.raises(UserError, match=r"training\.levels"):
        mean_generator([tmp_path / "plain.safetensors", tmp_path / "levels.safetensors"])
