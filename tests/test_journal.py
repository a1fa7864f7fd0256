import json
from dataclasses import dataclass

import pytest

from pcfh.errors import UserError
from pcfh.journal import changes, open_journal

IDENTITY = {"format": "pcfh-journal", "version": 1, "sizes": (64, 128)}


@dataclass(frozen=True, kw_only=True)
class Entry:
    path: str
    points: tuple[tuple[float, float], ...] | None = None


def opened(path, identity=IDENTITY):
    return open_journal(path, identity, Entry, work="preparation")


@pytest.fixture
def journal(tmp_path):
    """A journal of two entries."""
    with opened(tmp_path / "work" / "journal.jsonl") as journal:
        journal.append(Entry(path="a", points=((1.0, 2.5),)))
        journal.append(Entry(path="m\udcfc"))
    return tmp_path / "work" / "journal.jsonl"


def test_entries_come_back_as_they_were(journal):
    with opened(journal) as again:
        assert again.entries == (Entry(path="a", points=((1.0, 2.5),)), Entry(path="m\udcfc"))


def test_new_entries_follow_the_old_ones(journal):
    with opened(journal) as again:
        again.append(Entry(path="c"))
    assert [json.loads(line).get("path") for line in journal.read_bytes().splitlines()] == [
        None,
        "a",
        "m\udcfc",
        "c",
    ]


def test_a_half_written_last_line_is_cut_off(journal):
    journal.write_bytes(journal.read_bytes()[:-3])
    with opened(journal) as again:
        assert [entry.path for entry in again.entries] == ["a"]
        again.append(Entry(path="c"))
    assert len([json.loads(line) for line in journal.read_bytes().splitlines()]) == 3


@pytest.mark.parametrize("left", [b"", b'{"format": "pcfh', b'{"format": "other"}\n'])
def test_a_journal_without_entries_is_begun_again(tmp_path, left):
    (tmp_path / "journal.jsonl").write_bytes(left)
    with opened(tmp_path / "journal.jsonl") as journal:
        assert journal.entries == ()
    assert json.loads((tmp_path / "journal.jsonl").read_bytes()) == {**IDENTITY, "sizes": [64, 128]}


@pytest.mark.parametrize("line", [b"{nonsense}", b"[]", b'{"path": 3}', b'{"points": null}'])
def test_a_damaged_line_is_refused_with_its_number(journal, line):
    first, *others = journal.read_bytes().splitlines()
    journal.write_bytes(b"\n".join((first, line, *others, b"")))
    with pytest.raises(UserError, match=r"journal\.jsonl, line 2: is damaged .* delete"), opened(journal):
        pass


def test_another_identity_is_refused_with_what_differs(journal):
    with (
        pytest.raises(UserError, match=r"holds another preparation \(sizes was \[64, 128\] and is \[64\]\)"),
        opened(journal, {**IDENTITY, "sizes": (64,)}),
    ):
        pass


def test_two_processes_at_once_are_refused(journal):
    with (
        opened(journal),
        pytest.raises(UserError, match="another process is at work on this preparation"),
        opened(journal),
    ):
        pass


def test_differences_are_named_by_group_whichever_side_lacks_them():
    found = {"training": {"steps": 10, "seed": 0}, "old": 1}
    assert changes(found, {"training": {"steps": 20, "seed": 0}, "new": 2}) == [
        "training.steps was 10 and is 20",
        "new was None and is 2",
        "old was 1 and is None",
    ]
