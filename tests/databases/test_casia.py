import shutil

import pytest

from pcfh.databases.casia import read_casia
from pcfh.databases.layouts import open_database
from pcfh.databases.records import subjects
from pcfh.errors import UserError


def test_paths_are_those_on_disk_whatever_the_lists_say(casia):
    probe = read_casia(casia).protocol("1").probe
    assert [record.path for record in probe] == [
        "s1/NIR/00003/001.jpg",
        "s1/NIR/00003/002.jpg",
        "s3/NIR/00004/001.jpg",
        "s3/NIR/00004/002.jpg",
    ]


def test_other_extensions_than_listed_are_counted_in_a_note(casia):
    notes = read_casia(casia).notes
    assert (
        "nir_probe_1.txt: 4 files are called otherwise on disk than listed: "
        "s1/NIR/00003/001.bmp is s1/NIR/00003/001.jpg, ... (3 more)"
    ) in notes


def test_protocols_are_ordered_by_number_and_view_1_is_dev(casia):
    assert list(read_casia(casia).protocols) == ["1", "2", "10", "dev"]


def test_a_person_of_two_sessions_is_one(casia):
    train = read_casia(casia).protocol("1").train
    assert subjects(train) == ("00001", "00002")
    assert {record.session for record in train if record.subject == "00001"} == {"s1", "s2"}


def test_records_are_the_union_of_the_lists_each_once(casia):
    database = read_casia(casia)
    paths = [record.path for record in database.records]
    assert len(paths) == len(set(paths)) == 12 + 4 + 2
    assert paths == sorted(paths)


def test_a_capture_is_the_same_record_in_every_protocol(casia):
    database = read_casia(casia)
    assert database.protocol("1").probe == database.protocol("dev").probe


def test_the_folder_of_lists_may_be_in_capitals(casia):
    before = read_casia(casia)
    (casia / "protocols").rename(casia / "Protocols")
    assert read_casia(casia) == before


def test_a_second_column_is_passed_over(casia, listed):
    listed(
        casia / "protocols" / "vis_gallery_1.txt", [r"s1\VIS\00003\001.jpg 17", r"s3\VIS\00004\001.jpg 18"]
    )
    assert subjects(read_casia(casia).protocol("1").gallery) == ("00003", "00004")


def test_absent_files_are_left_out_and_noted(casia):
    (casia / "s1" / "NIR" / "00003" / "002.jpg").unlink()
    database = read_casia(casia)
    assert len(database.protocol("1").probe) == 3
    note = "nir_probe_1.txt: 1 of 4 listed files are not on disk and left out: s1/NIR/00003/002.bmp"
    assert note in database.notes


def test_a_list_of_absent_files_only_is_refused(casia):
    for session, person in (("s1", "00003"), ("s3", "00004")):
        shutil.rmtree(casia / session / "NIR" / person)
    with pytest.raises(UserError, match=r"nir_probe_1\.txt: none of its 4 files is below"):
        read_casia(casia)


def test_an_empty_gallery_is_refused_with_its_list(casia):
    (casia / "protocols" / "vis_gallery_1.txt").write_bytes(b"\r\n")
    with pytest.raises(UserError, match=r"vis_gallery_1\.txt: expected one path per line, the list is empty"):
        read_casia(casia)


def test_a_header_is_skipped_and_noted(casia, listed):
    listed(
        casia / "protocols" / "vis_gallery_1.txt", ["path", r"s1\VIS\00003\001.jpg", r"s3\VIS\00004\001.jpg"]
    )
    database = read_casia(casia)
    assert len(database.protocol("1").gallery) == 2
    assert any(
        note.startswith("vis_gallery_1.txt: the first line was taken for a header: ")
        for note in database.notes
    )


def test_a_repeated_line_counts_once(casia, listed):
    lines = [r"s1\VIS\00003\001.jpg", r"s3\VIS\00004\001.jpg", r"s1\VIS\00003\001.jpg"]
    listed(casia / "protocols" / "vis_gallery_1.txt", lines)
    database = read_casia(casia)
    assert len(database.protocol("1").gallery) == 2
    assert (
        "vis_gallery_1.txt: 1 lines repeat a file and were left out: s1/VIS/00003/001.jpg" in database.notes
    )


def test_a_person_in_training_and_test_is_refused(casia, listed):
    listed(casia / "protocols" / "nir_probe_2.txt", [r"s2\NIR\00001\001.bmp"])
    with pytest.raises(UserError, match=r"protocol '2': 1 people are in training and test \(00001\)"):
        read_casia(casia)


def test_a_list_of_the_other_modality_is_refused_with_its_line(casia, listed):
    listed(casia / "protocols" / "nir_probe_1.txt", [r"s1\NIR\00003\001.bmp", r"s1\VIS\00003\001.jpg"])
    with pytest.raises(UserError, match=r"nir_probe_1\.txt, line 2: expected <session>/NIR/<id>/<file>"):
        read_casia(casia)


def test_a_protocol_that_lacks_a_list_is_refused(casia):
    (casia / "protocols" / "vis_gallery_10.txt").unlink()
    with pytest.raises(UserError, match=r"protocol 10 lacks vis_gallery_10\.txt"):
        read_casia(casia)


def test_an_empty_folder_of_protocols_is_refused(tmp_path):
    (tmp_path / "protocols").mkdir()
    with pytest.raises(UserError, match=r"expected lists such as nir_train_1\.txt"):
        read_casia(tmp_path)


def test_captures_without_lists_are_all_in_training(captures):
    database = open_database(captures.parent)
    assert [(r.subject, r.modality, r.session) for r in database.protocol("all").train] == [
        ("00001", "NIR", "s1"),
        ("00001", "VIS", "s1"),
        ("00007", "VIS", "s1"),
    ]
    assert database.records[0].path == "s1/NIR/00001/001.bmp"


def test_the_rendered_sample_of_60_people_is_read_whole(sketch60):
    database = read_casia(sketch60)
    assert all(record.landmarks for record in database.records)
    for fold in ("1", "2"):
        protocol = database.protocol(fold)
        parts = (protocol.train, protocol.gallery, protocol.probe)
        assert [(len(subjects(part)), len(part)) for part in parts] == [(30, 240), (30, 30), (30, 120)]
        assert sum(record.modality == "NIR" for record in protocol.train) == 120
