"""What is written to a bucket, and removed there."""

import itertools
import json
import shutil
from unittest import mock

import fsspec
import pytest
from bucketed import RUN, begun, save
from fsspec.implementations.memory import MemoryFileSystem

from googlenet_jax.errors import UserError
from googlenet_jax.runs import marker
from googlenet_jax.runs.mirror import Mirror
from googlenet_jax.runs.remote import Remote
from googlenet_jax.system import storage

pytestmark = pytest.mark.usefixtures("caches")


@pytest.fixture
def started():
    with begun() as run:
        yield run


def test_a_checkpoint_that_is_gone_before_it_is_looked_at_is_not_uploaded(started):
    assert not started.remote.upload("checkpoints/77", started.path / "checkpoints" / "77", {})
    assert not fsspec.filesystem("memory").exists("/bucket/run/checkpoints/77")


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
