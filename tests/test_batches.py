"""Batches that go on: what is done is passed over, what changed is done again, whatever happened."""

import csv
import os
import sqlite3
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from pcfh.batches import ReadFace, Way, Work, Written, run_work
from pcfh.errors import UserError
from pcfh.ledger import Row, open_ledger
from pcfh.shards import Shard


def read(seen, tasks):
    """A face of each picture that is no text."""
    faces = []
    for task in tasks:
        text = Path(task.source).read_bytes()
        seen.append(task.key)
        crop, points = np.full((2, 2, 3), len(text), np.uint8), np.zeros((68, 2))
        good = ReadFace(task=task, crop=crop, landmarks=points, faces=1, distance=0.25, unlike="too dark")
        faces.append(ReadFace(task=task, faces=0, error="is bad") if text.startswith(b"bad") else good)
    return faces


def write(faces):
    """Copies."""
    for face in faces:
        Path(face.task.target).parent.mkdir(parents=True, exist_ok=True)
        Path(face.task.target).write_bytes(b"from " + Path(face.task.source).read_bytes())
    return [Written(face=face) for face in faces]


class Batch:
    """Some pictures and the work on them."""

    def __init__(self, folder):
        self.photos, self.out, self.seen = folder / "photos", folder / "out", []
        self.put(("a.jpg", "one"), ("b/a.jpg", "two"), ("b/c.png", "three"))

    def put(self, *files):
        for name, text in files:
            (self.photos / name).parent.mkdir(parents=True, exist_ok=True)
            (self.photos / name).write_text(text)

    def work(self, settings="model 1", write=write):
        return Work(
            name="translation",
            settings=settings,
            start_reader=lambda: partial(read, self.seen),
            start_writer=lambda: write,
            ending=".png",
        )

    def run(self, *sources, work=None, **way):
        """What is worked on anew, and the summary."""
        self.seen.clear()
        summary = run_work(work or self.work(), sources or [self.photos], self.out, Way(workers=1, **way))
        return sorted(self.seen), summary

    def table(self):
        with (self.out / "manifest.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))


@pytest.fixture
def batch(tmp_path):
    return Batch(tmp_path)


def test_what_is_done_is_passed_over(batch):
    assert batch.run()[0] == ["a.png", "b/a.png", "b/c.png"]
    seen, summary = batch.run()
    assert (seen, summary.done, summary.before, summary.failed) == ([], 3, 3, 0)


def test_a_changed_picture_is_done_again(batch):
    batch.run()
    batch.put(("b/a.jpg", "another"))
    assert batch.run()[0] == ["b/a.png"]
    assert (batch.out / "b/a.png").read_text() == "from another"


def test_another_picture_of_equal_size_and_time_is_none_that_is_done(batch, tmp_path):
    batch.run()
    other = Batch(tmp_path / "elsewhere").photos
    other_a, mine = other / "a.jpg", (batch.photos / "a.jpg").stat()
    os.utime(other_a, ns=(mine.st_atime_ns, mine.st_mtime_ns))
    assert "a.png" in batch.run(other)[0]


def test_however_a_source_is_named_it_is_the_same(batch, monkeypatch):
    batch.run()
    monkeypatch.chdir(batch.photos.parent)
    assert batch.run(Path("photos"))[0] == []


def test_another_model_does_all_again_and_so_does_overwrite(batch):
    batch.run()
    assert len(batch.run(work=batch.work("model 2"))[0]) == 3
    assert len(batch.run(work=batch.work("model 2"), overwrite=True)[0]) == 3


def test_a_result_that_was_deleted_is_made_again(batch):
    batch.run()
    (batch.out / "a.png").unlink()
    assert batch.run()[0] == ["a.png"]


def test_a_bad_picture_is_not_tried_again_but_named_again(batch):
    batch.put(("d.jpg", "bad"))
    batch.run()
    seen, summary = batch.run()
    assert (seen, summary.failed) == ([], 1)
    assert summary.failures == ((str(batch.photos / "d.jpg"), "is bad"),)


def test_no_result_of_an_earlier_picture_stays_where_the_new_one_has_none(batch):
    batch.run()
    batch.put(("a.jpg", "bad now"))
    batch.run()
    assert not (batch.out / "a.png").exists()
    assert batch.table()[0]["result"] == ""


def test_what_could_not_be_written_is_tried_again(batch):
    def full(faces):
        return [Written(face=face, error="no space left", retry=True) for face in faces]

    assert batch.run(work=batch.work(write=full))[1].failed == 3
    assert len(batch.run()[0]) == 3


def test_the_table_says_what_became_of_each_picture_in_the_order_of_their_names(batch):
    batch.put(("d.jpg", "bad"), ("letter.txt", "to my aunt"))
    batch.run()
    assert [tuple(row.values()) for row in batch.table()] == [
        (str(batch.photos / "a.jpg"), "a.png", "1", "0.250", "too dark", "", ""),
        (str(batch.photos / "b/a.jpg"), "b/a.png", "1", "0.250", "too dark", "", ""),
        (str(batch.photos / "b/c.png"), "b/c.png", "1", "0.250", "too dark", "", ""),
        (str(batch.photos / "d.jpg"), "", "0", "", "", "", "is bad"),
        (str(batch.photos / "letter.txt"), "", "", "", "", "", "left out: is no picture by its ending"),
    ]


def test_what_is_left_out_is_named_with_the_reason(batch, monkeypatch):
    (batch.photos / "link").symlink_to(batch.photos / "b")
    (batch.photos / "lost.jpg").symlink_to(batch.photos / "nowhere.jpg")
    os.mkfifo(batch.photos / "pipe.png")
    (batch.photos / "closed").mkdir()
    look = os.scandir

    def scan(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return look(path)

    monkeypatch.setattr("pcfh.sources.os.scandir", scan)
    seen, summary = batch.run()
    assert len(seen) == 3
    assert [(Path(source).name, reason) for source, reason in summary.failures] == [
        ("closed", "left out: this folder cannot be read (Permission denied)"),
        ("link", "left out: is a symbolic link to a folder; name that folder itself"),
        ("lost.jpg", "left out: is a symbolic link that leads nowhere"),
        ("pipe.png", "left out: is a device or pipe, no file"),
    ]


def test_files_that_are_no_pictures_are_counted_and_do_no_harm(batch):
    batch.put(("letter.txt", "to my aunt"), (".hidden.jpg", "x"))
    summary = batch.run()[1]
    assert (summary.failed, summary.ignored) == (0, 2)


@pytest.mark.parametrize("name", ["scan.pgm", "scan.JFIF", "scan.jp2", "photo.heic", "scan.gif"])
def test_pictures_of_any_kind_are_tried(batch, name):
    batch.put((name, "four"))
    assert f"{Path(name).stem}.png" in batch.run()[0]


def test_a_source_below_the_folder_of_results_is_safe_from_them(tmp_path):
    batch = Batch(tmp_path)
    batch.put(("photos/d.jpg", "inner"))
    batch.out = tmp_path
    summary = batch.run()[1]
    assert [Path(source).name for source, _ in summary.failures] == ["d.jpg"]
    assert (batch.photos / "photos" / "d.jpg").read_text() == "inner"


def test_a_name_that_is_no_text_is_kept_apart(batch):
    for name in (b"\xff.jpg", b"\xfe.jpg"):
        Path(os.fsdecode(os.fsencode(batch.photos) + b"/" + name)).write_text("x")
    assert len(batch.run()[0]) == 5
    assert batch.run()[0] == []
    assert [row["result"] for row in batch.table()][-2:] == [r"\udcfe.png", r"\udcff.png"]


def test_parts_do_each_picture_once_and_the_whole_takes_them_in(batch, tmp_path):
    batch.put(*((f"p/{number}.jpg", f"{number}") for number in range(20)))
    parts = [batch.run(shard=Shard(number, 3))[0] for number in (1, 2, 3)]
    assert all(parts) and len(set().union(*parts)) == sum(map(len, parts)) == 23
    assert (batch.out / "manifest-2-of-3.csv").is_file()
    assert batch.run()[0] == []
    assert sorted(path.name for path in batch.out.glob("*.csv")) == ["manifest.csv"]
    whole = (batch.out / "manifest.csv").read_bytes()
    batch.out = tmp_path / "at once"
    batch.run()
    assert (batch.out / "manifest.csv").read_bytes() == whole


def test_a_part_passes_over_what_was_done_before_the_work_was_divided(batch):
    batch.run()
    assert [batch.run(shard=Shard(number, 2))[0] for number in (1, 2)] == [[], []]


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "1/0", "-1/3", "1/2/3"])
def test_what_is_no_part_is_refused(text):
    with pytest.raises(UserError, match="expected a part and how many there are, such as 3/100"):
        Shard.of(text)


def test_two_at_once_are_refused(batch):
    with (
        open_ledger(batch.out, work="translation"),
        pytest.raises(UserError, match="another process is at work on this translation"),
    ):
        batch.run()


ROW = Row(key="x.png", source="x.jpg", stamp=(1, 2), settings="s", state="done")


def test_a_table_that_a_killed_process_left_is_mended(tmp_path):
    with open_ledger(tmp_path, work="translation") as ledger:
        ledger.record([ROW])
    whole = (tmp_path / "manifest.csv").read_bytes()
    for left in (b"", whole[:-3], whole + b"y.jpg,y.png", None):
        (tmp_path / "manifest.csv").unlink()
        if left is not None:
            (tmp_path / "manifest.csv").write_bytes(left)
        with open_ledger(tmp_path, work="translation"):
            pass
        assert (tmp_path / "manifest.csv").read_bytes() == whole


def test_rows_reach_the_disk_while_work_goes_on(tmp_path):
    with open_ledger(tmp_path, work="translation") as ledger:
        ledger._flushed -= 2  # seconds
        ledger.record([ROW])
        assert "x.jpg,x.png" in (tmp_path / "manifest.csv").read_text()
        with sqlite3.connect(tmp_path / ".pcfh-work.sqlite") as other:
            assert other.execute("SELECT count(*) FROM rows").fetchone() == (1,)


def test_what_a_killed_process_was_writing_is_cleared_away_next_time(batch):
    def killed(faces):
        (batch.out / ".a.png.123-abc.part").write_text("half")
        raise MemoryError("killed")

    batch.out.mkdir()
    with pytest.raises(MemoryError):
        batch.run(work=batch.work(write=killed))
    assert list(batch.out.glob(".*.part"))
    batch.run()
    assert not list(batch.out.glob(".*.part"))


def test_a_damaged_state_is_named_and_its_remedy(tmp_path):
    (tmp_path / ".pcfh-work.sqlite").write_bytes(b"no database" * 1000)
    said = r"\.pcfh-work\.sqlite: is damaged .*; delete it"
    with pytest.raises(UserError, match=said), open_ledger(tmp_path, work="translation"):
        pass
