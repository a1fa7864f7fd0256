import csv
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pcfh.databases.casia import read_casia
from pcfh.databases.folder_pair import read_folder_pair
from pcfh.databases.records import Record
from pcfh.errors import UserError
from pcfh.landmarks.base import Face
from pcfh.landmarks.given import read_landmarks, write_landmarks
from pcfh.preparation import align_capture
from pcfh.preparation.align_capture import PrepareOptions
from pcfh.preparation.align_database import JOURNAL, REPORT, crop_names, prepare, prepare_part
from pcfh.preparation.manifest import MANIFEST, open_prepared, read_manifest
from pcfh.shards import Shard

GIVEN = PrepareOptions(sizes=(64,), backend="given")


def tree_of(out):
    """What a preparation made, by path: every file but the journal, whose order is that of the work."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != JOURNAL
    }


@pytest.fixture
def ready(casia, face):
    """The miniature database with landmarks for all of its files, of slightly different faces."""
    paths = sorted(path for path in casia.rglob("*.jpg"))
    points = {
        path.relative_to(casia).as_posix(): face((44 + n % 3, 39 - n % 2), 0.8 + 0.01 * n, 0.02 * n)
        for n, path in enumerate(paths)
    }
    write_landmarks(casia / "landmarks68.csv", points)
    return casia


class Detector:
    """Finds what it is told to, whatever the picture."""

    name = "fake"

    def __init__(self, faces):
        self.faces = faces

    def detect(self, image):
        return self.faces


@pytest.fixture
def detecting(monkeypatch):
    """Puts a detector of the given faces in place of the backends."""

    def put(*faces):
        monkeypatch.setattr(align_capture, "open_backend", lambda name, *, device: Detector(list(faces)))

    return put


def face_of(points, score=0.9):
    left, top, right, bottom = (*points.min(0), *points.max(0))
    return Face(box=(float(left), float(top), float(right), float(bottom)), score=score, landmarks=points)


def test_each_capture_gets_a_crop_of_each_size(ready, tmp_path):
    prepare(read_casia(ready), tmp_path / "out", PrepareOptions(sizes=(64, 128), backend="given"))
    names = [path for path in tree_of(tmp_path / "out") if path.endswith(".png")]
    assert [sum(name.startswith(f"crops/{size}/") for name in names) for size in (64, 128)] == [18, 18]


def test_crops_are_named_by_modality_person_session_and_file(ready, tmp_path):
    prepare(read_casia(ready), tmp_path / "out", GIVEN)
    assert (tmp_path / "out" / "crops" / "64" / "NIR" / "00004" / "s3_002.png").is_file()


def test_nir_crops_have_one_channel_and_vis_crops_three(ready, tmp_path):
    prepare(read_casia(ready), tmp_path / "out", GIVEN)
    crops = tmp_path / "out" / "crops" / "64"
    modes = []
    for modality in ("NIR", "VIS"):
        with Image.open(crops / modality / "00001" / "s1_001.png") as opened:
            modes.append((opened.mode, opened.size))
    assert modes == [("L", (64, 64)), ("RGB", (64, 64))]


def test_a_crop_shows_the_picture_where_its_landmarks_are(tmp_path, face):
    points = face((60, 50), 0.7, 0.3)
    image = np.full((110, 120, 3), 90, np.uint8)
    for x, y in points[48:60].round().astype(int):
        image[y - 1 : y + 2, x - 1 : x + 2] = 250
    (tmp_path / "nir").mkdir()
    (tmp_path / "vis").mkdir()
    Image.fromarray(image).save(tmp_path / "nir" / "a.png")
    Image.fromarray(image).save(tmp_path / "vis" / "a.png")
    write_landmarks(tmp_path / "points.csv", {"nir/a.png": points, "vis/a.png": points})
    options = PrepareOptions(sizes=(256,), landmarks=tmp_path / "points.csv")
    prepare(read_folder_pair(tmp_path / "nir", tmp_path / "vis"), tmp_path / "out", options)
    record = open_prepared(tmp_path / "out", 256).records[0]
    with Image.open(tmp_path / "out" / "crops" / "256" / record.path) as opened:
        crop = np.asarray(opened)
    mouth = np.array(record.landmarks)[48:60].round().astype(int)
    assert crop[mouth[:, 1], mouth[:, 0]].min() > 150
    assert np.median(crop) == 90


def test_two_workers_write_what_one_writes(ready, tmp_path):
    (ready / "s1" / "NIR" / "00001" / "002.jpg").write_bytes(b"broken")
    for workers in (1, 2):
        prepare(read_casia(ready), tmp_path / str(workers), replace(GIVEN, workers=workers))
    assert tree_of(tmp_path / "1") == tree_of(tmp_path / "2")


def test_a_second_call_does_no_work(ready, tmp_path, monkeypatch):
    prepare(read_casia(ready), tmp_path / "out", GIVEN)
    before = tree_of(tmp_path / "out")
    monkeypatch.setattr(align_capture, "read_picture", None)
    prepare(read_casia(ready), tmp_path / "out", GIVEN)
    assert tree_of(tmp_path / "out") == before


def test_crops_deleted_in_the_middle_are_not_vouched_for(ready, tmp_path):
    def delete(done, total):
        if done == total:
            shutil.rmtree(tmp_path / "out" / "crops" / "64" / "NIR")

    with pytest.raises(UserError, match=r"10 of 18 crops are gone"):
        prepare(read_casia(ready), tmp_path / "out", GIVEN, on_progress=delete)
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_probes_whose_people_lose_their_enrolled_picture_are_left_out_and_noted(ready, tmp_path):
    (ready / "s1" / "VIS" / "00003" / "001.jpg").write_bytes(b"broken")
    report = prepare(read_casia(ready), tmp_path / "out", GIVEN)
    note = "protocol 1: 2 probes of 1 people who are not enrolled are left out (00003)"
    assert note in report.notes
    protocol = read_manifest(tmp_path / "out").source.protocol("1")
    assert {record.subject for record in protocol.probe} == {"00004"}


def test_crops_that_are_gone_are_made_again(ready, tmp_path):
    prepare(read_casia(ready), tmp_path / "out", GIVEN)
    before = tree_of(tmp_path / "out")
    (tmp_path / "out" / "crops" / "64" / "NIR" / "00004" / "s3_002.png").unlink()
    prepare(read_casia(ready), tmp_path / "out", GIVEN)
    assert tree_of(tmp_path / "out") == before


def test_a_picture_that_was_mended_is_prepared_again(ready, tmp_path):
    path = ready / "s1" / "NIR" / "00001" / "002.jpg"
    whole = path.read_bytes()
    path.write_bytes(whole[:300])
    assert len(prepare(read_casia(ready), tmp_path / "out", GIVEN).dropped) == 1
    path.write_bytes(whole)
    assert prepare(read_casia(ready), tmp_path / "out", GIVEN).dropped == ()


def test_a_picture_that_broke_afterwards_loses_its_crop(ready, tmp_path):
    prepare(read_casia(ready), tmp_path / "out", GIVEN)
    (ready / "s1" / "NIR" / "00001" / "002.jpg").write_bytes(b"broken")
    prepare(read_casia(ready), tmp_path / "out", GIVEN)
    assert not (tmp_path / "out" / "crops" / "64" / "NIR" / "00001" / "s1_002.png").exists()


class Interrupted(Exception):  # noqa: N818
    pass


def interrupt_after(count):
    def progress(done, total):
        if done == count:
            raise Interrupted("here")

    return progress


@pytest.mark.parametrize(("workers", "counts"), [(1, (2, 9, 10)), (2, (9,))])
def test_an_interrupted_preparation_goes_on_to_the_same_result(ready, tmp_path, workers, counts):
    prepare(read_casia(ready), tmp_path / "whole", GIVEN)
    for count in counts:
        with pytest.raises(Interrupted, match="here"):
            options = replace(GIVEN, workers=workers)
            prepare(read_casia(ready), tmp_path / "out", options, on_progress=interrupt_after(count))
    prepare(read_casia(ready), tmp_path / "out", GIVEN)
    assert tree_of(tmp_path / "out") == tree_of(tmp_path / "whole")


def test_parts_do_each_capture_once_and_the_whole_takes_them_in(ready, tmp_path):
    prepare(read_casia(ready), tmp_path / "whole", GIVEN)
    counts = [
        prepare_part(read_casia(ready), tmp_path / "out", GIVEN, Shard(number, 3))[0] for number in (1, 2, 3)
    ]
    assert sum(counts) == 18 and all(counts)
    seen = []
    prepare(read_casia(ready), tmp_path / "out", GIVEN, on_progress=lambda *counts: seen.append(counts))
    assert seen == [(18, 18)]
    assert tree_of(tmp_path / "out") == tree_of(tmp_path / "whole")


def test_overwrite_does_all_again(ready, tmp_path):
    prepare(read_casia(ready), tmp_path / "out", GIVEN)
    seen = []
    again = replace(GIVEN, overwrite=True)
    prepare(read_casia(ready), tmp_path / "out", again, on_progress=lambda *counts: seen.append(counts))
    assert seen[0] == (0, 18)


def test_a_table_says_what_became_of_each_capture(ready, tmp_path):
    (ready / "s1/NIR/00001/001.jpg").write_text("a letter")
    prepare(read_casia(ready), tmp_path / "out", GIVEN)
    with (tmp_path / "out" / "captures.csv").open(newline="") as file:
        rows = {row["source"]: row for row in csv.DictReader(file)}
    assert len(rows) == 18
    bad = rows.pop(str(ready / "s1/NIR/00001/001.jpg"))
    assert bad["result"] == "" and "not a whole image" in bad["error"]
    assert all((tmp_path / "out" / "crops" / "64" / row["result"]).is_file() for row in rows.values())
    assert all((row["distance"] != "") == ("/NIR/" in row["source"]) for row in rows.values())


def test_finished_captures_are_not_done_again(ready, tmp_path):
    with pytest.raises(Interrupted, match="here"):
        prepare(read_casia(ready), tmp_path / "out", GIVEN, on_progress=interrupt_after(5))
    seen = []
    prepare(read_casia(ready), tmp_path / "out", GIVEN, on_progress=lambda *counts: seen.append(counts))
    assert seen == [(n, 18) for n in range(5, 19)]


def test_options_may_change_before_the_first_capture_is_done(ready, tmp_path):
    with pytest.raises(UserError, match="one of blaze, fan; got 'blase'"):
        prepare(read_casia(ready), tmp_path / "out", replace(GIVEN, backend="blase"))
    assert prepare(read_casia(ready), tmp_path / "out", GIVEN).kept == 18


KILLED = """
    import signal
    import time
    from pathlib import Path
    from pcfh.databases.casia import read_casia
    from pcfh.preparation.align_capture import PrepareOptions
    from pcfh.preparation.align_database import prepare

    def linger(done, total):
        time.sleep(1000 if done > {count} else 0)  # until the signal comes

    if __name__ == "__main__":
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
        options = PrepareOptions(sizes=(64, 256), backend="given", workers=2)
        prepare(read_casia(Path({casia!r})), Path({out!r}), options, on_progress=linger)
"""


def wait_for_lines(journal, count, process):
    while process.poll() is None:
        if journal.exists() and journal.read_bytes().count(b"\n") > count:
            return
        time.sleep(0.002)


@pytest.mark.parametrize(("sent", "counts"), [(signal.SIGKILL, (1, 6)), (signal.SIGINT, (3,))])
def test_after_a_signal_the_preparation_goes_on_to_the_same_result(ready, tmp_path, sent, counts):
    options = PrepareOptions(sizes=(64, 256), backend="given")
    prepare(read_casia(ready), tmp_path / "whole", options)
    program = tmp_path / "program.py"
    root = Path(sys.modules["pcfh"].__file__ or "").parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    for count in counts:
        text = KILLED.format(casia=str(ready), out=str(tmp_path / "out"), count=count)
        program.write_text(textwrap.dedent(text))
        process = subprocess.Popen([sys.executable, str(program)], env=environment, stderr=subprocess.DEVNULL)
        wait_for_lines(tmp_path / "out" / JOURNAL, count, process)
        process.send_signal(sent)
        process.wait()
    assert not (tmp_path / "out" / MANIFEST).exists()
    prepare(read_casia(ready), tmp_path / "out", options)
    assert tree_of(tmp_path / "out") == tree_of(tmp_path / "whole")


def test_other_options_in_the_same_folder_are_refused(ready, tmp_path):
    prepare(read_casia(ready), tmp_path / "out", GIVEN)
    with pytest.raises(UserError, match=r"holds another preparation \(sizes was \[64\] and is \[64, 128\]\)"):
        prepare(read_casia(ready), tmp_path / "out", replace(GIVEN, sizes=(64, 128)))


def test_another_database_in_the_same_folder_is_refused(ready, tmp_path):
    database = read_casia(ready)
    prepare(database, tmp_path / "out", GIVEN)
    with pytest.raises(UserError, match=r"holds another preparation \(database was"):
        prepare(replace(database, records=database.records[1:]), tmp_path / "out", GIVEN)


def test_number_of_workers_and_order_of_sizes_may_change(ready, tmp_path):
    prepare(read_casia(ready), tmp_path / "out", PrepareOptions(sizes=(64, 128), backend="given"))
    options = PrepareOptions(sizes=(128, 64, 64), backend="given", workers=2)
    assert prepare(read_casia(ready), tmp_path / "out", options).kept == 18


def test_bad_pictures_are_dropped_with_their_reasons(ready, tmp_path):
    people = ready / "s1" / "VIS" / "00001"
    (people / "001.jpg").write_bytes((people / "001.jpg").read_bytes()[:300])
    Image.new("CMYK", (90, 80)).save(people / "002.jpg")
    report = prepare(read_casia(ready), tmp_path / "out", GIVEN)
    reasons = {drop.path: drop.reason for drop in report.dropped}
    assert list(reasons) == ["s1/VIS/00001/001.jpg", "s1/VIS/00001/002.jpg"]
    assert reasons["s1/VIS/00001/001.jpg"].startswith("not a whole image")
    assert reasons["s1/VIS/00001/002.jpg"].startswith("is CMYK")


def test_the_manifest_lists_what_was_dropped(ready, tmp_path):
    (ready / "s1" / "VIS" / "00001" / "001.jpg").write_bytes(b"broken")
    report = prepare(read_casia(ready), tmp_path / "out", GIVEN)
    assert read_manifest(tmp_path / "out").dropped == report.dropped


def test_the_report_counts_each_list_before_and_after(ready, tmp_path):
    (ready / "s1" / "VIS" / "00001" / "001.jpg").write_bytes(b"broken")
    prepare(read_casia(ready), tmp_path / "out", GIVEN)
    text = (tmp_path / "out" / REPORT).read_text()
    assert "17 captures kept, 1 dropped" in text
    assert "protocol 1, VIS training: 5 of 6" in text
    assert "protocol 1, probe: 4 of 4" in text


def test_the_report_holds_reasons_and_the_readers_notes(ready, tmp_path):
    (ready / "s1" / "VIS" / "00001" / "001.jpg").write_bytes(b"broken")
    (ready / "s1" / "VIS" / "00003" / "001.jpg").unlink()
    prepare(read_casia(ready), tmp_path / "out", GIVEN)
    text = (tmp_path / "out" / REPORT).read_text()
    assert "  s1/VIS/00001/001.jpg: not a whole image" in text
    assert "  vis_gallery_1.txt: 1 of 2 listed files are not on disk" in text


def test_people_without_training_captures_of_one_modality_are_named(ready, tmp_path):
    for n in (1, 2):
        (ready / "s1" / "NIR" / "00002" / f"00{n}.jpg").write_bytes(b"broken")
    report = prepare(read_casia(ready), tmp_path / "out", GIVEN)
    assert report.lost[0] == "protocol 1: 00002 has no NIR training capture left"
    assert len(report.lost) == 4


def test_a_list_that_loses_everything_is_an_error(ready, tmp_path):
    for path in ("s1/VIS/00003/001.jpg", "s3/VIS/00004/001.jpg"):
        (ready / path).write_bytes(b"broken")
    with pytest.raises(UserError, match=r"every capture was dropped of gallery of protocol 1 \(2\), gallery"):
        prepare(read_casia(ready), tmp_path / "out", GIVEN)


def test_nothing_kept_is_an_error_with_the_first_reason(casia, tmp_path):
    with pytest.raises(UserError, match=r"none of 18 captures could be used; the first, s1/.*: no landmarks"):
        prepare(read_casia(casia), tmp_path / "out", GIVEN)


def test_a_file_that_vanished_is_dropped(ready, tmp_path):
    database = read_casia(ready)
    (ready / "s1" / "VIS" / "00001" / "001.jpg").unlink()
    (drop,) = prepare(database, tmp_path / "out", GIVEN).dropped
    assert (drop.path, drop.reason) == ("s1/VIS/00001/001.jpg", "no such file")


def test_a_capture_without_given_landmarks_is_dropped(ready, tmp_path):
    database = read_casia(ready)
    records = (replace(database.records[0], landmarks=None), *database.records[1:])
    (drop,) = prepare(replace(database, records=records), tmp_path / "out", GIVEN).dropped
    assert drop.reason == "no landmarks are given for it; add them or have them detected"


def test_landmarks_outside_the_picture_are_refused(ready, tmp_path, face):
    points = read_landmarks(ready / "landmarks68.csv")
    points["s1/vis/00001/001"] = face((300.0, 300.0))
    write_landmarks(ready / "landmarks68.csv", points)
    (drop,) = prepare(read_casia(ready), tmp_path / "out", GIVEN).dropped
    assert "do not lie inside the picture of 90 x 80 pixels" in drop.reason


def test_landmarks_of_no_face_are_dropped_with_the_reason(ready, tmp_path, face):
    points = read_landmarks(ready / "landmarks68.csv")
    points["s1/vis/00001/001"] = face((40.0, 40.0), 1.0, np.pi) * [1, 1]
    points["s1/vis/00001/001"][48:] -= [0, -80]
    write_landmarks(ready / "landmarks68.csv", points)
    (drop,) = prepare(read_casia(ready), tmp_path / "out", GIVEN).dropped
    assert "the mouth lies" in drop.reason


def test_a_file_of_landmarks_takes_the_place_of_detection(ready, tmp_path, detecting):
    detecting()
    sidecar = (ready / "landmarks68.csv").rename(tmp_path / "points.csv")
    report = prepare(read_casia(ready), tmp_path / "out", PrepareOptions(sizes=(64,), landmarks=sidecar))
    assert (report.kept, read_manifest(tmp_path / "out").backend) == (18, "given")


def test_a_file_of_landmarks_of_other_pictures_is_refused(casia, tmp_path, face):
    write_landmarks(tmp_path / "points.csv", {"elsewhere/a.jpg": face()})
    with pytest.raises(UserError, match=r"points\.csv: names none of the 18 captures; expected paths"):
        prepare(read_casia(casia), tmp_path / "out", PrepareOptions(landmarks=tmp_path / "points.csv"))


DETECTED = PrepareOptions(sizes=(64,), backend="blaze")


def test_the_landmarks_of_records_are_passed_over_when_they_are_detected(ready, tmp_path, detecting, face):
    points = face((41.0, 42.0))
    detecting(face_of(points))
    prepare(read_casia(ready), tmp_path / "out", DETECTED)
    kept = read_manifest(tmp_path / "out").source.records
    assert all(np.allclose(record.landmarks, points, atol=0.001) for record in kept)


def test_the_largest_of_several_faces_is_taken(casia, tmp_path, detecting, face):
    small, large = face((30.0, 30.0), 0.5), face((45.0, 40.0), 0.9)
    detecting(face_of(small, 0.99), face_of(large, 0.6))
    prepare(read_casia(casia), tmp_path / "out", DETECTED)
    assert np.allclose(read_manifest(tmp_path / "out").source.records[0].landmarks, large, atol=0.001)


def test_several_faces_are_noted(casia, tmp_path, detecting, face):
    detecting(face_of(face(scale=0.5)), face_of(face()))
    notes = prepare(read_casia(casia), tmp_path / "out", DETECTED).notes
    assert "s1/NIR/00001/001.jpg: 2 faces, the largest was taken" in notes


def test_a_picture_without_a_face_is_dropped(casia, tmp_path, detecting):
    detecting()
    with pytest.raises(UserError, match=r"s1/NIR/00001/001\.jpg: no face of score 0\.5 or more; give"):
        prepare(read_casia(casia), tmp_path / "out", DETECTED)


def test_a_face_that_just_fails_is_named_with_its_score(casia, tmp_path, detecting, face):
    detecting(face_of(face(), 0.42))
    with pytest.raises(UserError, match=r"no face of score 0\.5 or more \(the best has score 0\.42\)"):
        prepare(read_casia(casia), tmp_path / "out", DETECTED)


def test_a_colour_nir_picture_becomes_grey(tmp_path, drawn, face):
    drawn(tmp_path / "nir" / "a.png", seed=3)
    drawn(tmp_path / "vis" / "a.png", seed=4)
    write_landmarks(tmp_path / "points.csv", {"nir/a.png": face(), "vis/a.png": face()})
    database = read_folder_pair(tmp_path / "nir", tmp_path / "vis")
    prepare(database, tmp_path / "out", PrepareOptions(sizes=(64,), landmarks=tmp_path / "points.csv"))
    with Image.open(tmp_path / "out" / "crops" / "64" / "NIR" / "a" / "a.png") as opened:
        assert opened.mode == "L"


def test_file_names_that_are_no_utf8_reach_report_and_manifest(tmp_path, drawn, face):
    names = [os.fsdecode(b"nir/m\xfc_1.png"), os.fsdecode(b"vis/m\xfc_1.png")]
    for name in names:
        drawn(tmp_path / name)
    database = read_folder_pair(tmp_path / "nir", tmp_path / "vis")
    points = tuple(map(tuple, face().tolist()))
    records = (replace(database.records[0], landmarks=points), database.records[1])
    with pytest.raises(UserError, match="VIS training of protocol all"):
        prepare(replace(database, records=records), tmp_path / "out", GIVEN)
    assert r"m\udcfc_1.png: no landmarks are given" in (tmp_path / "out" / REPORT).read_text()
    prepare(replace(database, records=records[:1], protocols={}), tmp_path / "other", GIVEN)
    assert read_manifest(tmp_path / "other").source.records[0].path == names[0]


def named(subject, path, session=""):
    return Record(subject=subject, modality="NIR", path=path, session=session)


def test_crops_of_one_name_are_numbered():
    records = [named("1", "x/a.bmp"), named("1", "x/a.jpg"), named("1", "y/a-2.jpg"), named("1", "z/A.png")]
    assert crop_names(records) == ["NIR/1/a.png", "NIR/1/a-2.png", "NIR/1/a-2-2.png", "NIR/1/A-3.png"]


def test_no_crop_leaves_its_folder():
    records = [named("../..", "a/.hidden.jpg"), named("..", "b/x y.jpg"), named("a/b", "c/ü:1.jpg")]
    assert crop_names(records) == ["NIR/_../hidden.png", "NIR/_/x_y.png", "NIR/a_b/ü_1.png"]


def test_the_session_is_not_written_twice():
    records = [named("1", "NIR/s2_NIR_1_001.jpg", "s2"), named("1", "s2/NIR/1/001.jpg", "s2")]
    assert crop_names(records) == ["NIR/1/s2_NIR_1_001.png", "NIR/1/s2_001.png"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (PrepareOptions(sizes=()), "at least one crop size"),
        (PrepareOptions(sizes=(100,)), "no alignment for crops of 100 pixels"),
        (PrepareOptions(workers=0), "at least one worker, got 0"),
    ],
)
def test_options_that_cannot_work_are_refused(ready, tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        prepare(read_casia(ready), tmp_path / "out", options)
