import errno
import hashlib
import os

import pytest

from pcfh.files import atomic_path, remove_leftovers, sha256_of, write_atomically


def test_a_file_is_written_with_its_folder(tmp_path):
    write_atomically(tmp_path / "new" / "a.bin", b"abc")
    assert (tmp_path / "new" / "a.bin").read_bytes() == b"abc"


def test_writing_leaves_no_other_file(tmp_path):
    write_atomically(tmp_path / "a.bin", b"abc")
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


def test_an_error_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(KeyError, match="broken off"), atomic_path(path) as temporary:
        temporary.write_bytes(b"half of the new")
        raise KeyError("broken off")
    assert path.read_bytes() == b"old"


def test_an_error_leaves_no_temporary_file(tmp_path):
    with pytest.raises(KeyError, match="broken off"), atomic_path(tmp_path / "a.bin") as temporary:
        temporary.write_bytes(b"half")
        raise KeyError("broken off")
    assert not list(tmp_path.iterdir())


def test_the_target_does_not_exist_before_the_end(tmp_path):
    with atomic_path(tmp_path / "a.bin") as temporary:
        temporary.write_bytes(b"abc")
        assert not (tmp_path / "a.bin").exists()


def test_a_written_file_has_the_permissions_of_any_other(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    write_atomically(tmp_path / "atomic", b"")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_leftovers_of_killed_processes_are_removed(tmp_path):
    (tmp_path / "deep").mkdir()
    with atomic_path(tmp_path / "deep" / "a.bin") as temporary:
        temporary.write_bytes(b"half")
        left = temporary.rename(temporary.with_name(temporary.name.replace("-", "-0")))
        temporary.write_bytes(b"whole")
    remove_leftovers(tmp_path)
    assert not left.exists()
    assert (tmp_path / "deep" / "a.bin").exists()


def test_sha256_is_that_of_hashlib(tmp_path):
    (tmp_path / "a.bin").write_bytes(bytes(range(256)) * 1000)
    assert sha256_of(tmp_path / "a.bin") == hashlib.sha256(bytes(range(256)) * 1000).hexdigest()


def test_a_name_as_long_as_file_systems_allow_is_written(tmp_path):
    path = tmp_path / ("ü" * 127)  # 254 bytes
    write_atomically(path, b"abc")
    assert path.read_bytes() == b"abc"


def test_a_full_disk_names_the_file(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*a\.bin'"):
        write_atomically(tmp_path / "a.bin", b"abc")
    assert not list(tmp_path.iterdir())
