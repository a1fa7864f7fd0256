from pathlib import Path

import numpy as np
import pytest

from pcfh.databases.layouts import find_layout, in_protocols, layout_of, layouts, open_database
from pcfh.databases.lists import Lists
from pcfh.databases.records import subjects
from pcfh.errors import UserError
from pcfh.landmarks.given import write_landmarks


@pytest.fixture(params=list(layouts()))
def miniature(request):
    """A small database of each layout, and the layout's name."""
    fixture = {"lamp-hq": "lamphq"}.get(request.param, request.param)
    return request.getfixturevalue(fixture), request.param


def test_a_layout_is_told_by_what_lies_on_disk(miniature):
    root, name = miniature
    assert layout_of(root).name == name


def test_a_database_is_found_and_read_from_the_folder_above(miniature):
    root, name = miniature
    assert layout_of(root.parent).name == name
    here, above = (open_database(place) for place in (root, root.parent))
    assert subjects(above.records) == subjects(here.records)
    assert above.protocols.keys() == here.protocols.keys()


@pytest.mark.parametrize("name", ["buaa", "oulu", "tufts"])
def test_a_seed_draws_the_same_again_and_another_seed_another(request, name):
    root = request.getfixturevalue(name)
    drawn = [next(iter(open_database(root, seed=seed).protocols.values())).probe for seed in (0, 0, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_what_was_told_is_read(miniature):
    root, name = miniature
    assert open_database(root) == open_database(root, name)


def test_names_with_the_folders_in_them_are_oulu_too(tmp_path, builders):
    builders["oulu"](tmp_path, people=(1,), name="{c}_{l}_P{p:03}_{e}_{n:03}.jpeg")
    assert layout_of(tmp_path).name == "oulu"


def test_any_example_in_the_messages_is_of_its_layout():
    told = {
        name: [n for n, other in layouts().items() if other.pattern.fullmatch(layout.example)]
        for name, layout in layouts().items()
    }
    assert told == {name: [name] for name in layouts()}


def test_options_reach_the_draw_as_text_too(oulu):
    drawn = open_database(oulu, "oulu", seed="4", illumination="Weak")
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
    assert "landmarks68.csv: has no landmarks for 41 of 42 captures" in database.notes


def test_own_lists_are_refused_where_the_database_brings_its_own(lamphq):
    with pytest.raises(UserError, match="LAMP-HQ brings its own lists; to use others, give --root"):
        open_database(lamphq, lists=Lists())


def test_an_unknown_layout_is_refused(oulu):
    known = "casia, lamp-hq, oulu, tufts, captures, buaa"
    with pytest.raises(UserError, match=f"no layout 'buua'; did you mean buaa\\? known: {known}"):
        open_database(oulu, "buua")


def test_an_option_that_the_database_lacks_is_refused_with_those_it_has(oulu, casia):
    with pytest.raises(UserError, match="Oulu-CASIA NIR-VIS has no option 'infrared'; it has: seed, illum"):
        open_database(oulu, infrared="near")
    with pytest.raises(UserError, match=r"CASIA NIR-VIS 2\.0 has no option 'seed'; it has: none"):
        open_database(casia, seed=3)


@pytest.mark.parametrize(("option", "value"), [("seed", "three"), ("illumination", "Bright")])
def test_a_value_that_cannot_be_is_refused(oulu, option, value):
    with pytest.raises(UserError, match=f"Oulu-CASIA NIR-VIS: {option}={value} cannot be"):
        open_database(oulu, **{option: value})


@pytest.fixture
def outside(tmp_path, drawn, monkeypatch):
    """A database of the layout of examples/my_database.py, whose folder is on Python's path."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "examples")
    for person in ("anna", "bob", "eve"):
        for kind in ("nir", "vis"):
            drawn(tmp_path / "mine" / person / f"{kind}_1.png", grey=kind == "nir")
    return tmp_path / "mine"


def test_a_database_from_outside_is_one_file(run, outside):
    place = "my_database:LAYOUT"
    code, out, err = run("inspect", outside, "--layout", place, "--option", "people_tested=1")
    assert (code, err) == (0, "")
    assert out.startswith(f"My database in {outside}\n")
    rows = [line.split() for line in out.splitlines()]
    assert ["1", "train", "2", "2", "2", "4"] in rows and ["1", "probe", "1", "1", "0", "1"] in rows
    protocol = open_database(outside, place, seed=1).protocol("1")
    assert set(subjects(protocol.train)).isdisjoint(subjects(protocol.probe))


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("my_databas:LAYOUT", "no module 'my_databas' in the working folder or on Python's path"),
        ("my_database:LAYOUTS", "has no attribute 'LAYOUTS'"),
        ("my_database:read", "expected a pcfh.databases.layouts.Layout, got <function"),
    ],
)
def test_a_place_without_a_layout_is_refused(outside, place, text):
    with pytest.raises(UserError, match=text):
        find_layout(place, outside)


def test_a_folder_of_no_known_layout_is_refused(tmp_path, drawn):
    drawn(tmp_path / "anna" / "holiday.jpg")
    with pytest.raises(
        UserError, match=r"of no known layout; expected one of protocols/nir_train_1\.txt \(casia\)"
    ):
        layout_of(tmp_path)


def test_the_people_of_every_miniature_are_disjoint(miniature):
    root, _ = miniature
    for protocol in open_database(root).protocols.values():
        assert not set(subjects(protocol.train)) & set(subjects((*protocol.gallery, *protocol.probe)))


def test_an_empty_or_absent_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="the folder is empty"):
        layout_of(tmp_path)
    with pytest.raises(UserError, match="gone: no such folder"):
        layout_of(tmp_path / "gone")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *((name, "holds no pictures") for name in ("buaa", "oulu", "tufts")),
        ("casia", r"expected a folder protocols with nir_train_1\.txt"),
        ("lamp-hq", r"expected a folder protocols with train_nir1\.txt"),
    ],
)
def test_a_folder_without_the_files_of_its_layout_is_refused(tmp_path, name, text):
    with pytest.raises(UserError, match=text):
        layouts()[name].read(tmp_path)


@pytest.mark.parametrize(
    ("name", "other", "text"),
    [
        ("buaa", "oulu", r"expected pictures such as 1/2\.bmp, found e\.g\. NI/Dark/P001"),
        ("oulu", "buaa", r"expected pictures such as NI/Strong/.*found e\.g\. 1/1\.bmp"),
        ("tufts", "oulu", "expected pictures such as TD_NIR_A"),
        ("lamp-hq", "casia", r"expected lists such as train_nir1\.txt"),
    ],
)
def test_a_folder_of_another_layout_is_refused(request, name, other, text):
    with pytest.raises(UserError, match=text):
        layouts()[name].read(request.getfixturevalue(other))


@pytest.mark.parametrize("name", ["casia", "lamp-hq"])
def test_a_folder_that_is_not_there_is_refused(tmp_path, name):
    with pytest.raises(UserError, match="no such folder; give the one that the database was unpacked to"):
        layouts()[name].read(tmp_path / "gone")
