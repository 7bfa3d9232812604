"""Runs that live in buckets, against fsspec's file systems and an S3 server."""

import itertools
import json
import os
import shutil
import signal
import threading
from pathlib import Path
from unittest import mock

import fsspec
import numpy as np
import pytest
from conftest import small_config
from fsspec.implementations.memory import MemoryFileSystem
from readback import final_bytes

import googlenet_jax as gn
from googlenet_jax.errors import UserError
from googlenet_jax.runs import checkpoint, marker, mirror
from googlenet_jax.runs.mirror import Mirror
from googlenet_jax.runs.remote import Remote
from googlenet_jax.runs.writers import memory
from googlenet_jax.system import files, storage
from googlenet_jax.train.display import TrainingDisplay
from googlenet_jax.train.loop import train_and_evaluate

RUN = "memory://bucket/run"

pytestmark = pytest.mark.usefixtures("caches")


def save(path: Path, step: int, top1: float | None = None, text: str = "") -> Path:
    """Files as of a checkpoint, which Orbax would not read."""
    directory = path / "checkpoints" / str(step)
    for name in ("meta/metadata", "variables/_METADATA", "variables/manifest.ocdbt"):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(f"{name} of step {step} {text}")
    items = {"item_handlers": {"meta": "JsonCheckpointHandler", "variables": "StandardCheckpointHandler"}}
    (directory / "_CHECKPOINT_METADATA").write_text(json.dumps(items))
    if top1 is not None:
        (directory / "metrics").mkdir()
        (directory / "metrics" / "metrics").write_text(json.dumps({"top1": top1}))
    return directory


def contents(directory):
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def steps_in(path):
    return sorted(int(p.name) for p in (path / "checkpoints").glob("*"))


def pulled(url=RUN):
    with mock.patch.object(storage, "download", side_effect=storage.download) as downloads:
        run = Mirror(url)
        run.pull()
    run.close()
    return run.path, downloads.call_count


@pytest.fixture
def started():
    """A run on the first machine with two checkpoints, in the bucket as well."""
    run = Mirror(RUN)
    run.pull()
    (run.path / "config.json").write_text("{}")
    (run.path / "metrics.jsonl").write_text("one\n")
    save(run.path, 3, 0.5)
    save(run.path, 10, 0.25)
    run.push()
    yield run
    run.close()


def test_an_interrupted_run_goes_on_on_another_machine(s3, caches, finished_run, monkeypatch, run_command):
    """The second one is given nothing but the URL; a third finds what an uninterrupted run has."""
    url = "s3://bucket/runs/small"
    with monkeypatch.context() as patch:
        patch.setattr(TrainingDisplay, "measured", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        stopped = train_and_evaluate(small_config(), url)
    assert 0 < stopped["step"] < 9
    assert list(marker.checkpoints(url)) == [f"{url}/checkpoints/{stopped['step']}"]
    caches("second")
    result = run_command("launch.py", "--workdir", url)
    assert result.returncode == 0, result.stderr
    assert f"resuming at step {stopped['step']}" in result.stdout
    assert f"the whole run is in {url}" in result.stdout
    caches("third")
    path, _ = pulled(url)
    assert final_bytes(path) == final_bytes(finished_run)
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == sorted(line["step"] for line in lines)
    assert [line["step"] for line in lines if line["split"] == "val"] == [9]
    assert "resuming at step" in (path / "train.log").read_text()

    caches("fourth")
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    expected = gn.load(finished_run).probabilities(images)
    np.testing.assert_array_equal(gn.load(url).probabilities(images), expected)
    copied = {path.name.split("-")[0] for path in files.cache_directory().glob("objects/*")}
    assert copied == {"meta", "ema"}  # neither the optimizer nor other checkpoints


def test_what_tensorboard_and_services_need_is_uploaded(started, caches):
    trace = Path("tensorboard/plugins/profile/now/host.trace.json.gz")
    (started.path / trace).parent.mkdir(parents=True)
    (started.path / trace).write_bytes(b"trace")
    memory.remember(started.path, "mlflow", "abc")
    started.push()
    started.close()
    assert fsspec.filesystem("memory").cat_file(f"/bucket/run/{trace}") == b"trace"
    caches("second")
    path, _ = pulled()
    assert memory.recall(path, "mlflow") == "abc"  # so that it goes on in the same run there


def test_what_is_uploaded_is_what_another_machine_gets(started, caches):
    first = contents(started.path)
    started.close()
    assert pulled()[1] == 0
    caches("second")
    path, downloads = pulled()
    assert downloads == 2
    for name, data in first.items():
        assert name.startswith("mirror.") or contents(path)[name] == data
    assert pulled()[1] == 0


def test_a_checkpoint_without_its_marker_is_no_checkpoint(started, caches):
    memory = fsspec.filesystem("memory")
    memory.rm(f"/bucket/run/checkpoints/10/{marker.MARKER}")  # as of an upload that was broken off
    assert checkpoint.find(RUN) == [f"{RUN}/checkpoints/3"]
    caches("second")
    path, _ = pulled()
    assert steps_in(path) == [3]
    run = Mirror(RUN)
    run.pull()
    run.push()
    assert not memory.exists("/bucket/run/checkpoints/10")  # its parts are gone


def test_a_run_that_was_copied_into_the_bucket_is_gone_on_with(started, caches):
    """By aws s3 cp, say: without markers."""
    memory, home = fsspec.filesystem("memory"), started.path
    memory.put(f"{home}/checkpoints", "/bucket/copied/checkpoints", recursive=True)
    memory.put(f"{home}/metrics.jsonl", "/bucket/copied/metrics.jsonl")
    memory.pipe_file("/bucket/copied/checkpoints/30/notes.txt", b"not a checkpoint")
    copied = RUN.replace("/run", "/copied")
    assert checkpoint.find(copied) == [f"{copied}/checkpoints/3", f"{copied}/checkpoints/10"]
    assert checkpoint.find(f"{copied}/checkpoints", newest=True)[0] == f"{copied}/checkpoints/10"
    with mirror.local_run(copied) as path:
        assert steps_in(path) == [3, 10]
        assert contents(path / "checkpoints" / "10") == contents(home / "checkpoints" / "10")
        save(path, 20)
        shutil.rmtree(path / "checkpoints" / "3")
    assert sorted(marker.checkpoints(copied)) == [f"{copied}/checkpoints/{step}" for step in (10, 20)]
    assert not any("/3/" in name for name in memory.find("/bucket/copied"))
    assert memory.exists("/bucket/copied/checkpoints/30/notes.txt")
    caches("third")
    path, downloads = pulled(copied)
    assert (steps_in(path), downloads) == ([10, 20], 2)


def test_a_copy_that_is_not_whole_is_no_checkpoint(started, caches):
    memory, home = fsspec.filesystem("memory"), started.path
    place = "/bucket/partly/checkpoints/10"
    memory.put(f"{home}/checkpoints/10", place, recursive=True)
    url = "memory://bucket/partly"
    assert list(marker.checkpoints(url)) == [f"{url}/checkpoints/10"]
    for missing in ("_CHECKPOINT_METADATA", "meta/metadata", "variables/_METADATA", "variables/manifest.ocdbt"):
        data = memory.cat_file(f"{place}/{missing}")
        memory.rm(f"{place}/{missing}")
        assert not marker.checkpoints(url)
        assert missing == "meta/metadata" or not marker.checkpoints(f"{url}/checkpoints/10")
        with mirror.local_run(url) as path:
            assert steps_in(path) == []
        assert not memory.exists(f"{place}/{marker.MARKER}")
        memory.pipe_file(f"{place}/{missing}", data)
    real = storage.download

    def download(*args):
        real(*args)
        memory.pipe_file(f"{place}/ema/d/0", b"more")

    with (
        mock.patch.object(storage, "download", download),
        pytest.raises(UserError, match="checkpoints/10 is still being copied there"),
        mirror.local_run(url),
    ):
        pass
    assert not memory.exists(f"{place}/{marker.MARKER}")
    with mirror.local_run(url) as path:
        (path / "checkpoints" / "10").rename(path / "checkpoints" / "10.damaged")  # as by who cannot read it
    assert list(marker.checkpoints(url)) == [f"{url}/checkpoints/10"]


def test_parts_are_no_checkpoint_by_their_own_url_either(started):
    memory = fsspec.filesystem("memory")
    assert list(marker.checkpoints(f"{RUN}/checkpoints/10")) == [f"{RUN}/checkpoints/10"]
    memory.rm(f"/bucket/run/checkpoints/10/{marker.MARKER}")
    assert not marker.checkpoints(f"{RUN}/checkpoints/10")
    memory.rm("/bucket/run/checkpoints/3/variables/_METADATA")
    assert not marker.checkpoints(f"{RUN}/checkpoints/3")
    assert not marker.checkpoints(RUN)


def test_a_checkpoint_that_is_gone_before_it_is_looked_at_is_not_uploaded(started):
    assert not started.remote.upload("checkpoints/77", started.path / "checkpoints" / "77", {})
    assert not fsspec.filesystem("memory").exists("/bucket/run/checkpoints/77")


def test_the_best_complete_checkpoint_is_wanted_first(started):
    assert checkpoint.find(RUN) == [f"{RUN}/checkpoints/3", f"{RUN}/checkpoints/10"]
    assert checkpoint.find(RUN, newest=True) == [f"{RUN}/checkpoints/10", f"{RUN}/checkpoints/3"]
    assert checkpoint.find(f"{RUN}/checkpoints/") == checkpoint.find(RUN)
    assert checkpoint.find(f"{RUN}/checkpoints/10") == [f"{RUN}/checkpoints/10"]
    with pytest.raises(UserError, match="no checkpoint there"):
        checkpoint.find("memory://bucket/elsewhere")
    for step in (9, 100):
        save(started.path / "not evaluated", step)
    assert [Path(path).name for path in checkpoint.find(started.path / "not evaluated")] == ["100", "9"]


def test_the_marker_comes_last_and_goes_first():
    """Whichever operation fails, there is all of a checkpoint or no marker; and then the rest is made up for."""
    failures = 0
    while True:
        url = f"memory://bucket/run{failures}"
        run = Mirror(url)
        save(run.path, 3)
        run.push()
        save(run.path, 20)
        shutil.rmtree(run.path / "checkpoints" / "3")
        operations = itertools.count()

        def fail(real, system=run.remote.system, operations=operations, fatal=failures):
            def operation(path, *args, **kwargs):
                if next(operations) == fatal:
                    if isinstance(path, list):
                        system.rm_file(path[-1])  # broken off when a part is removed
                    raise OSError("the network is away")
                return real(path, *args, **kwargs)

            return operation

        names = ("put_file", "pipe_file", "rm")
        failing = {name: fail(getattr(run.remote.system, name)) for name in names}
        with mock.patch.multiple(run.remote.system, **failing):
            try:
                run.push()
                break
            except UserError as error:
                assert "the network is away" in str(error)
                assert str(run.path) in str(error)
        complete = marker.checkpoints(url)
        assert complete
        for place in complete:
            system, base = storage.filesystem(place)
            for name, (size, _) in json.loads(system.cat_file(f"{base}/{marker.MARKER}")).items():
                assert len(system.cat_file(f"{base}/{name}")) == size
        failures += 1
        run.push()
        assert list(marker.checkpoints(url)) == [f"{url}/checkpoints/20"]
        assert not run.remote.system.exists(f"{run.remote.base}/checkpoints/3")
    assert failures == 9  # a note, four files, a marker, and the other's removal in three steps


def test_a_checkpoint_that_the_run_removes_meanwhile_gets_no_marker(started):
    directory = save(started.path, 20)
    real = MemoryFileSystem.put_file

    def put_file(self, *args, **kwargs):
        shutil.rmtree(directory, ignore_errors=True)
        return real(self, *args, **kwargs)

    with mock.patch.object(MemoryFileSystem, "put_file", put_file), mock.patch.object(Remote, "write") as written:
        started.push(files=False)
    assert not written.called
    assert sorted(marker.checkpoints(RUN)) == [f"{RUN}/checkpoints/{step}" for step in (10, 3)]
    assert not fsspec.filesystem("memory").exists("/bucket/run/checkpoints/20")


def test_what_was_not_uploaded_is_gone_on_with(started):
    save(started.path, 20)
    (started.path / "metrics.jsonl").write_text("one\ntwo\n")
    real = MemoryFileSystem.pipe_file

    def pipe_file(self, *args):
        real(self, *args)
        raise OSError("broken off before the answer")

    with mock.patch.object(MemoryFileSystem, "pipe_file", pipe_file), pytest.raises(UserError, match="broken off"):
        started.push()
    (started.path / "metrics.jsonl").write_text("one\ntwo\nthree\n")
    started.close()
    path, downloads = pulled()
    assert (steps_in(path), downloads) == ([3, 10, 20], 0)
    assert (path / "metrics.jsonl").read_text() == "one\ntwo\nthree\n"


def test_the_bucket_is_the_truth(started, caches):
    save(started.path, 20)
    started.close()
    caches("second")
    other = Mirror(RUN)
    other.pull()
    save(other.path, 15)
    (other.path / "metrics.jsonl").write_text("one\nother\n")
    other.push()
    other.close()
    caches("first")
    path, downloads = pulled()
    assert (steps_in(path), downloads) == ([3, 10, 15], 1)
    assert (path / "metrics.jsonl").read_text() == "one\nother\n"

    fsspec.filesystem("memory").rm("/bucket/run", recursive=True)
    path, _ = pulled()
    assert steps_in(path) == []
    assert not (path / "config.json").exists()


def test_a_checkpoint_that_is_not_as_its_marker_says_is_refused(started, caches):
    caches("second")
    fsspec.filesystem("memory").pipe_file("/bucket/run/checkpoints/10/variables/manifest.ocdbt", b"something else")
    with pytest.raises(UserError, match="checkpoints/10 is not what"):
        pulled()


def test_uploads_happen_meanwhile_and_go_on_after_failures(caches, monkeypatch, caplog):
    monkeypatch.setattr(mirror, "_LOOK_EVERY", 0.01)
    monkeypatch.setattr(mirror, "_FILES_EVERY", 0.02)
    with mirror.local_run(RUN) as path:
        threads = []

        def put_file(self, *args, **kwargs):
            threads.append(threading.current_thread())
            if len(threads) < 8:  # three files at a time: three attempts
                raise OSError("the network is away")
            return real(self, *args, **kwargs)

        real = MemoryFileSystem.put_file
        with mock.patch.object(MemoryFileSystem, "put_file", put_file):
            save(path, 1)
            for _ in range(500):
                if marker.checkpoints(RUN):
                    break
                threading.Event().wait(0.01)
        assert list(marker.checkpoints(RUN)) == [f"{RUN}/checkpoints/1"]
        assert threading.main_thread() not in threads
        assert caplog.text.count("the network is away") == 1
        with pytest.raises(UserError, match="another process"), mirror.local_run(RUN):
            pass
        save(path, 2)
    assert len(marker.checkpoints(RUN)) == 2


def test_an_error_of_the_training_is_what_is_raised():
    with pytest.raises(UserError, match="diverged"), mirror.local_run(RUN) as path:
        save(path, 1)
        raise UserError("training diverged")
    assert len(marker.checkpoints(RUN)) == 1
    with (
        pytest.raises(UserError, match="could not upload to memory://bucket/run: away"),
        mock.patch.object(MemoryFileSystem, "put_file", side_effect=OSError("away")),
        mirror.local_run(RUN) as path,
    ):
        save(path, 2)
