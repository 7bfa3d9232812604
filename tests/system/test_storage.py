"""Copies of objects in buckets, against fsspec's file systems and an S3 server."""

import os
import sys
import threading
from unittest import mock

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

import googlenet_jax as gn
from googlenet_jax.errors import UserError
from googlenet_jax.runs import mirror
from googlenet_jax.system import storage

pytestmark = pytest.mark.usefixtures("caches")


def contents(directory):
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def test_local_paths_stay_as_they_are(run_command, tmp_path):
    with mirror.local_run(tmp_path) as path:
        assert path == tmp_path
    code = (
        "import sys; from googlenet_jax.cli import launch; launch.storage.local_file('x'); "
        "sys.exit(bool({'fsspec', 'jax'} & {*sys.modules}))"
    )
    assert run_command("-c", code).returncode == 0
    assert not any(map(storage.is_url, ("runs/x", "/runs/x", "folder:runs", "C:/runs")))
    assert all(map(storage.is_url, ("s3://b/x", "gs://b", "memory://b/x", "file:///b")))


def test_fetch_copies_once_and_anew_what_changed(tmp_path):
    memory = fsspec.filesystem("memory")
    data = {f"shards/{i}/part": bytes([i]) * 1000 * i for i in range(12)}
    memory.pipe({f"/bucket/{name}": value for name, value in data.items()})
    ticks = []
    path = storage.fetch("memory://bucket/shards", lambda done, total: ticks.append((done, total)))
    assert contents(path) == {name.partition("/")[2]: value for name, value in data.items()}
    with mock.patch.object(MemoryFileSystem, "get_file", side_effect=AssertionError):
        assert storage.fetch("memory://bucket/shards/") == path
    (path / "3" / "part").write_bytes(b"cut off")
    assert storage.fetch("memory://bucket/shards") == path
    assert (path / "3" / "part").read_bytes() == data["shards/3/part"]
    memory.pipe_file("/bucket/shards/3/part", b"new")
    changed = storage.fetch("memory://bucket/shards")
    assert (changed / "3" / "part").read_bytes() == b"new"
    assert (path / "3" / "part").read_bytes() == data["shards/3/part"]
    one = storage.fetch("memory://bucket/shards/5/part")
    assert (one.name, one.read_bytes()) == ("part", data["shards/5/part"])
    for url in ("memory://bucket/nothing", "memory://nowhere/at/all"):
        with pytest.raises(UserError, match="no such object"):
            storage.fetch(url)


def test_one_of_many_who_fetch_copies(s3):
    system, _ = storage.filesystem("s3://bucket/data")
    system.pipe({f"bucket/data/{i}": os.urandom(50_000 + i) for i in range(5)})
    ticks, results = [], []

    def fetch():
        results.append(storage.fetch("s3://bucket/data", lambda *tick: ticks.append(tick)))

    threads = [threading.Thread(target=fetch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert len(set(results)) == 1
    assert contents(results[0]) == {str(i): system.cat_file(f"bucket/data/{i}") for i in range(5)}
    assert max(ticks) == (250_010, 250_010)
    assert sum(tick == max(ticks) for tick in ticks) == 1  # the others had nothing to copy
    type(system)(skip_instance_cache=True).pipe_file("bucket/data/3", b"written elsewhere")
    assert storage.fetch("s3://bucket/data/3").read_bytes() == b"written elsewhere"


def test_mistakes_are_one_line(s3, monkeypatch):
    with pytest.raises(UserError, match="s3://nowhere/run: The specified bucket does not exist: check"):
        train_run("s3://nowhere/run")
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        patch.setenv("AWS_MAX_ATTEMPTS", "1")
        type(storage.filesystem("s3://bucket")[0]).clear_instance_cache()
        with pytest.raises(UserError, match=r"s3://bucket/run: Could not connect .*127.0.0.1:9"):
            gn.load("s3://bucket/run")
    type(storage.filesystem("s3://bucket")[0]).clear_instance_cache()


def train_run(url):
    with mirror.local_run(url):
        raise AssertionError("the training began")


@pytest.mark.parametrize(("url", "extra"), [("s3://b/x", "s3"), ("gs://b/x", "gs")])
def test_a_missing_package_is_named(monkeypatch, url, extra):
    for name in ("s3fs", "gcsfs"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, extra, raising=False)  # those imported so far
    with pytest.raises(UserError, match=rf"{url} needs pip install 'googlenet-jax\[{extra}\]'"):
        storage.filesystem(url)
    with pytest.raises(UserError, match="Protocol not known"):
        storage.filesystem("nosuch://b/x")


def test_nothing_is_written_outside_of_the_directory(tmp_path):
    """A bucket's own list of files may say anything."""
    system = fsspec.filesystem("memory")
    for name in ("../out", "/etc/out", "a/../../out"):
        with pytest.raises(UserError, match="outside of its directory"):
            storage.download(system, "/bucket/run", {"fine": 1, name: 1}, tmp_path / "in")
    assert list(tmp_path.iterdir()) == []
