"""Which checkpoints in a bucket are whole."""

from pathlib import Path
from unittest import mock

import fsspec
import pytest
from bucketed import RUN, begun, pulled, save, steps_in

from googlenet_jax.errors import UserError
from googlenet_jax.runs import checkpoint, marker, mirror
from googlenet_jax.runs.mirror import Mirror
from googlenet_jax.system import storage

pytestmark = pytest.mark.usefixtures("caches")


@pytest.fixture
def started():
    with begun() as run:
        yield run


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
