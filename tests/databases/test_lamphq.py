import pytest

from pcfh.databases.lamphq import read_lamphq
from pcfh.databases.records import subjects
from pcfh.errors import UserError


def test_folds_are_read_with_the_label_as_the_person(lamphq):
    protocol = read_lamphq(lamphq).protocol("1")
    parts = (protocol.train, protocol.gallery, protocol.probe)
    assert [subjects(part) for part in parts] == [("11", "12"), ("21", "22"), ("21", "22")]
    assert [len(part) for part in parts] == [12, 2, 6]


def test_records_are_the_union_of_the_folds(lamphq):
    assert len(read_lamphq(lamphq).records) == 4 * 6


def test_a_header_is_noted_and_no_capture(lamphq):
    assert "probe_nir2.txt: the first line was taken for a header: path label" in read_lamphq(lamphq).notes


@pytest.mark.parametrize("lists", ["Protocol", "protocols"])
@pytest.mark.parametrize("folders", [True, False])
def test_lists_without_header_and_of_other_places_say_the_same(tmp_path, lamphq, builders, lists, folders):
    home = builders["lamp-hq"](tmp_path / "other", lists=lists, header=False, folders=folders)
    assert read_lamphq(home).protocols == read_lamphq(lamphq).protocols


def test_an_empty_gallery_is_refused_with_its_list(lamphq):
    (lamphq / "Protocols" / "test" / "gallery_vis1.txt").write_text("path label\n")
    with pytest.raises(UserError, match=r"gallery_vis1\.txt: expected one image path per line"):
        read_lamphq(lamphq)


def test_a_person_in_training_and_test_is_refused(lamphq, listed):
    listed(lamphq / "Protocols" / "test" / "probe_nir1.txt", [r"NIR\0011\0.jpg 11"])
    with pytest.raises(UserError, match=r"protocol '1': 1 people are in training and test \(11\)"):
        read_lamphq(lamphq)


def test_labels_that_count_anew_in_each_list_are_refused(lamphq, listed):
    listed(lamphq / "Protocols" / "train" / "train_nir2.txt", [r"NIR\0021\0.jpg 99"])
    with pytest.raises(UserError, match=r"NIR/0021/0\.jpg is of person 99, and of person 21 in another list"):
        read_lamphq(lamphq)


def test_a_line_without_a_label_is_refused(lamphq, listed):
    listed(lamphq / "Protocols" / "test" / "probe_nir1.txt", [r"NIR\0021\0.jpg"])
    with pytest.raises(UserError, match=r"probe_nir1\.txt, line 1: expected <path> <label>"):
        read_lamphq(lamphq)


def test_a_capture_of_the_other_modality_is_refused(lamphq, listed):
    listed(lamphq / "Protocols" / "test" / "probe_nir1.txt", [r"VIS\0021\0.jpg 21"])
    with pytest.raises(UserError, match=r"probe_nir1\.txt, line 1: expected a NIR capture"):
        read_lamphq(lamphq)


def test_a_fold_that_lacks_a_list_is_refused(lamphq):
    (lamphq / "Protocols" / "train" / "train_vis2.txt").unlink()
    with pytest.raises(UserError, match=r"protocol 2 lacks train_vis2\.txt"):
        read_lamphq(lamphq)
