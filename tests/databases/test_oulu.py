from collections import Counter
from hashlib import sha256

import pytest

from pcfh.databases.lists import Lists
from pcfh.databases.oulu import read_oulu
from pcfh.databases.records import subjects
from pcfh.errors import UserError


@pytest.fixture
def protocol(oulu):
    return read_oulu(oulu).protocol("1")


def test_every_frame_on_disk_is_a_record(oulu):
    records = read_oulu(oulu).records
    assert Counter(record.modality for record in records) == {"NIR": 6 * 6 * 12, "VIS": 6 * 6 * 12}
    assert subjects(records) == ("P001", "P002", "P051", "P052", "P053", "P054")


def test_the_session_is_light_and_expression(oulu):
    record = next(r for r in read_oulu(oulu).records if r.path == "VL/Weak/P051/Fear/000.jpeg")
    assert (record.session, record.modality) == ("Weak_Fear", "VIS")


def test_half_of_the_people_train_and_the_others_are_tested(protocol):
    train, gallery, probe = map(subjects, (protocol.train, protocol.gallery, protocol.probe))
    assert (len(train), len(gallery)) == (3, 3)
    assert gallery == probe


def test_eight_frames_of_each_expression_and_camera_take_part(protocol):
    used = (*protocol.train, *protocol.gallery, *protocol.probe)
    films = Counter((r.subject, r.modality, r.session) for r in used)
    assert len(films) == 6 * 2 * 6
    assert set(films.values()) == {8}


def test_the_gallery_is_vis_and_the_probes_are_nir_in_strong_light(protocol):
    assert {(r.modality, r.session.split("_")[0]) for r in protocol.gallery} == {("VIS", "Strong")}
    assert {(r.modality, r.session.split("_")[0]) for r in protocol.probe} == {("NIR", "Strong")}


def test_ten_people_of_oulu_and_thirty_of_casia_take_part(tmp_path, builders):
    root = builders["oulu"](tmp_path, people=range(31, 81), frames=1)
    protocol = read_oulu(root).protocol("1")
    people = subjects((*protocol.train, *protocol.probe))
    assert [sum(p <= "P050" for p in people), sum(p > "P050" for p in people)] == [10, 30]
    assert (len(subjects(protocol.train)), len(subjects(protocol.probe))) == (20, 20)


def lowest(items, count, lot):
    """The draw as docs/protocols.md describes it."""
    return sorted(sorted(items, key=lambda item: sha256(f"{lot} {item}".encode()).hexdigest())[:count])


def test_the_draw_of_people_is_the_one_that_is_written_down(oulu):
    people = ["P001", "P002", "P051", "P052", "P053", "P054"]
    train = read_oulu(oulu, seed=7).protocol("1").train
    assert list(subjects(train)) == lowest(people, 3, "7 train")


def test_the_draw_of_frames_is_the_one_that_is_written_down(oulu):
    protocol = read_oulu(oulu, seed=7).protocol("1")
    record = protocol.probe[0]
    film = [r.path for r in protocol.probe if (r.subject, r.session) == (record.subject, "Strong_Fear")]
    drawn = lowest(map(str, range(10)), 8, f"7 {record.subject} NIR Strong_Fear")
    assert [path[-8:-5] for path in film] == [f"{int(n):03}" for n in drawn]


def test_names_with_the_folders_in_them_draw_the_same_frames(tmp_path, oulu, builders):
    flat = builders["oulu"](tmp_path / "flat", name="{c}_{l}_P{p:03}_{e}_{n:03}.jpeg")
    nested = [r.path.replace("/", "_") for r in read_oulu(oulu).protocol("1").probe]
    assert sorted(nested) == sorted(r.path for r in read_oulu(flat).protocol("1").probe)


def test_case_and_extension_of_names_are_free(tmp_path, builders):
    root = builders["oulu"](tmp_path, name="Ni_Vl/{c}/{l}/p{p:03}/{e}/{n}.JPG")
    records = read_oulu(root).records
    assert len(records) == 2 * 6 * 6 * 12
    assert records[0].subject == "P001"


def test_films_with_fewer_frames_are_noted(oulu):
    notes = read_oulu(oulu, illumination="Dark").notes
    assert notes[1].startswith("72 of 72 films have fewer than 8 frames, e.g. ")


def test_pictures_of_another_form_are_counted_and_left_out(oulu):
    (oulu / "readme.jpg").touch()
    note = "1 pictures are not such as NI/Strong/P001/Anger/000.jpeg and left out, e.g. readme.jpg"
    assert note in read_oulu(oulu).notes


def test_own_lists_take_the_place_of_the_draw(oulu, listed):
    listed(oulu / "vis_test_paths.csv", [r"VL\Strong\P001\Anger\000.jpeg,P001"])
    listed(oulu / "test_nir_paths.txt", ["NI/Strong/P001/Anger/001.jpg 1", "NI/Weak/P001/Fear/000.jpeg 1"])
    lists = Lists(gallery=oulu / "vis_test_paths.csv", probe=oulu / "test_nir_paths.txt")
    protocol = read_oulu(oulu, lists=lists).protocol("own")
    assert [(r.subject, r.path) for r in (*protocol.gallery, *protocol.probe)] == [
        ("P001", "VL/Strong/P001/Anger/000.jpeg"),
        ("P001", "NI/Strong/P001/Anger/001.jpeg"),
        ("P001", "NI/Weak/P001/Fear/000.jpeg"),
    ]


def test_a_light_that_is_not_there_is_refused(tmp_path, builders):
    root = builders["oulu"](tmp_path, frames=0)
    with pytest.raises(UserError, match="no frames of illumination 'Strong'; the database has: Dark, Weak"):
        read_oulu(root)


def test_two_copies_of_a_frame_are_refused(oulu):
    (oulu / "NI_Strong_P001_Anger_000.png").touch()
    with pytest.raises(
        UserError, match=r"NI_Strong_P001_Anger_000\.png are the same capture; give the folder"
    ):
        read_oulu(oulu)


def test_people_without_vis_frames_leave_an_empty_gallery_that_is_refused(tmp_path, builders):
    root = builders["oulu"](tmp_path / "root")
    (root / "VL").rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="protocol '1': 144 probes and an empty gallery"):
        read_oulu(root)
