from pathlib import Path

import numpy as np
import pytest
import torch

from pcfh.databases.records import Record
from pcfh.errors import UserError
from pcfh.geometry.mirror import mirror_points
from pcfh.geometry.warp import inverse_distance_warp
from pcfh.preparation.manifest import open_prepared
from pcfh.preparation.training_pairs import TrainingPairs

RAMP = np.arange(64, dtype=np.uint8)[None, :, None]  # brighter to the right


@pytest.fixture(scope="module")
def crops(drawn_prepared: Path):
    database = open_prepared(drawn_prepared, 64)
    return database.root, database.protocol("1").train


def pairs(crops, **options) -> TrainingPairs:
    return TrainingPairs(crops[0], crops[1], **{"seed": 0, "flip": True, "cache_mb": 10, **options})


def test_every_pair_is_one_person(crops):
    p = pairs(crops)
    plan = p.plan(0, 40)
    for n, v in zip(plan.nir, plan.vis, strict=True):
        assert p.nir_records[n].subject == p.vis_records[v].subject


def test_every_nir_capture_is_seen_once_an_epoch(crops):
    p = pairs(crops)
    count = len(p.nir_records)
    for epoch in range(3):
        assert sorted(p.plan(epoch * count, count).nir) == list(range(count))


def test_epochs_differ_in_order(crops):
    p = pairs(crops)
    count = len(p.nir_records)
    assert list(p.plan(0, count).nir) != list(p.plan(count, count).nir)


def test_every_partner_is_drawn_in_the_long_run(crops):
    p = pairs(crops)
    plan = p.plan(0, 60 * len(p.nir_records))
    drawn = {(n, v) for n, v in zip(plan.nir.tolist(), plan.vis.tolist(), strict=True)}
    per_person = {r.subject: sum(v.subject == r.subject for v in p.vis_records) for r in p.nir_records}
    assert len(drawn) == sum(per_person[r.subject] for r in p.nir_records)


def test_any_stretch_of_the_stream_is_what_the_whole_stream_shows_there(crops):
    whole, part = pairs(crops).plan(0, 40), pairs(crops).plan(17, 9)
    for name in ("nir", "vis", "mirror", "mix"):
        np.testing.assert_array_equal(getattr(whole[17:26], name), getattr(part, name))


def test_the_true_image_is_that_of_the_near_infrared_capture_and_is_mirrored_with_it(crops, drawn_database):
    def truth(record: Record) -> np.ndarray:
        return np.full((64, 64, 3), len(record.path) + int(record.subject), np.uint8) + RAMP

    p = pairs(crops, truth=truth)
    plan = p.plan(0, 20)
    shown = p.images(plan).truth.permute(0, 2, 3, 1).numpy()
    assert plan.mirror.any() and not plan.mirror.all()
    for n, mirror, image in zip(plan.nir, plan.mirror, shown, strict=True):
        expected = truth(p.nir_records[n])
        np.testing.assert_array_equal(image, expected[:, ::-1] if mirror else expected)
    assert pairs(crops).images(plan).truth is None


def test_another_seed_gives_other_pairs(crops):
    assert list(pairs(crops).plan(0, 20).nir) != list(pairs(crops, seed=1).plan(0, 20).nir)


def test_about_half_is_mirrored_and_nothing_without_flip(crops):
    share = pairs(crops).plan(0, 400).mirror.mean()
    assert 0.4 < share < 0.6
    assert not pairs(crops, flip=False).plan(0, 400).mirror.any()


def test_the_warped_image_is_eq_6_rounded(crops):
    p = pairs(crops, flip=False)
    plan = p.plan(0, 5)
    images = p.images(plan)
    n = torch.tensor([p.nir_records[i].landmarks for i in plan.nir])
    v = torch.tensor([p.vis_records[i].landmarks for i in plan.vis])
    expected = inverse_distance_warp(images.vis.float(), v, n)
    assert (images.warped.float() - expected).abs().max() <= 0.51


def test_mirrored_pairs_are_mirrored_throughout(crops):
    p, plain = pairs(crops), pairs(crops, flip=False)
    plan = p.plan(0, 12)
    images, straight = p.images(plan), plain.images(plain.plan(0, 12))
    for i in np.flatnonzero(plan.mirror):
        for name in ("nir", "vis", "warped"):
            assert torch.equal(getattr(images, name)[i], getattr(straight, name)[i].flip(-1))
        torch.testing.assert_close(images.landmarks[i][None], mirror_points(straight.landmarks[i][None], 64))


@pytest.mark.parametrize("cache_mb", [0, 1000])
def test_kept_warps_are_the_same_as_new_ones(crops, cache_mb):
    p = pairs(crops, cache_mb=cache_mb)
    plan = p.plan(0, 6)
    assert torch.equal(p.images(plan).warped, p.images(plan).warped)


def test_with_room_each_pair_is_warped_once(crops, monkeypatch):
    calls = []

    def counted(image, *arguments):
        calls.append(len(image))
        return inverse_distance_warp(image, *arguments)

    monkeypatch.setattr("pcfh.preparation.training_pairs.inverse_distance_warp", counted)
    p = pairs(crops)
    plan = p.plan(0, 6)
    p.images(plan)
    p.images(plan)
    assert len(calls) == 1


def test_people_of_one_modality_are_left_out(crops):
    root, records = crops
    alone = [r for r in records if not (r.subject == records[0].subject and r.modality == "VIS")]
    p = TrainingPairs(root, alone, seed=0, flip=False)
    assert records[0].subject not in {r.subject for r in p.nir_records}


def test_a_list_without_any_pair_is_refused(crops):
    root, records = crops
    with pytest.raises(UserError, match="no person of the training list has both"):
        TrainingPairs(root, [r for r in records if r.modality == "NIR"], seed=0, flip=False)


def test_a_crop_of_another_size_is_named(crops, tmp_path):
    from PIL import Image

    points = tuple((float(i), float(i)) for i in range(68))
    for name, size in (("n", 64), ("m", 32), ("v", 64)):
        Image.new("L", (size, size)).save(tmp_path / f"{name}.png")
    records = [
        Record(subject="a", modality="NIR", path="n.png", landmarks=points),
        Record(subject="a", modality="NIR", path="m.png", landmarks=points),
        Record(subject="a", modality="VIS", path="v.png", landmarks=points),
    ]
    with pytest.raises(UserError, match=r"m\.png: expected a square crop of 64"):
        TrainingPairs(tmp_path, records, seed=0, flip=False)
