"""Whether a checkpoint in a bucket is whole: by the marker that an upload writes last, after a note of its beginning.

Without either it was copied there by other means, and is whole if all is there that Orbax's own file names.
"""

import contextlib
import hashlib
import json
import posixpath
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from googlenet_jax.system import storage

MARKER = "complete.json"
BEGUN = "begun.json"  # without the marker beside it there is no checkpoint
_ITEMS = "_CHECKPOINT_METADATA"  # Orbax's, which names the items and how each is stored
_OF_ARRAYS = {"_METADATA", "manifest.ocdbt"}  # files of an item of arrays
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
        sizes = {name: size for name, (size, _) in storage.objects_below(system, base).items()}

        def read(name: str) -> bytes:
            content: bytes = system.cat_file(posixpath.join(base, name))
            return content

        if any(name.startswith("meta/") for name in sizes):
            return {url: b""} if is_whole(sizes, read) else {}
        metrics = {step: f"{step}/metrics/metrics" for step in steps_in(sizes) if is_whole(sizes, read, f"{step}/")}
        return {f"{url.rstrip('/')}/{step}": read(name) if name in sizes else b"" for step, name in metrics.items()}


def steps_in(names: Iterable[str]) -> list[str]:
    """Of names below a run, or below its `checkpoints`, those of checkpoints, whole or not: "checkpoints/9", or "9"."""
    found = (re.match(r"((?:checkpoints/)?\d+)/", name) for name in names)
    return [*dict.fromkeys(match[1] for match in found if match)]


def is_whole(sizes: Mapping[str, int], read: Callable[[str], bytes], prefix: str = "") -> bool:
    """Whether a checkpoint is.

    Args:
      sizes: bytes of the objects that are there, by name.
      read: an object's content.
      prefix: of the checkpoint's names, such as "checkpoints/9/".

    Returns:
      Whether all is there that its marker names, or that Orbax does if no upload of ours began it.
    """
    try:
        if f"{prefix}{MARKER}" in sizes:
            files = json.loads(read(f"{prefix}{MARKER}"))
            return all(sizes.get(f"{prefix}{name}") == size for name, (size, _) in files.items())
        if f"{prefix}{BEGUN}" in sizes or f"{prefix}{_ITEMS}" not in sizes:
            return False
        for item, kind in json.loads(read(f"{prefix}{_ITEMS}"))["item_handlers"].items():
            start = f"{prefix}{item}/"
            there = {name.removeprefix(start) for name in sizes if name.startswith(start)}
            if not there or ("Json" not in kind and not there >= _OF_ARRAYS):
                return False
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):  # removed meanwhile, or damaged
        return False
    return True


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
