"""Crops packed for another machine, and unpacked there."""

import json
import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from runs import CPU, job

from pcfh.databases.records import subjects
from pcfh.errors import UserError
from pcfh.images import grey, read_image
from pcfh.methods.files import load_generator
from pcfh.methods.find import preset
from pcfh.methods.train import GENERATOR, train
from pcfh.preparation.manifest import MANIFEST, learnt_from, open_prepared, read_manifest
from pcfh.preparation.pack import PackOptions, coded, pack, read_pack, unpack


@pytest.fixture(scope="module")
def packed(drawn_prepared, tmp_path_factory):
    """Three people of training; read only."""
    file = tmp_path_factory.mktemp("packed") / "fold1.zip"
    return file, pack(drawn_prepared, file, PackOptions())


@pytest.fixture(scope="module")
def unpacked(packed, tmp_path_factory):
    """The same as a prepared folder; read only."""
    out = tmp_path_factory.mktemp("unpacked") / "prepared"
    unpack(packed[0], out)
    return out


def changed_pack(file, out, *, about=None, members=()):
    """A copy with other members; ``about`` changes what the file says of itself."""
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = dict(members).get(name.partition(".")[0], old.read(name))
            if name == "about.json" and about is not None:
                content = json.dumps(about(json.loads(content)))
            if content is not None:
                new.writestr(name, content)
    return out


def test_only_the_people_of_the_training_are_packed(drawn_prepared, packed, unpacked):
    trained = read_manifest(drawn_prepared).source.protocol("1").train
    database = open_prepared(unpacked, 64)
    assert packed[1].people == 3
    assert subjects(database.records) == subjects(trained)
    assert [(r.subject, r.modality) for r in database.protocol("1").train] == [
        (r.subject, r.modality) for r in trained
    ]
    assert database.protocol("1").probe == ()


def test_landmarks_come_back_to_the_last_bit(drawn_prepared, unpacked):
    before, after = (
        {r.path: r.landmarks for r in read_manifest(root).source.records}
        for root in (drawn_prepared, unpacked)
    )
    assert after == {path: before[path] for path in after}


@pytest.mark.parametrize("coding", ["webp", "jpeg"])
def test_the_loss_that_is_stated_is_that_of_the_unpacked_crops(drawn_prepared, tmp_path, coding):
    about = pack(drawn_prepared, tmp_path / "a.zip", PackOptions(coding=coding, quality=80))
    unpack(tmp_path / "a.zip", tmp_path / "out")
    whole, part = read_manifest(drawn_prepared), read_manifest(tmp_path / "out")
    for modality, loss in about.loss.items():
        ratios = []
        for record in part.source.records:
            if record.modality == modality:
                a = read_image(drawn_prepared / "crops/64" / whole.crops[record.path]).astype(float)
                b = read_image(tmp_path / "out/crops/64" / part.crops[record.path])
                b = (grey(b) if modality == "NIR" else b).astype(float)
                ratios.append(10 * np.log10(255**2 / np.square(a - b).mean()))
        assert (loss.mean, loss.least) == pytest.approx((np.mean(ratios), min(ratios)), abs=0.01)
        assert 25 < loss.least < 60


def test_a_higher_quality_loses_less():
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    low, high = (coded(image, "VIS", PackOptions(quality=quality))[1] for quality in (50, 95))
    assert low < high


def test_what_is_trained_there_names_the_people_and_the_preparation(drawn_prepared, unpacked):
    assert learnt_from(unpacked, "1") == learnt_from(drawn_prepared, "1")
    assert len(learnt_from(unpacked, "1")["people"]) == 3


def test_people_of_one_name_in_two_databases_are_told_apart(drawn_prepared):
    manifest = read_manifest(drawn_prepared)
    moved = tuple(
        replace(r, landmarks=tuple((x + 1, y) for x, y in r.landmarks)) for r in manifest.source.records
    )
    other = replace(manifest, source=replace(manifest.source, records=moved))
    assert other.people.keys() == manifest.people.keys()
    assert not set(other.people.values()) & set(manifest.people.values())


def test_some_probes_go_in_with_the_whole_gallery(drawn_prepared, tmp_path):
    pack(drawn_prepared, tmp_path / "a.zip", PackOptions(probes=4))
    unpack(tmp_path / "a.zip", tmp_path / "out")
    protocol = open_prepared(tmp_path / "out", 64).protocol("1")
    whole = open_prepared(drawn_prepared, 64).protocol("1")
    assert len(protocol.gallery) == len(whole.gallery)
    assert [r.subject for r in protocol.probe] == [whole.probe[i].subject for i in (0, 2, 4, 6)]


def test_a_pack_that_was_cut_or_changed_is_refused_and_leaves_nothing(packed, tmp_path):
    content = packed[0].read_bytes()
    (tmp_path / "cut.zip").write_bytes(content[:-100])
    middle = len(content) // 3
    (tmp_path / "flipped.zip").write_bytes(
        content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]
    )
    for name in ("cut.zip", "flipped.zip"):
        with pytest.raises(UserError, match=f"{name}: is no whole pack of pcfh pack .* copy it again"):
            unpack(tmp_path / name, tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"cut.zip", "flipped.zip"}


def first_capture(**changes):
    def change(about):
        about["captures"][0] |= changes
        return about

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (first_capture(path="../outside.jpg"), r"a capture outside of the database: \.\./outside\.jpg"),
        (first_capture(size=10**9), "a crop of 1,000,000,000 bytes"),
        (first_capture(size=7), "its crops are not all there"),
        (first_capture(subject="9"), "it has no digest of person 9"),
        (lambda about: about | {"size": 128}, "a crop has 64 x 64 pixels, not 128"),
        (lambda about: about | {"size": 10**6}, "is no whole pack"),
        (lambda about: about | {"captures": []}, "0 captures"),
        (lambda about: about | {"parts": {"train": [99]}}, "expected the parts train, gallery and probe"),
        (lambda about: about | {"parts": {"train": [99], "gallery": [], "probe": []}}, "does not hold"),
        (lambda about: about | {"format": "pcfh-pack-9"}, "pcfh-pack-9"),
        (lambda about: about | {"landmarks": "0"}, "checksum of its landmarks"),
        (lambda about: about | {"pictures": "0"}, "checksum of its crops"),
        (lambda about: [], "is no whole pack"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(packed, tmp_path, change, said):
    wrong = changed_pack(packed[0], tmp_path / "wrong.zip", about=change)
    with pytest.raises(UserError, match=said):
        unpack(wrong, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_member_that_is_larger_than_it_may_be_is_not_read_to_its_end(packed, tmp_path):
    with pytest.raises(UserError, match=r"landmarks\.bin is larger than"):
        unpack(
            changed_pack(packed[0], tmp_path / "a.zip", members={"landmarks": b"0" * 10**6}), tmp_path / "out"
        )


@pytest.mark.parametrize("name", ["about", "landmarks", "pictures"])
def test_a_member_that_is_absent_is_said(packed, tmp_path, name):
    with pytest.raises(UserError, match="is no whole pack"):
        unpack(changed_pack(packed[0], tmp_path / "a.zip", members={name: None}), tmp_path / "out")


def test_files_that_are_no_packs_are_refused(tmp_path):
    (tmp_path / "a.zip").write_text("no zip")
    with pytest.raises(UserError, match=r"a\.zip: is no whole pack"):
        read_pack(tmp_path / "a.zip")
    with pytest.raises(UserError, match=r"b\.zip: no such file"):
        read_pack(tmp_path / "b.zip")


def test_a_folder_with_content_is_left_as_it_is(packed, tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty"):
        unpack(packed[0], tmp_path)
    assert (tmp_path / "note.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (PackOptions(size=256), "has no crops of 256 pixels, only of 64"),
        (PackOptions(quality=0), "--quality 0: expected 1 to 100"),
        (PackOptions(probes=-1), "--probes -1: expected no negative number"),
        (PackOptions(protocol="7"), "no protocol '7'"),
    ],
)
def test_wrong_options_are_said_and_nothing_is_written(drawn_prepared, tmp_path, options, said):
    with pytest.raises(UserError, match=said):
        pack(drawn_prepared, tmp_path / "a.zip", options)
    assert not any(tmp_path.iterdir())


def test_what_was_unpacked_is_not_packed_again(unpacked, tmp_path):
    with pytest.raises(UserError, match="came packed itself"):
        pack(unpacked, tmp_path / "a.zip", PackOptions())


def test_a_folder_that_was_not_packed_keeps_the_bytes_of_its_manifest(drawn_prepared):
    assert "origin" not in json.loads((drawn_prepared / MANIFEST).read_text())


def test_the_commands_say_what_was_lost_and_what_comes_next(run, drawn_prepared, tmp_path):
    code, out, _ = run("pack", drawn_prepared, tmp_path / "fold1.zip", "--quality", 90)
    assert code == 0
    assert "3 people, 64 pixels" in out and "pcfh unpack fold1.zip prepared" in out
    assert "NIR: 9 crops" in out and "dB (least" in out
    code, out, _ = run("unpack", tmp_path / "fold1.zip", tmp_path / "prepared")
    assert (code, "webp of quality 90, PSNR NIR" in out) == (0, True)
    code, _, err = run("unpack", tmp_path / "fold1.zip", tmp_path / "prepared")
    assert (code, "is not empty" in err) == (2, True)
    shutil.rmtree(tmp_path / "prepared")


def test_a_generator_trained_there_has_learnt_from_the_people_here(unpacked, drawn_prepared, tmp_path):
    state = train(job(unpacked, tmp_path / "run", "training.steps=1"), CPU)
    _, about = load_generator(tmp_path / "run" / GENERATOR)
    assert (state.step, about["images"]) == (1, state.step * preset("tiny").training.batch)
    assert {**about, **learnt_from(drawn_prepared, "1")} == about
