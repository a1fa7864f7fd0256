"""Rendered databases: read as CASIA NIR-VIS 2.0, the same bytes however they were made, safe to resume."""

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from pcfh.databases.buaa import read_buaa
from pcfh.databases.casia import read_casia
from pcfh.databases.layouts import open_database
from pcfh.databases.oulu import read_oulu
from pcfh.databases.records import LANDMARKS_FILE, subjects
from pcfh.databases.rendered import Region, mask_path
from pcfh.errors import UserError
from pcfh.images import read_image
from pcfh.shards import Shard
from pcfh_render.checksums import changes_since, whole_sum
from pcfh_render.database import HOME, render_database, render_part
from pcfh_render.difficulty import difficulty_of
from pcfh_render.recipes import RECIPES, Recipe, recipe_of, sittings, training_people
from pcfh_render.sampling import draw_look, draw_person
from pcfh_render.series import SERIES, captures_of, series_of
from pcfh_render.shifts import SHIFTS

sys.path.insert(0, str(Path(__file__).parent))  # processes import what they run by its name
from standin import Fainting, Painter, studio

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RECIPE = Recipe(identities=10, seed=1, nir=3, vis=2, folds=2, returning=0.5, size=16)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """Ten people; read only."""
    return render_database(studio(), tmp_path_factory.mktemp("rendered"), RECIPE)


@pytest.fixture(scope="module")
def database(rendered):
    return read_casia(rendered.home)


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_reader_finds_nothing_odd(database):
    assert database.notes == ()


def test_protocols_are_the_folds_and_view_1(database):
    assert list(database.protocols) == ["1", "2", "dev"]


def test_half_of_the_people_train_and_the_others_are_tested(database):
    for protocol in database.protocols.values():
        trained, tested = set(subjects(protocol.train)), set(subjects(protocol.probe))
        assert len(trained) == len(tested) == 5
        assert not trained & tested


def test_the_halves_of_no_two_protocols_are_equal():
    halves = training_people(replace(RECIPE, identities=6, folds=10))
    assert len(set(halves.values())) == 11


def test_the_gallery_has_one_capture_of_each_tested_person(database):
    for protocol in database.protocols.values():
        assert [r.subject for r in protocol.gallery] == sorted(set(subjects(protocol.probe)))


def test_the_gallery_is_the_least_departure_of_its_person(rendered, database):
    least: dict[str, float] = {}
    departures = {row["path"]: float(row["departure"]) for row in rows(rendered.home / "parameters.csv")}
    for record in database.records:
        if record.modality == "VIS":
            place = departures[record.path]
            least[record.subject] = min(place, least.get(record.subject, place))
    for record in database.protocol("1").gallery:
        assert departures[record.path] == least[record.subject]


def test_every_near_infrared_capture_is_in_every_protocol(rendered, database):
    for protocol in database.protocols.values():
        captures = [*protocol.train, *protocol.probe]
        assert sum(record.modality == "NIR" for record in captures) == 10 * 3
    assert rendered.captures == 10 * 5


def test_lists_have_backslashes_and_windows_line_ends(rendered):
    text = (rendered.home / "protocols" / "nir_probe_1.txt").read_bytes().decode()
    assert text.endswith("\r\n")
    assert all("\\NIR\\" in line and "/" not in line for line in text.split("\r\n")[:-1])


def test_near_infrared_files_have_one_channel(database):
    for record in database.records:
        with Image.open(database.root / record.path) as opened:
            assert opened.mode == {"NIR": "L", "VIS": "RGB"}[record.modality]


def test_every_near_infrared_capture_has_its_truth(database):
    for record in database.records:
        truth = database.root / "truth" / record.path
        assert truth.is_file() == (record.modality == "NIR")


def test_the_truth_is_that_of_its_capture(database):
    record = next(record for record in database.records if record.modality == "NIR")
    capture, truth = (
        read_image(database.root / path).astype(int) for path in (record.path, f"truth/{record.path}")
    )
    np.testing.assert_allclose(capture.mean() + truth.mean(), 255, atol=2)


def test_landmarks_are_read_with_the_captures(database):
    assert all(record.landmarks is not None for record in database.records)


def test_there_is_one_row_of_parameters_per_capture(rendered, database):
    table = rows(rendered.home / "parameters.csv")
    assert {row["path"] for row in table} >= {record.path for record in database.records}
    assert len({row["path"] for row in table}) == len(table) == 50
    assert all(
        row["path"].split("/")[:3] == [row["session"], row["modality"], row["subject"]] for row in table
    )


def test_the_table_of_people_tells_their_sessions(rendered, database):
    told = {row["subject"]: row["sessions"].split() for row in rows(rendered.home / "people.csv")}
    found = {s: sorted({r.session for r in database.records if r.subject == s}) for s in told}
    assert told == found
    assert {len(sessions) for sessions in told.values()} == {1, 2}


def test_pictures_say_that_they_are_synthetic(database):
    with Image.open(database.root / database.records[0].path) as opened:
        assert b"Synthetic face" in opened.info["comment"]
        assert "Synthetic face" in opened.getexif()[0x010E]
        description = next(ElementTree.fromstring(opened.info["xmp"].decode()).iter(f"{{{_RDF}}}Description"))
    mark = description.get("{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType")
    assert mark == "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia"


def test_two_processes_give_the_same_bytes_as_one(rendered, tmp_path):
    again = render_database(studio(), tmp_path, RECIPE, workers=2)
    assert again.checksum == rendered.checksum


def test_parts_and_then_the_whole_give_the_same_bytes(rendered, tmp_path):
    people = [render_part(studio(), tmp_path, RECIPE, Shard(number, 2)) for number in (1, 2)]
    assert sum(people) == RECIPE.identities and all(people)
    assert render_database(studio(Fainting), tmp_path, RECIPE).checksum == rendered.checksum


def test_an_interrupted_database_goes_on_to_the_same_bytes(rendered, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        render_database(studio(Fainting), tmp_path, RECIPE)
    done: list[int] = []
    again = render_database(studio(), tmp_path, RECIPE, on_progress=lambda number, _: done.append(number))
    assert done[:2] == [5 * 4, 5 * 5]
    assert again.checksum == rendered.checksum


def test_a_leftover_of_a_killed_process_does_not_bar_the_folder(rendered, tmp_path):
    (tmp_path / rendered.home.name).mkdir()
    (tmp_path / rendered.home.name / ".recipe.json.123-ab.part").touch()
    assert render_database(studio(), tmp_path, RECIPE).checksum == rendered.checksum


def test_nothing_hidden_is_left_of_the_work(rendered):
    assert [path.name for path in rendered.home.rglob(".*")] == [".lock"]


def test_a_finished_database_is_not_rendered_again(rendered):
    states = {path: path.stat().st_mtime_ns for path in rendered.home.rglob("*.jpg")}
    again = render_database(studio(Fainting), rendered.home.parent, RECIPE)
    assert again == rendered
    assert states == {path: path.stat().st_mtime_ns for path in rendered.home.rglob("*.jpg")}


def test_a_changed_recipe_is_refused(rendered):
    changed = replace(RECIPE, vis=3)
    with pytest.raises(UserError, match=r"holds another database \(vis was 2 and is 3\)"):
        render_database(studio(), rendered.home.parent, changed)


def test_another_face_model_is_refused(rendered):
    other = replace(studio(), fingerprint="other")
    with pytest.raises(UserError, match="face_model was 'none' and is 'other'"):
        render_database(other, rendered.home.parent, RECIPE)


def test_a_folder_of_other_files_is_refused(tmp_path):
    (tmp_path / HOME).mkdir()
    (tmp_path / HOME / "mine.txt").touch()
    with pytest.raises(UserError, match="holds files that pcfh render did not write"):
        render_database(studio(), tmp_path, RECIPE)


def test_a_damaged_recipe_file_is_refused(tmp_path):
    (tmp_path / HOME).mkdir()
    (tmp_path / HOME / "recipe.json").write_text("{")
    with pytest.raises(UserError, match=r"recipe\.json: is damaged"):
        render_database(studio(), tmp_path, RECIPE)


def test_a_second_process_is_kept_out(tmp_path):
    refused: list[str] = []

    class Curious(Painter):
        def portraits(self, person, look, shots, *, truth=True):
            with pytest.raises(UserError) as caught:
                render_database(studio(), tmp_path, RECIPE)
            refused.append(str(caught.value))
            return super().portraits(person, look, shots, truth=truth)

    render_database(studio(Curious), tmp_path, replace(RECIPE, identities=1, folds=0))
    assert "is being rendered by another process" in refused[0]


def test_a_database_without_near_infrared_needs_no_lists(tmp_path):
    rendered = render_database(studio(), tmp_path, Recipe(identities=2, seed=0, nir=0, vis=3, folds=0))
    records = open_database(tmp_path).protocol("all").train
    assert {record.modality for record in records} == {"VIS"}
    assert all(record.landmarks for record in records)
    assert len(records) == rendered.captures
    assert not (rendered.home / "protocols").exists()


def test_with_a_truth_fold_only_people_tested_in_it_have_true_images(rendered, tmp_path):
    """All else is the same to the byte."""
    home = render_database(studio(), tmp_path, replace(RECIPE, truth_fold=2)).home
    tested = set(subjects(open_database(tmp_path).protocol("2").probe))
    assert {path.parent.name for path in (home / "truth").rglob("*.jpg")} == tested
    for path in home.glob("s*/*/*/*.jpg"):
        assert path.read_bytes() == (rendered.home / path.relative_to(home)).read_bytes()
    assert json.loads((home / "recipe.json").read_text())["truth_fold"] == 2
    assert "truth_fold: 2" in (home / "README.txt").read_text()


def test_another_truth_fold_is_another_database(rendered):
    with pytest.raises(UserError, match="truth_fold was 0 and is 1"):
        render_database(studio(), rendered.home.parent, replace(RECIPE, truth_fold=1))


def test_masks_are_kept_where_the_recipe_asks_for_them(rendered, tmp_path):
    """All else is the same to the byte."""
    home = render_database(studio(), tmp_path, replace(RECIPE, masks=True)).home
    nir = {path.relative_to(home) for path in home.glob("s*/NIR/*/*.jpg")}
    assert {path.relative_to(home / "masks") for path in home.rglob("*.png")} == {
        path.with_suffix(".png") for path in nir
    }
    mask = read_image(home / mask_path(next(iter(nir)).as_posix()))
    assert mask.max() <= max(Region)
    assert not (rendered.home / "masks").exists()
    for path in home.glob("s*/*/*/*.jpg"):
        assert path.read_bytes() == (rendered.home / path.relative_to(home)).read_bytes()


def test_each_shift_is_a_fold_of_the_same_moments(tmp_path):
    recipe = Recipe(identities=4, seed=1, nir=2, vis=2, folds=0, size=16, difficulty="close", shifts=True)
    home = render_database(studio(), tmp_path, recipe).home
    shifts = {row["path"]: row["shift"] for row in rows(home / "parameters.csv")}
    database = read_casia(home)
    assert len(database.protocols) == len(SHIFTS)
    for name, protocol in zip(SHIFTS, database.protocols.values(), strict=True):
        assert {shifts[record.path] for record in protocol.probe} == {name}
        assert len(protocol.probe) == 3 * 2
        assert protocol.gallery == database.protocol("1").gallery


def test_the_recipe_is_written_down(rendered):
    told = json.loads((rendered.home / "recipe.json").read_text())
    assert (told["identities"], told["seed"], told["folds"]) == (10, 1, 2)


def test_an_untouched_database_has_no_changes(rendered):
    assert changes_since(rendered.home) == ()


def test_lost_changed_and_added_files_are_found(tmp_path):
    home = render_database(studio(), tmp_path, replace(RECIPE, identities=1, folds=0)).home
    pictures = sorted(home.glob("s*/VIS/*/*.jpg"))
    pictures[0].unlink()
    pictures[1].write_bytes(b"other")
    (home / "new.txt").touch()
    names = [path.relative_to(home).as_posix() for path in pictures]
    assert changes_since(home) == (
        f"{names[0]}: is missing",
        f"{names[1]}: has other bytes",
        "new.txt: does not belong here",
    )


def test_a_folder_without_checksums_is_refused(tmp_path):
    with pytest.raises(UserError, match="has no SHA256SUMS"):
        whole_sum(tmp_path)


def test_damaged_checksums_are_refused(tmp_path):
    (tmp_path / "SHA256SUMS").write_text("nonsense\n")
    with pytest.raises(UserError, match="SHA256SUMS, line 1: expected a SHA-256 and a path"):
        changes_since(tmp_path)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"identities": 3}, "3 people can be halved in 3 ways only, too few for 10 folds"),
        ({"nir": 0}, "folds need NIR captures"),
        ({"vis": 0}, "expected vis of 1 to 999, got 0"),
        ({"seed": -1}, "expected seed of 0 to 4294967295, got -1"),
        ({"sessions": 5}, "expected sessions of 1 to 4, got 5"),
        ({"truth_fold": 11}, "expected a truth fold of 0 to 10, got 11"),
        ({"difficulty": "mad"}, "expected a difficulty of easy, casia, hard, wild, close, got 'mad'"),
    ],
)
def test_a_recipe_that_cannot_work_is_refused(change, text):
    with pytest.raises(UserError, match=text):
        replace(Recipe(identities=20, seed=0), **change).check()


def test_named_recipes_can_work():
    for name in RECIPES:
        recipe_of(name).check()


def test_the_benchmark_has_the_counts_of_casia():
    recipe = recipe_of("sf")
    trained = training_people(recipe)
    assert {len(people) for people in trained.values()} == {357}
    assert len(trained) == 11
    plans = [sittings(recipe, subject) for subject in recipe.subjects]
    assert np.mean([sum(s.nir for s in plan) for plan in plans]) == pytest.approx(17, abs=0.3)
    assert np.mean([sum(s.vis for s in plan) for plan in plans]) == pytest.approx(7, abs=0.1)
    assert 8 <= sum(len(plan) == 2 for plan in plans) <= 22


def test_people_are_numbered_from_the_first():
    recipe = replace(recipe_of("sample"), first=500, identities=4)
    assert list(recipe.subjects) == [500, 501, 502, 503]
    assert all(half < set(recipe.subjects) for half in training_people(recipe).values())


def test_the_sample_shows_people_whom_the_mini_benchmark_has_not():
    assert not set(recipe_of("sample").subjects) & set(recipe_of("sf-mini").subjects)


def test_an_unknown_recipe_is_refused_with_those_there_are():
    with pytest.raises(
        UserError,
        match="of sf, sf-mini, sample, recogniser, wild, shifts, sf-buaa, sf-oulu, got 'sfx'",
    ):
        recipe_of("sfx")


class Coloured(Painter):
    """Visible light has colours, by which BUAA's reader tells it."""

    def portraits(self, person, look, shots, *, truth=True):
        for flat in super().portraits(person, look, shots, truth=truth):
            dyed = np.full_like(flat.image, 200) * np.array([1, 0.5, 0.2])
            yield replace(flat, truth=None if flat.truth is None else dyed.astype(np.uint8))


def test_a_series_is_read_as_the_database_whose_layout_it_has(tmp_path):
    """Nine pairs of one moment each, and six expressions in three lights."""
    for name, read, people, captures in (("buaa", read_buaa, 4, 18), ("oulu", read_oulu, 2, 288)):
        recipe = replace(recipe_of(f"sf-{name}"), identities=people, first=50, size=16)
        done = render_database(studio(Coloured), tmp_path, recipe)
        assert (done.home.name, done.captures) == (SERIES[name], people * sum(captures_of(name)))
        found = read(done.home)
        assert len(found.records) == people * captures
        assert len(rows(done.home / LANDMARKS_FILE)) == people * captures
        assert {sum(r.modality == kind for r in found.records) for kind in ("NIR", "VIS")} == {
            people * captures // 2
        }
        assert len(rows(done.home / "parameters.csv")) == people * captures
        assert found.protocol("1").probe
    by_hand = Recipe(identities=2, seed=1, folds=0, series="lfw")
    with pytest.raises(UserError, match="expected a series of buaa, oulu"):
        by_hand.check()
    with pytest.raises(UserError, match="expected lights of the series oulu alone, got 1 of 'buaa'"):
        replace(recipe_of("sf-buaa"), lights=1).check()


def test_the_light_that_table_4_looks_at_is_the_same_with_and_without_the_others(tmp_path):
    person = draw_person(1, 50)
    every, strong = (
        list(series_of("oulu", person, draw_look(person, 1), difficulty_of("casia"), lights=lights))
        for lights in (0, 1)
    )
    assert strong == [planned for planned in every if "/Strong/" in planned.path]
    recipe = replace(recipe_of("sf-oulu"), identities=2, first=50, size=16, lights=1)
    done = render_database(studio(Coloured), tmp_path, recipe)
    found = read_oulu(done.home)
    assert done.captures == len(found.records) == 2 * sum(captures_of("oulu", 1)) == 2 * 96
    assert found.protocol("1").probe


def test_frames_of_a_film_grow_in_expression_and_both_cameras_see_the_same():
    person = draw_person(1, 50)
    plan = list(series_of("oulu", person, draw_look(person, 1), difficulty_of("casia")))
    films = {
        path: [p for p in plan if p.path.startswith(path)]
        for path in ("NI/Weak/P050/Fear", "VL/Weak/P050/Fear")
    }
    strengths = [[dict(p.shot.weights)["browInnerUp_L"] for p in film] for film in films.values()]
    assert strengths[0] == sorted(strengths[0]) == strengths[1]
    assert len(strengths[0]) == 8
    assert all(p.shot.camera.blur >= 0.9 for p in plan)
