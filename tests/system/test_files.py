"""Files that are whole or not there, locks, and where things lie."""

import errno
import fcntl
import logging
import os

import pytest

from googlenet_jax.system import files


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "a.json"
    files.replace_file(path, "one", durable=True)
    files.replace_file(path, b"two")
    assert path.read_text() == "two"
    with pytest.raises(RuntimeError), files.written_beside(path) as partial:
        partial.write_text("three")
        raise RuntimeError
    assert path.read_text() == "two"
    with files.written_beside(tmp_path / "directory") as partial:
        partial.mkdir()
        (partial / "x").write_text("")
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.json", "deep", "directory", "x"]


def test_a_lock_is_for_one(tmp_path):
    with (tmp_path / "lock").open("w") as mine, (tmp_path / "lock").open("w") as other:
        assert files.lock(mine)
        assert not files.lock(other)


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_warned_of(tmp_path, monkeypatch, caplog, number):
    def flock(file, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with (tmp_path / "lock").open("w") as file, caplog.at_level(logging.WARNING):
        assert files.lock(file)
    assert "has no locks" in caplog.text


def test_directories_that_were_not_there(tmp_path):
    names = [files.new_directory(tmp_path / "runs" / "now").name for _ in range(3)]
    assert names == ["now", "now-2", "now-3"]


def test_users_without_a_home(monkeypatch):
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as for a uid that no one has a name for
    assert files.cache_directory() != files.state_directory()
    assert all(str(os.getuid()) in str(directory) for directory in (files.cache_directory(), files.state_directory()))
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert str(files.cache_directory()) == "/x/googlenet_jax"
