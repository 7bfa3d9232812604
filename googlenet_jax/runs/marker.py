"""Whether a checkpoint in a bucket is whole: the marker that an upload writes last, after a note of its beginning.

Without either it was copied there by other means, and is taken for whole, as one on a disk is.
"""

import contextlib
import hashlib
import json
import posixpath
import re
from collections.abc import Collection
from pathlib import Path

from googlenet_jax.system import storage

MARKER = "complete.json"
BEGUN = "begun.json"  # without the marker beside it there is no checkpoint
Listing = dict[str, tuple[int, int]]


def checkpoints(url: str) -> dict[str, bytes]:
    """The checkpoints in a bucket that are whole.

    Args:
      url: of a run, or of its `checkpoints`, or of a single checkpoint.

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
        metrics = {step: f"{step}/metrics/metrics" for step in whole(objects)}
        return {
            f"{url.rstrip('/')}/{step}": system.cat_file(posixpath.join(base, name)) if name in objects else b""
            for step, name in metrics.items()
        }


def whole(objects: Collection[str]) -> list[str]:
    """Those of a bucket's checkpoints that are whole.

    Args:
      objects: names below a run, or below its `checkpoints`.

    Returns:
      Names such as "checkpoints/9", or "9".
    """
    named = (re.match(r"((?:checkpoints/)?\d+)/", name) for name in objects)
    steps = dict.fromkeys(match[1] for match in named if match)
    copied = {name.partition("/meta/")[0] for name in objects if "/meta/" in name}
    return [
        step for step in steps if f"{step}/{MARKER}" in objects or (step in copied and f"{step}/{BEGUN}" not in objects)
    ]


def listing(directory: Path) -> Listing:
    """Size and time of change of the files of a checkpoint on this machine, by name; {} if it is gone."""
    found = {}
    with contextlib.suppress(FileNotFoundError):  # the run may be removing it
        for path in sorted(directory.rglob("*")):
            if path.is_file() and path.name not in (MARKER, BEGUN):
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
