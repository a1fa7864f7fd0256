import os

import pytest

from pcfh.databases.folder_pair import read_folder_pair
from pcfh.databases.folders import draw, pictures_below
from pcfh.errors import UserError


@pytest.fixture
def pair(tmp_path, drawn):
    """Folders per person; "ann" and "bob" in both modalities."""
    for person in ("ann", "bob"):
        for n in (2, 1):
            drawn(tmp_path / "nir" / person / f"{n}.png", grey=True)
            drawn(tmp_path / "vis" / person / "day" / f"{n}.jpg")
    return tmp_path


def test_the_person_is_the_first_folder(pair):
    records = read_folder_pair(pair / "nir", pair / "vis").records
    assert [(record.subject, record.modality, record.path) for record in records] == [
        ("ann", "NIR", "nir/ann/1.png"),
        ("ann", "NIR", "nir/ann/2.png"),
        ("bob", "NIR", "nir/bob/1.png"),
        ("bob", "NIR", "nir/bob/2.png"),
        ("ann", "VIS", "vis/ann/day/1.jpg"),
        ("ann", "VIS", "vis/ann/day/2.jpg"),
        ("bob", "VIS", "vis/bob/day/1.jpg"),
        ("bob", "VIS", "vis/bob/day/2.jpg"),
    ]


def test_without_folders_the_person_is_the_name_before_the_underscore(tmp_path, drawn):
    for name in ("a/007_1.png", "a/008.png", "b/007_x_2.png", "b/008_1.png"):
        drawn(tmp_path / name)
    records = read_folder_pair(tmp_path / "a", tmp_path / "b").records
    assert [record.subject for record in records] == ["007", "008", "007", "008"]


def test_a_person_is_one_in_both_spellings_of_the_folders_and_another_in_another_case(tmp_path, drawn):
    one, two, other = "Zo\u00eb", "Zoe\u0308", "zo\u00eb"
    for path in (f"nir/{one}/1.png", f"vis/{two}/1.png", f"nir/{other}/1.png", f"vis/{other}/1.png"):
        drawn(tmp_path / path)
    database = read_folder_pair(tmp_path / "nir", tmp_path / "vis", test_subjects=[f"{two} "])
    assert {record.subject for record in database.records} == {one, other}
    assert [record.subject for record in database.protocol("all").probe] == [one]


def test_the_root_is_the_common_parent(tmp_path, drawn):
    drawn(tmp_path / "x" / "nir" / "a_1.png")
    drawn(tmp_path / "y" / "a_1.png")
    database = read_folder_pair(tmp_path / "x" / "nir", tmp_path / "y")
    assert database.root == tmp_path
    assert [record.path for record in database.records] == ["x/nir/a_1.png", "y/a_1.png"]


def test_everything_trains_by_default(pair):
    database = read_folder_pair(pair / "nir", pair / "vis")
    assert database.protocol("all").train == database.records


def test_people_to_be_tested_do_not_train(pair):
    protocol = read_folder_pair(pair / "nir", pair / "vis", test_subjects=["bob"]).protocol("all")
    assert {record.subject for record in protocol.train} == {"ann"}


def test_the_first_vis_capture_of_each_person_to_be_tested_is_enrolled(pair):
    protocol = read_folder_pair(pair / "nir", pair / "vis", test_subjects=["bob", "ann"]).protocol("all")
    assert [record.path for record in protocol.gallery] == ["vis/ann/day/1.jpg", "vis/bob/day/1.jpg"]


def test_the_nir_captures_of_people_to_be_tested_are_the_probes(pair):
    protocol = read_folder_pair(pair / "nir", pair / "vis", test_subjects=["bob"]).protocol("all")
    assert [record.path for record in protocol.probe] == ["nir/bob/1.png", "nir/bob/2.png"]


def test_an_unknown_person_to_be_tested_is_refused(pair):
    with pytest.raises(UserError, match="each person to be tested; eve lack one"):
        read_folder_pair(pair / "nir", pair / "vis", test_subjects=["eve", "ann"])


def test_other_files_and_hidden_ones_are_passed_over(pair):
    (pair / "nir" / "ann" / "notes.txt").touch()
    (pair / "nir" / "ann" / "._1.png").touch()
    assert len(read_folder_pair(pair / "nir", pair / "vis").records) == 8


def test_people_of_one_modality_are_noted(pair, drawn):
    drawn(pair / "vis" / "eve" / "1.png")
    assert read_folder_pair(pair / "nir", pair / "vis").notes == ("1 people have VIS pictures only: eve",)


def test_an_absent_folder_is_refused(pair):
    with pytest.raises(UserError, match="gone: no such folder; give the one of the VIS pictures"):
        read_folder_pair(pair / "nir", pair / "gone")


def test_a_folder_without_pictures_is_refused(pair):
    (pair / "empty").mkdir()
    with pytest.raises(UserError, match="empty: holds no pictures"):
        read_folder_pair(pair / "empty", pair / "vis")


def test_one_folder_inside_the_other_is_refused(pair):
    with pytest.raises(UserError, match="expected two folders beside each other"):
        read_folder_pair(pair, pair / "vis")


def test_a_draw_does_not_depend_on_the_order_of_the_items():
    items = [str(n) for n in range(50)]
    assert draw(items, 10, "0 train") == draw(reversed(items), 10, "0 train")


def test_a_draw_is_pinned_for_all_time():
    assert draw([str(n) for n in range(20)], 4, "0 train") == ["14", "17", "19", "4"]


def test_an_item_that_leaves_changes_a_draw_by_at_most_one():
    items = [str(n) for n in range(50)]
    whole = set(draw(items, 10, "lot"))
    for gone in items:
        assert len(whole - {gone} - set(draw([i for i in items if i != gone], 10, "lot"))) == 0


def test_a_draw_is_fair():
    hits = sum("7" in draw([str(n) for n in range(10)], 3, f"{seed}") for seed in range(4000))
    assert abs(hits / 4000 - 0.3) < 4 * (0.3 * 0.7 / 4000) ** 0.5


def test_a_draw_of_more_than_there_are_is_all():
    assert draw(["b", "a"], 3, "x") == ["a", "b"]


def test_pictures_below_a_folder_are_relative_sorted_and_not_hidden(tmp_path):
    for name in ("b/2.JPG", "b/1.bmp", "a.png", "b/.hidden.jpg", "b/notes.txt", "._a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert pictures_below(tmp_path) == (["a.png", "b/1.bmp", "b/2.JPG"], ())


def test_pictures_of_other_kinds_and_links_to_folders_are_named_as_left_out(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    for name in ("in/a.png", "in/b.jp2", "in/c.heic"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "d.png").symlink_to(tmp_path / "in" / "a.png")
    assert pictures_below(tmp_path / "in") == (
        ["a.png", "d.png"],
        (
            "2 pictures of kinds that are not read, convert them; left out, e.g. b.jp2",
            "1 folders are links, give the folders themselves; left out, e.g. link",
        ),
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable to root")
def test_folders_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "a.png").touch()
    (tmp_path / "closed").mkdir(mode=0)
    assert "1 folders cannot be read" in pictures_below(tmp_path)[1][0]
