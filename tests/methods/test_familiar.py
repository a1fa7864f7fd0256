"""Each picture is brought into the range of the training by itself, and one inside of it stays as it is."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from sample_faces import four_faces, grainy

from pcfh.cli.models_familiar import models_familiar
from pcfh.errors import UserError
from pcfh.levels import levelled, put_levels_before
from pcfh.methods import familiar
from pcfh.methods.average import mean_generator
from pcfh.methods.familiar import (
    BLURS,
    FAR,
    GAMMAS,
    distances,
    known_range,
    made_familiar,
    mildest,
    put_familiar_before,
)
from pcfh.methods.familiar_input import Correction, corrected
from pcfh.methods.files import as_trained, fits_16_bits, load_generator, save_generator
from pcfh.methods.pcfh.generator import Generator
from pcfh.preparation.training_range import face_measures, read_range, shipped_range, unlikeness
from pcfh.ranges import to_bytes
from pcfh.weight_files import read_weights, write_weights


@pytest.fixture(scope="module")
def faces():
    """Four near-infrared faces of the sample at 128 pixels, with their landmarks there."""
    found = four_faces()
    return found.nir, torch.from_numpy(found.in_crop).float()


def small(**more) -> Generator:
    torch.manual_seed(0)
    return Generator(size=128, width=4, blocks=1, local_blocks=1, **more).eval()


@pytest.mark.parametrize("levels", [False, True])
def test_faces_of_the_training_stay_as_they_are_to_the_bit(faces, levels):
    assert torch.equal(made_familiar(*faces, shipped_range(), levels=levels), faces[0])


@pytest.mark.parametrize("levels", [False, True])
def test_distances_are_those_that_the_table_of_a_batch_tells(faces, levels):
    seen = levelled(grainy(faces[0], 0.3), faces[1]) if levels else grainy(faces[0], 0.3)
    found = distances(seen, faces[1], shipped_range(), levels=levels)
    assert found.shape == (4, len(BLURS) * len(GAMMAS))
    for place in (
        0,
        1,
        7,
        24,
    ):  # the median of a curve is the curve of the median: nearly, since cells are means
        c = Correction(blur=BLURS[place // len(GAMMAS)], gamma=GAMMAS[place % len(GAMMAS)])
        nir = corrected(seen, c)
        crops = to_bytes((levelled(nir, faces[1]) if levels else nir)[:, :1]).permute(0, 2, 3, 1).numpy()
        again = [unlikeness(face_measures(crop, None), shipped_range()).distance for crop in crops]
        assert found[:, place].tolist() == pytest.approx(again, abs=0.03)


def test_grain_is_blurred_and_each_picture_chosen_for_by_itself(faces):
    mixed = torch.cat([faces[0][:2], grainy(faces[0][2:], 0.3)])
    found = made_familiar(mixed, faces[1], shipped_range(), levels=True)
    assert torch.equal(found[:2], mixed[:2])
    before, after = (
        distances(levelled(x, faces[1]), faces[1], shipped_range(), levels=True)[2:, 0]
        for x in (mixed, found)
    )
    assert (before > 1).all()
    assert (after < 0.2).all()
    alone = made_familiar(mixed[2:3], faces[1][2:3], shipped_range(), levels=True)
    torch.testing.assert_close(alone, found[2:3])


def test_a_blurred_face_stays_as_it_is_and_is_not_asked_to_be_sharper(faces):
    soft = corrected(faces[0], Correction(blur=2.5))
    points = faces[1]
    crops = to_bytes(levelled(soft, points)[:, :1]).permute(0, 2, 3, 1).numpy()
    told = [unlikeness(face_measures(crop, None), shipped_range()) for crop in crops]
    assert [one.words[0] for one in told] == ["blurred"] * 4
    assert min(one.distance for one in told) > FAR
    assert torch.equal(made_familiar(soft, points, shipped_range(), levels=True), soft)


def test_larger_crops_come_as_near(faces):
    large = torch.nn.functional.interpolate(grainy(faces[0], 0.6), scale_factor=2, mode="bicubic").clamp(
        -1, 1
    )
    points = 2 * faces[1] + 0.5
    found = made_familiar(large, points, shipped_range(), levels=True)
    before, after = (
        distances(levelled(x, points), points, shipped_range(), levels=True)[:, 0] for x in (large, found)
    )
    assert (before > 0.8).all()
    assert (after < 0.5 * before).all()


def test_a_half_is_what_pillow_makes_of_a_crop():
    crop = np.random.default_rng(0).integers(0, 256, (256, 256), dtype=np.uint8)
    small = np.asarray(Image.fromarray(crop).resize((128, 128), Image.Resampling.BILINEAR))
    found = familiar._at_128(torch.from_numpy(crop)[None, None].float() / 255)[0, 0]
    assert np.abs(255 * found.numpy() - small)[1:-1, 1:-1].max() <= 1


def test_the_mildest_near_candidate_is_taken_and_the_first_unless_far():
    far = 2 * FAR
    rows = torch.tensor([[far, 0.01, 0.0], [far, far, 0.0], [FAR, 0.0, 0.0], [far, far, far]])
    assert mildest(rows).tolist() == [1, 2, 0, 0]


def test_a_generator_does_it_by_itself_and_its_file_remembers(faces, tmp_path):
    generator = small()
    put_levels_before(generator)
    nir = grainy(faces[0], 0.3)
    expected = generator(made_familiar(nir, faces[1], shipped_range(), levels=True), faces[1])
    assert not torch.allclose(generator(nir, faces[1]), expected, atol=1e-3)
    for _ in range(2):  # once is enough
        put_familiar_before(generator, shipped_range())
    save_generator(tmp_path / "own.safetensors", generator, {})
    again, _ = load_generator(tmp_path / "own.safetensors")
    for network in (generator, again):
        torch.testing.assert_close(network(nir, faces[1]), expected)
    assert known_range(as_trained(again)) is None
    torch.testing.assert_close(
        as_trained(again)(nir, faces[1]), as_trained(small())(levelled(nir, faces[1]), faces[1])
    )


def test_the_command_keeps_weights_and_their_16_bits(tmp_path, capsys):
    save_generator(tmp_path / "in.safetensors", small(), {"step": 3}, half=True)
    out = tmp_path / "out.safetensors"
    assert models_familiar(out, tmp_path / "in.safetensors") == 0
    before, after = (load_generator(tmp_path / f"{name}.safetensors") for name in ("in", "out"))
    assert all(torch.equal(a, b) for a, b in zip(before[0].parameters(), after[0].parameters(), strict=True))
    assert after[1]["step"] == 3
    assert known_range(after[0])["sharpness"] == shipped_range()["sharpness"]
    assert out.stat().st_size < 1.1 * (tmp_path / "in.safetensors").stat().st_size
    assert fits_16_bits(after[0])
    assert not fits_16_bits(small())
    with pytest.raises(UserError, match="exists"):
        models_familiar(out, tmp_path / "in.safetensors")


def test_ranges_of_a_file_are_read_and_others_refused(tmp_path):
    own = {"ranges": {name: [0.1, 0.2] for name in shipped_range()}}
    (tmp_path / "own.json").write_text(json.dumps(own))
    assert read_range(tmp_path / "own.json")["contrast"] == (0.1, 0.2)
    for text in ("{}", "[]", '{"ranges": {"contrast": 1}}'):
        (tmp_path / "other.json").write_text(text)
        with pytest.raises(UserError, match=r"other\.json: no range"):
            read_range(tmp_path / "other.json")


FALSE = ("{}", "1", '{"brightness": [0, 1], "contrast": [1, 0], "sharpness": [0, 1]}', "NaN")


@pytest.mark.parametrize("text", FALSE)
def test_a_file_with_a_false_range_is_refused(text, tmp_path):
    path = tmp_path / "bad.safetensors"
    save_generator(path, small(), {})
    weights, metadata = read_weights(path)
    write_weights(path, weights, {**metadata, "familiar": text})
    with pytest.raises(UserError, match=r"bad\.safetensors.*range"):
        load_generator(path)


def test_no_mean_of_generators_that_see_other_pictures(tmp_path):
    save_generator(tmp_path / "plain.safetensors", small(), {})
    models_familiar(tmp_path / "own.safetensors", tmp_path / "plain.safetensors")
    with pytest.raises(UserError, match="before pcfh models familiar"):
        mean_generator([tmp_path / "plain.safetensors", tmp_path / "own.safetensors"])
