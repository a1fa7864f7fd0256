import pytest

from pcfh.databases.lists import Lists
from pcfh.databases.records import subjects
from pcfh.databases.tufts import read_tufts
from pcfh.errors import UserError


def brought(root, listed):
    """Lists as a public program for thermal pictures brings them: all people but 6 and 7 train."""
    lists = root / "Protocol"
    train = [
        f"TD_{kind}_E/{p}/TD_{kind}_E_{n}.jpg" for p in range(1, 6) for kind in ("IR", "RGB") for n in (1, 2)
    ]
    listed(lists / "train.txt", train, newline="\n")
    listed(lists / "gallery.txt", [f"TD_RGB_A/{p}/TD_RGB_A_1_0.jpg" for p in (6, 7)])
    listed(lists / "probe.txt", [f"TD_IR_E/{p}/TD_IR_E_{n}.jpg" for p in (6, 7) for n in (1, 2, 3)])
    return root


def test_photographs_and_near_infrared_pictures_are_records(tufts):
    records = read_tufts(tufts).records
    assert [sum(r.modality == m for r in records) for m in ("NIR", "VIS")] == [21, 21]


def test_the_person_is_the_folder_and_the_session_the_series(tufts):
    record = next(r for r in read_tufts(tufts).records if r.path == "TD_RGB_E/3/TD_RGB_E_2.jpg")
    assert (record.subject, record.session, record.modality) == ("3", "E", "VIS")


def test_ninety_of_112_people_train(tmp_path, builders):
    protocol = read_tufts(builders["tufts"](tmp_path, people=range(1, 113))).protocol("drawn")
    assert [len(subjects(part)) for part in (protocol.train, protocol.gallery)] == [90, 22]


def test_the_neutral_photograph_is_enrolled(tufts):
    gallery = read_tufts(tufts).protocol("drawn").gallery
    assert [r.path for r in gallery] == [f"TD_RGB_E/{r.subject}/TD_RGB_E_1.jpg" for r in gallery]


def test_another_photograph_is_enrolled_where_the_neutral_one_is_absent(tufts):
    person = read_tufts(tufts).protocol("drawn").gallery[0].subject
    (tufts / f"TD_RGB_E/{person}/TD_RGB_E_1.jpg").unlink()
    assert read_tufts(tufts).protocol("drawn").gallery[0].path == f"TD_RGB_A/{person}/TD_RGB_A_1_0.jpg"


def test_all_infrared_pictures_of_the_people_tested_are_probes(tufts):
    protocol = read_tufts(tufts).protocol("drawn")
    assert len(protocol.probe) == 3 * len(protocol.gallery)


def test_folders_named_after_archives_are_read(tmp_path, tufts, builders):
    other = builders["tufts"](tmp_path / "sets", sets=True)
    assert subjects(read_tufts(other).protocol("drawn").train) == subjects(
        read_tufts(tufts).protocol("drawn").train
    )


def test_near_infrared_is_preferred_to_thermal(tmp_path, builders):
    root = builders["tufts"](tmp_path, infrared=("NIR_A", "IR_E"))
    assert {r.path[:6] for r in read_tufts(root).records} == {"TD_NIR", "TD_RGB"}


def test_thermal_pictures_may_be_asked_for_and_are_noted(tmp_path, builders):
    root = builders["tufts"](tmp_path, infrared=("NIR_A", "IR_E"))
    database = read_tufts(root, infrared="thermal")
    assert {r.path[:6] for r in database.records} == {"TD_IR_", "TD_RGB"}
    assert "thermal pictures are taken in the place of near-infrared ones" in database.notes


def test_lists_that_lie_with_the_database_make_protocol_1(tmp_path, builders, listed):
    root = brought(builders["tufts"](tmp_path, infrared=("NIR_A", "IR_E")), listed)
    protocol = read_tufts(root).protocol("1")
    assert [len(part) for part in (protocol.train, protocol.gallery, protocol.probe)] == [20, 2, 6]
    assert protocol.probe[0].path == "TD_IR_E/6/TD_IR_E_1.jpg"


def test_own_lists_are_preferred(tmp_path, builders, listed):
    root = brought(builders["tufts"](tmp_path, infrared=("NIR_A", "IR_E")), listed)
    listed(tmp_path / "g.txt", ["TD_RGB_E/1/TD_RGB_E_1.jpg"])
    listed(tmp_path / "p.txt", ["TD_NIR_A/1/TD_NIR_A_1.jpg"])
    lists = Lists(gallery=tmp_path / "g.txt", probe=tmp_path / "p.txt")
    assert list(read_tufts(root, lists=lists).protocols) == ["own"]


def test_a_list_of_the_infrared_that_was_not_chosen_is_refused(tmp_path, builders, listed):
    root = brought(builders["tufts"](tmp_path, infrared=("NIR_A", "IR_E")), listed)
    with pytest.raises(UserError, match=r"train\.txt, line 1: expected a capture such as TD_NIR_A/1"):
        read_tufts(root, infrared="near")


def test_people_of_one_kind_of_picture_are_left_out_and_noted(tufts):
    (tufts / "TD_NIR_A" / "2").rename(tufts / "gone")
    database = read_tufts(tufts)
    assert "1 people have pictures of one kind only and are left out: 2" in database.notes
    assert "2" not in subjects((*database.protocol("drawn").train, *database.protocol("drawn").gallery))


def test_two_copies_of_a_picture_are_refused(tufts):
    (tufts / "TD_RGB_E_Set1" / "1").mkdir(parents=True)
    (tufts / "TD_RGB_E_Set1" / "1" / "TD_RGB_E_1.jpg").touch()
    with pytest.raises(UserError, match="are the same capture"):
        read_tufts(tufts)


def test_photographs_alone_are_refused(tmp_path, builders):
    with pytest.raises(UserError, match="protocol 'drawn': nobody has NIR and VIS captures"):
        read_tufts(builders["tufts"](tmp_path, infrared=()))
