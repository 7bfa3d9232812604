"""Runs that live in buckets, against fsspec's file systems and an S3 server."""

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
from bucketed import RUN, begun, contents, pulled, save, steps_in
from conftest import small_config
from fsspec.implementations.memory import MemoryFileSystem
from readback import final_bytes

import googlenet_jax as gn
from googlenet_jax.errors import UserError
from googlenet_jax.runs import checkpoint, marker, mirror
from googlenet_jax.runs.mirror import Mirror
from googlenet_jax.runs.writers import memory
from googlenet_jax.system import files
from googlenet_jax.train.display import TrainingDisplay
from googlenet_jax.train.loop import train_and_evaluate

pytestmark = pytest.mark.usefixtures("caches")


@pytest.fixture
def started():
    with begun() as run:
        yield run


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
