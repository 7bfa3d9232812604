"""Files of this machine: written whole or not at all, locked, and where they may lie."""

import contextlib
import errno
import fcntl
import itertools
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

log = logging.getLogger(__name__)

# What flock(2) fails with where a file system has none: Lustre without -o flock, some FUSE and NFS mounts.
_NO_LOCKS = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOLCK, errno.EINVAL}


def cache_directory() -> Path:
    """Where copies lie that can be made again: $XDG_CACHE_HOME/googlenet_jax; may be removed when nothing runs."""
    return _user_directory("XDG_CACHE_HOME", ".cache")


def state_directory() -> Path:
    """Where lies what is nowhere else, such as a run that is yet to be uploaded: $XDG_STATE_HOME/googlenet_jax."""
    return _user_directory("XDG_STATE_HOME", ".local/state")


def _user_directory(variable: str, below_home: str) -> Path:
    if given := os.environ.get(variable):
        return Path(given) / "googlenet_jax"
    try:
        return Path.home() / below_home / "googlenet_jax"
    except RuntimeError:  # no HOME, and a user without an entry in the password database
        home = Path(tempfile.gettempdir()) / f"googlenet_jax-{os.getuid()}"
        home.mkdir(mode=0o700, exist_ok=True)
        # What is cached is run: nobody else's directory will do.
        return (home if home.stat().st_uid == os.getuid() else Path(tempfile.mkdtemp())) / below_home.lstrip(".")


@contextlib.contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """A name beside a path, for a file or directory that takes the path's place when the context ends well.

    Args:
      path: what is to be written; its directory is made if need be.

    Yields:
      Where to write. After an error nothing is left of it; after a crash a hidden ".NAME.*.partial" is.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):  # which tell of no file
            error.filename = error.filename or os.fspath(path)
        raise
    finally:
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        partial.unlink(missing_ok=True)


def replace_file(path: Path, content: bytes | str, durable: bool = False) -> None:
    """Writes a file so that a crash leaves the old or the new one, never a part.

    Args:
      path: of the file.
      content: all of it; text in UTF-8.
      durable: wait until the disk has it, so that a power failure is survived too.
    """
    with written_beside(path) as partial, partial.open("wb") as file:
        file.write(content.encode(errors="surrogateescape") if isinstance(content, str) else content)
        if durable:
            file.flush()
            os.fsync(file.fileno())


def lock(file: IO[Any], wait: float = 0.0) -> bool:
    """Takes an open file for this process alone, until it is closed here and wherever it is inherited.

    Where the file system has no locks it warns and takes it.

    Args:
      file: open for writing.
      wait: seconds to try for; infinite: until nobody else has it.

    Returns:
      Whether it is taken; False if another process has it.
    """
    deadline = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if wait < float("inf") else 0))
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.05)
            continue
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            log.warning("%s: this file system has no locks; see that no other process works there", file.name)
        return True


def locked(path: Path) -> bool:
    """Whether a process has taken a file by `lock`; looking disturbs nobody who looks too."""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
    return False


def append_line(path: Path, line: dict[str, Any]) -> None:
    """Adds a line of JSON to a file, after the end of one that a crash cut off."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(end - 1, 0))
        cut_off = end and file.read(1) != b"\n"
        file.write((b"\n" if cut_off else b"") + json.dumps(line).encode() + b"\n")


def json_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a file that are JSON objects: one that a crash cut off is left out. [] if there is no file."""
    found = []
    for text in path.read_text(errors="replace").splitlines() if path.exists() else []:
        with contextlib.suppress(ValueError, RecursionError):
            line = json.loads(text)
            found += [line] if isinstance(line, dict) else []
    return found


def new_directory(path: Path) -> Path:
    """Makes a directory that was not there: of this name, or where another process was first with -2, -3, ... added."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        candidate = path if number == 1 else path.with_name(f"{path.name}-{number}")
        with contextlib.suppress(FileExistsError):
            candidate.mkdir()
            return candidate
    raise AssertionError("unreachable")
