"""Runs in a bucket in memory."""

import contextlib
import json
from pathlib import Path
from unittest import mock

from googlenet_jax.runs.mirror import Mirror
from googlenet_jax.system import storage

RUN = "memory://bucket/run"


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


@contextlib.contextmanager
def begun():
    """A run on the first machine with two checkpoints, in the bucket as well."""
    run = Mirror(RUN)
    run.pull()
    (run.path / "config.json").write_text("{}")
    (run.path / "metrics.jsonl").write_text("one\n")
    save(run.path, 3, 0.5)
    save(run.path, 10, 0.25)
    run.push()
    with contextlib.closing(run):
        yield run
