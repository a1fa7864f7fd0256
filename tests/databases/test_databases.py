import numpy as np
import pytest

from pcfh.databases.layouts import LAYOUTS, Choice, in_protocols, layout_of, open_database
from pcfh.databases.lists import Lists
from pcfh.databases.records import subjects
from pcfh.errors import UserError
from pcfh.landmarks.given import write_landmarks


@pytest.fixture(params=list(LAYOUTS))
def miniature(request):
    """A small database of each layout, and the layout's name."""
    fixture = {"lamp-hq": "lamphq"}.get(request.param, request.param)
    return request.getfixturevalue(fixture), request.param


def test_a_layout_is_told_by_what_lies_on_disk(miniature):
    root, name = miniature
    assert layout_of(root) == name


def test_a_layout_is_told_from_the_folder_above(miniature):
    root, name = miniature
    assert layout_of(root.parent) == name


def test_what_was_told_is_read(miniature):
    root, name = miniature
    assert open_database(root) == open_database(root, name)


def test_names_with_the_folders_in_them_are_oulu_too(tmp_path, builders):
    builders["oulu"](tmp_path, people=(1,), name="{c}_{l}_P{p:03}_{e}_{n:03}.jpeg")
    assert layout_of(tmp_path) == "oulu"


def test_any_example_in_the_messages_is_of_its_layout():
    told = {
        name: [n for n, other in LAYOUTS.items() if other.sign.fullmatch(layout.example)]
        for name, layout in LAYOUTS.items()
    }
    assert told == {name: [name] for name in LAYOUTS}


def test_the_choice_reaches_the_draw(oulu):
    drawn = open_database(oulu, "oulu", Choice(seed=4, illumination="Weak"))
    assert drawn.protocol("1").probe[0].session.startswith("Weak_")
    assert "protocol 1 is drawn with seed 4: there is no official list" in drawn.notes


def test_only_captures_of_a_protocol_can_be_kept(oulu):
    database = in_protocols(open_database(oulu))
    protocol = database.protocol("1")
    assert set(database.records) == {*protocol.train, *protocol.gallery, *protocol.probe}
    assert len(database.records) == 6 * 2 * 6 * 8


def test_landmarks_at_the_root_are_those_of_records_and_protocols(buaa, face):
    write_landmarks(buaa / "landmarks68.csv", {"4/2.png": face().astype(np.float64)})
    database = open_database(buaa)
    (record,) = (record for record in database.records if record.landmarks)
    assert record.path == "4/2.bmp"
    assert np.allclose(record.landmarks, face(), atol=0.001)
    used = (*database.protocol("1").train, *database.protocol("1").probe)
    assert record in used


def test_own_lists_are_refused_where_the_database_brings_its_own(lamphq):
    with pytest.raises(UserError, match="LAMP-HQ brings its own lists; to use others, give --root"):
        open_database(lamphq, choice=Choice(lists=Lists()))


def test_an_unknown_layout_is_refused(oulu):
    known = "casia, lamp-hq, oulu, tufts, captures, buaa"
    with pytest.raises(UserError, match=f"no layout 'hfb'; known: {known}"):
        open_database(oulu, "hfb")


def test_a_folder_of_no_known_layout_is_refused(tmp_path, drawn):
    drawn(tmp_path / "anna" / "holiday.jpg")
    with pytest.raises(
        UserError, match=r"of no known layout; expected one of protocols/nir_train_1\.txt \(casia\)"
    ):
        layout_of(tmp_path)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="the folder is empty"):
        layout_of(tmp_path)


def test_an_absent_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="gone: no such folder"):
        layout_of(tmp_path / "gone")


def test_the_people_of_every_miniature_are_disjoint(miniature):
    root, _ = miniature
    for protocol in open_database(root).protocols.values():
        assert not set(subjects(protocol.train)) & set(subjects((*protocol.gallery, *protocol.probe)))
