"""Files in buckets: anything that fsspec opens by a URL, such as `s3://bucket/path`, copied to this machine once.

Another S3 than Amazon's is named by the environment variable AWS_ENDPOINT_URL. Copies lie in
$XDG_CACHE_HOME/googlenet_jax, by default ~/.cache/googlenet_jax, which may be removed whenever nothing runs.
"""

import contextlib
import errno
import hashlib
import json
import os
import posixpath
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from googlenet_jax.errors import UserError, reason
from googlenet_jax.system.files import cache_directory, lock

Progress = Callable[[int, int], object]

_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}
_VERSIONS = ("ETag", "etag", "md5Hash", "LastModified", "last_modified", "updated", "mtime", "created")
_TRANSFERS = 8  # at a time: enough to hide the latency of a bucket's many small objects


def is_url(path: str | os.PathLike[str]) -> bool:
    """Whether this is a URL, not a path on this machine."""
    return re.match(r"[a-z][a-z0-9+.-]+://", str(path)) is not None


def filesystem(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL.

    Args:
      url: of an object or a prefix.

    Returns:
      (file system, path in it).

    Raises:
      UserError: if the package for such URLs is missing, or its settings make no sense.
    """
    from fsspec.core import url_to_fs  # here, since who works with local paths need not wait for it

    protocol = url.partition("://")[0]
    try:
        with readable_errors(url):
            system, path = url_to_fs(url, **({"auto_mkdir": True} if protocol in ("file", "local") else {}))
    except ImportError as error:
        extra = _EXTRAS.get(protocol)
        needed = f"pip install 'googlenet-jax[{extra}]'" if extra else str(error)
        raise UserError(f"{url} needs {needed}") from None
    return system, path.rstrip("/")


@contextlib.contextmanager
def readable_errors(url: str) -> Iterator[None]:
    """Turns the many kinds of errors of file systems into a `UserError` of one line that names the URL."""
    try:
        yield
    except (UserError, ImportError):
        raise
    except Exception as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(f"{cache_directory()} is full: make room there, or set XDG_CACHE_HOME") from error
        raise UserError(f"{url}: {reason(error)}: check the address, the credentials and the network") from error


def local_name(url: str) -> str:
    """A file name that belongs to this URL alone."""
    url = url.rstrip("/")
    return re.sub(r"[^\w.-]", "_", posixpath.basename(url)) + "-" + hashlib.sha256(url.encode()).hexdigest()[:16]


def objects_below(system: Any, base: str) -> dict[str, tuple[int, str]]:
    """(bytes, version) by name below a prefix, sorted; {} if there is nothing."""
    system.invalidate_cache()  # others write there too
    found = {}
    for path, info in sorted(system.find(base, detail=True).items()):
        name = path[len(base) :].lstrip("/")
        if name and ".." not in name.split("/") and info["type"] == "file":
            found[name] = _describe(info)
    return found


def _describe(info: Mapping[str, Any]) -> tuple[int, str]:
    return info["size"], next((str(info[key]) for key in _VERSIONS if info.get(key) is not None), "")


def fetch(url: str, progress: Progress = lambda done, total: None) -> Path:
    """Copies an object, or all below a prefix, to this machine, unless that was done before.

    Processes may ask for the same at once: one copies, the others wait. A copy that was broken off is gone on with, and
    what has changed in the bucket is copied anew, beside the old.

    Args:
      url: of an object or a prefix.
      progress: told of the bytes copied so far and of those in all; from several threads.

    Returns:
      The file or directory, which must not be written to.

    Raises:
      UserError: if there is nothing, or it cannot be read.
    """
    system, base = filesystem(url)
    with readable_errors(url):
        system.invalidate_cache()
        try:
            info = system.info(base)
        except FileNotFoundError:
            raise UserError(f"{url}: there is no such object") from None
        if info["type"] == "file":
            directory, name = posixpath.split(base)
            objects = {name: _describe(info)}
        else:
            directory, name = base, ""
            objects = objects_below(system, base)
        home = cache_directory() / "objects" / local_name(url)
        target = home / hashlib.sha256(json.dumps(objects).encode()).hexdigest()[:16]
        if _missing(objects, target):
            home.mkdir(parents=True, exist_ok=True)
            with (home / "lock").open("w") as file:
                lock(file, wait=float("inf"))
                download(system, directory, _missing(objects, target), target, progress)
            if _missing(objects, target):
                raise UserError(f"{url} changed while it was copied: start again")
    return target / name


def _missing(objects: Mapping[str, tuple[int, str]], target: Path) -> dict[str, int]:
    """Bytes of those objects by name of which there is no copy."""
    sizes = {name: size for name, (size, _) in objects.items()}
    return {n: size for n, size in sizes.items() if not (target / n).exists() or (target / n).stat().st_size != size}


def download(
    system: Any, base: str, sizes: Mapping[str, int], target: Path, progress: Progress = lambda done, total: None
) -> None:
    """Copies objects to files.

    Args:
      system: of the objects.
      base: prefix of the objects.
      sizes: bytes by name below that prefix.
      target: directory for the files of these names; each is there in full or not at all.
      progress: as for `fetch`.

    Raises:
      UserError: for a name that leads out of the directory.
    """
    from fsspec.callbacks import Callback

    for name in sizes:  # others write to the bucket too
        if posixpath.isabs(name) or ".." in name.split("/"):
            raise UserError(f"{base}: an object called {name!r} would be written outside of its directory: remove it")
    total, done, counting = sum(sizes.values()), 0, threading.Lock()

    class Chunks(Callback):
        def relative_update(self, inc: int = 1) -> None:
            nonlocal done
            with counting:
                done += inc
                progress(done, total)

    def copy(name: str) -> None:
        path = target / name
        part = path.with_name(f"{path.name}.part")
        path.parent.mkdir(parents=True, exist_ok=True)
        system.get_file(posixpath.join(base, name), str(part), callback=Chunks())
        part.replace(path)

    at_once(copy, sizes)


def at_once(transfer: Callable[[str], object], names: Iterable[str]) -> None:
    """Transfers several objects at a time; the first error is raised."""
    with ThreadPoolExecutor(_TRANSFERS) as pool:
        list(pool.map(transfer, names))


def exists(url: str) -> bool:
    """Whether there is such an object, or anything below such a prefix."""
    system, path = filesystem(url)
    with readable_errors(url):
        system.invalidate_cache()
        return bool(system.exists(path))


def local_file(path: str) -> Path | None:
    """A file on this machine, copied there if the path is a URL; None if there is none."""
    if is_url(path):
        return fetch(path) if exists(path) else None
    return Path(path) if Path(path).is_file() else None
