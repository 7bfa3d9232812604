"""Whether a checkpoint is whole: the marker that is written last into one in a bucket."""

import contextlib
import hashlib
import json
import posixpath
import re
from pathlib import Path

from googlenet_jax.system import storage

MARKER = "complete.json"  # without it there is no checkpoint
Listing = dict[str, tuple[int, int]]


def checkpoints(url: str) -> dict[str, bytes]:
    """The checkpoints in a bucket that are complete.

    Args:
      url: of a run, or of its `checkpoints`, or of a single checkpoint, which may have come there without a marker.

    Returns:
      The stored validation metrics by URL of the checkpoint; b"" without an evaluation.

    Raises:
      UserError: if the bucket cannot be read.
    """
    system, base = storage.filesystem(url)
    with storage.readable_errors(url):
        objects = storage.objects_below(system, base)
        if any(name.startswith("meta/") for name in objects):
            return {url: b""}
        marked = re.compile(rf"((?:checkpoints/)?\d+)/{re.escape(MARKER)}")
        steps = [match[1] for name in objects if (match := marked.fullmatch(name))]
        metrics = {step: f"{step}/metrics/metrics" for step in steps}
        return {
            f"{url.rstrip('/')}/{step}": system.cat_file(posixpath.join(base, name)) if name in objects else b""
            for step, name in metrics.items()
        }


def listing(directory: Path) -> Listing:
    """Size and time of change of the files of a checkpoint on this machine, by name; {} if it is gone."""
    found = {}
    with contextlib.suppress(FileNotFoundError):  # the run may be removing it
        for path in sorted(directory.rglob("*")):
            if path.is_file() and path.name != MARKER:
                found[path.relative_to(directory).as_posix()] = (path.stat().st_size, path.stat().st_mtime_ns)
    return found


def manifest(directory: Path) -> bytes:
    """Size and SHA-256 of the files of a checkpoint on this machine: what its marker holds."""
    files = {}
    for name in listing(directory):
        with (directory / name).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        files[name] = [(directory / name).stat().st_size, digest]
    return json.dumps(files, indent=1).encode()


def holds(directory: Path, marker: bytes) -> bool:
    """Whether a checkpoint on this machine is that of the marker."""
    return directory.is_dir() and manifest(directory) == marker
