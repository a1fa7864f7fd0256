"""What counts as done, and what a folder may hold."""

import pytest

from pcfh.errors import UserError
from pcfh.recipes.order import Watch
from pcfh.recipes.stages import (
    Stage,
    fingerprint,
    is_done,
    mark_done,
    require_settings,
    was_done,
    working_in,
)
from pcfh.recipes.training import Cost, Meter, read_cost


@pytest.fixture
def stage(tmp_path):
    made = tmp_path / "made.txt"
    made.write_text("made")
    return Stage(record=tmp_path / "done.json", inputs={"size": (64,), "seed": 0}, outputs=(made,))


def test_a_stage_is_done_once_it_is_marked(stage):
    before = is_done(stage)
    mark_done(stage)
    assert (before, is_done(stage)) == (False, True)


def test_other_inputs_make_it_undone(stage):
    mark_done(stage)
    other = Stage(record=stage.record, inputs={"size": (64,), "seed": 1}, outputs=stage.outputs)
    assert not is_done(other)


@pytest.mark.parametrize("content", ["", "changed", None])
def test_a_changed_output_makes_it_undone_though_it_was_done(stage, content):
    mark_done(stage)
    if content is None:
        stage.outputs[0].unlink()
    else:
        stage.outputs[0].write_text(content)
    assert (is_done(stage), was_done(stage)) == (False, True)


def test_a_damaged_record_counts_as_none(stage):
    mark_done(stage)
    stage.record.write_bytes(stage.record.read_bytes()[:-5])
    assert (is_done(stage), was_done(stage)) == (False, False)


def test_a_watch_that_stops_breaks_preparation_and_evaluation_off():
    told = []
    watch = Watch(on_progress=lambda *what: told.append(what), should_stop=lambda: bool(told))
    with pytest.raises(KeyboardInterrupt):
        watch.progress("prepare ")("casia", 1, 2)
    assert told == [("prepare casia", 1, 2)]


def test_a_fingerprint_changes_with_any_file_below(tmp_path):
    (tmp_path / "s1").mkdir()
    (tmp_path / "s1" / "a.bmp").write_bytes(b"a")
    first = fingerprint(tmp_path)
    again = fingerprint(tmp_path)
    (tmp_path / "s1" / "b.bmp").write_bytes(b"b")
    assert first == again != fingerprint(tmp_path)


def test_an_absent_database_is_named(tmp_path):
    with pytest.raises(UserError, match="absent: no such folder"):
        fingerprint(tmp_path / "absent")


def test_the_same_settings_go_on_and_new_ones_are_added(tmp_path):
    require_settings(tmp_path / "work", {"steps": 5})
    require_settings(tmp_path / "work", {"steps": 5, "oulu seed": 0})
    with pytest.raises(UserError, match="oulu seed: the folder has 0, now 1"):
        require_settings(tmp_path / "work", {"steps": 5, "oulu seed": 1})


def test_all_settings_that_differ_are_listed(tmp_path):
    require_settings(tmp_path / "work", {"steps": 5, "preset": "cpu", "set": ()})
    with pytest.raises(
        UserError, match=r"preset: the folder has 'cpu', now 'tiny'\n  steps|steps(.|\n)*preset"
    ):
        require_settings(tmp_path / "work", {"steps": 9, "preset": "tiny"})


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UserError, match="is not empty and no reproduction was begun there"):
        require_settings(tmp_path, {"steps": 5})


def test_settings_of_another_program_are_refused(tmp_path):
    (tmp_path / "settings.json").write_text("{}")
    with pytest.raises(UserError, match="expected the settings of a reproduction"):
        require_settings(tmp_path, {"steps": 5})


def test_a_folder_at_work_keeps_others_out(tmp_path):
    with (
        working_in(tmp_path),
        pytest.raises(UserError, match="another process is at work"),
        working_in(tmp_path),
    ):
        pass


def test_a_meter_adds_to_what_is_noted(tmp_path, monkeypatch):
    clock = iter([10.0, 12.0])
    monkeypatch.setattr("pcfh.recipes.training.time.process_time", lambda: next(clock))
    path = tmp_path / "cost.json"
    path.write_text('{"processor_seconds": 5.0, "wall_seconds": 1.0, "device": "cpu"}')
    Meter(path, "cpu", processes=3).note()
    cost = read_cost(path)
    assert (cost.processor_seconds, cost.device) == (5.0 + 3 * 2.0, "cpu")
    assert cost.wall_seconds >= 1.0


def test_without_a_note_there_is_no_cost(tmp_path):
    assert read_cost(tmp_path / "cost.json") == Cost()
