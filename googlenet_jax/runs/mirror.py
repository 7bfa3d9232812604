"""Runs in a bucket: a run directory on this machine, and a mirror of it.

Object stores neither append nor lock nor rename, so a training works in an ordinary directory; what changes there is
uploaded meanwhile by one thread. The bucket is the truth: what somebody removed or another machine went on with there
counts, and the local directory is brought to that state. Only what could not be uploaded before is kept and uploaded
when the training starts again, provided that nobody changed the bucket since.
"""

import contextlib
import hashlib
import json
import logging
import posixpath
import re
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from googlenet_jax.errors import UserError
from googlenet_jax.runs.marker import MARKER, Listing, holds, listing, manifest
from googlenet_jax.runs.writers import memory as services
from googlenet_jax.system import storage
from googlenet_jax.system.files import lock, replace_file, state_directory

log = logging.getLogger(__name__)

_FILES = ("config.json", "config_history.jsonl", "metrics.jsonl", "train.log", services.FILE)
_LOOK_EVERY = 2.0  # seconds between looks for new checkpoints
_FILES_EVERY = 30.0  # seconds between uploads of files that grow, and between attempts that fail


@contextlib.contextmanager
def local_run(workdir: str | Path) -> Iterator[Path]:
    """A directory to train in; of one in a bucket, a copy that is uploaded while the context lasts and at its end.

    Of several processes the first uploads.

    Args:
      workdir: a path, which is taken as it is, or a URL.

    Yields:
      The directory.

    Raises:
      UserError: if the bucket cannot be read or written; what was not uploaded stays in the directory.
    """
    if not storage.is_url(workdir):
        yield Path(workdir).expanduser()
        return
    import jax
    from jax.experimental import multihost_utils

    index = jax.process_index()
    with contextlib.closing(Mirror(str(workdir), index)) as mirror:
        if index == 0:
            mirror.pull()
            (mirror.path / "train.log").touch()
            mirror.push()  # at once, so that a bucket that cannot be written to shows before the first step
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices("the bucket is as the first process has it")
        if index > 0:
            mirror.pull(exactly=True)
        with mirror.followed() if index == 0 else contextlib.nullcontext():
            yield mirror.path


class Mirror:
    """A run directory and its prefix in a bucket.

    Args:
      url: of the prefix.
      process: each process has a directory of its own.

    Attributes:
      path: the directory.

    Raises:
      UserError: if another process trains there, or the bucket's package is missing.
    """

    def __init__(self, url: str, process: int = 0):
        self.url = url.rstrip("/")
        self._system, self._base = storage.filesystem(self.url)
        home = state_directory() / "runs" / storage.local_name(self.url)
        self.path = home / f"process_{process}" if process else home
        self.path.mkdir(parents=True, exist_ok=True)
        self._journal_path = self.path / "mirror.json"
        self._uploaded: dict[str, Any] = {}  # what a file or checkpoint looked like here when it was uploaded
        self._stopped = threading.Event()
        self._lock = (self.path / "mirror.lock").open("w")
        if not lock(self._lock):
            raise UserError(f"{url}: another process on this machine is training there; wait for it")
        # What was in the bucket when this machine last wrote there, by name: digests, None for nothing. Two of them
        # while it is being written, either of which may be found if that is broken off.
        self._journal: dict[str, list[str | None]] = {}
        if self._journal_path.exists():
            self._journal = json.loads(self._journal_path.read_text())

    def close(self) -> None:
        """Lets other processes in."""
        self._lock.close()

    def pull(self, exactly: bool = False) -> None:
        """Brings the directory to the bucket's state.

        Args:
          exactly: keep nothing that is not there, not even what is yet to be uploaded.
        """
        with storage.readable_errors(self.url):
            objects = storage.objects_below(self._system, self._base)
            steps = {match[1] for name in objects if (match := re.match(r"checkpoints/(\d+)/", name))}
            markers = {f"checkpoints/{step}/{MARKER}" for step in steps}
            content = {name: self._read(name) for name in objects if name in markers or name in _FILES}
            there = {name: _digest(data) for name, data in content.items()}
            names = there.keys() | self._journal.keys()
            if exactly or any(there.get(name) not in self._journal.get(name, [None]) for name in names):
                self._forget(content)
            self._record({name: [digest] for name, digest in there.items()}, anew=True)
            for name, data in content.items():
                checkpoint = posixpath.dirname(name)
                if not checkpoint and not (self.path / name).exists():
                    (self.path / name).write_bytes(data)
                if checkpoint and not holds(self.path / checkpoint, data):
                    self._fetch(checkpoint, data)
                if checkpoint:
                    self._uploaded[checkpoint] = listing(self.path / checkpoint)
            for step in steps:  # parts of checkpoints are replaced or removed when next something is uploaded
                self._uploaded.setdefault(f"checkpoints/{step}", None)

    def _read(self, name: str) -> bytes:
        return self._system.cat_file(self._at(name))

    def _at(self, name: str) -> str:
        return posixpath.join(self._base, name)

    def _forget(self, content: dict[str, bytes]) -> None:
        """Removes all from the directory but the checkpoints that are in the bucket too."""
        for name in self._steps():
            if not holds(self.path / name, content.get(f"{name}/{MARKER}", b"")):
                log.info("%s was changed from elsewhere: the %s that this machine has is dropped", self.url, name)
                shutil.rmtree(self.path / name)
        shutil.rmtree(self.path / "tensorboard", ignore_errors=True)
        for path in (*(self.path / name for name in _FILES), *self.path.glob("metrics.*.jsonl")):
            path.unlink(missing_ok=True)

    def _steps(self) -> list[str]:
        """Names of the checkpoints in the directory, the oldest first; Orbax renames one when it is complete."""
        steps = [path.name for path in (self.path / "checkpoints").glob("*") if path.name.isdecimal()]
        return [f"checkpoints/{step}" for step in sorted(steps, key=int)]

    def _fetch(self, checkpoint: str, marker: bytes) -> None:
        files = json.loads(marker)
        log.info("fetching %s/%s, %.0f MB", self.url, checkpoint, sum(size for size, _ in files.values()) / 1e6)
        partial = self.path / "partial"
        shutil.rmtree(partial, ignore_errors=True)
        storage.download(self._system, self._at(checkpoint), {name: size for name, (size, _) in files.items()}, partial)
        if not holds(partial, marker):
            raise UserError(
                f"{self.url}/{checkpoint} is not what its {MARKER} says: remove it to go on from the one before"
            )
        shutil.rmtree(self.path / checkpoint, ignore_errors=True)
        (self.path / checkpoint).parent.mkdir(exist_ok=True)
        partial.rename(self.path / checkpoint)

    @contextlib.contextmanager
    def followed(self) -> Iterator[None]:
        """Uploads what changes in the directory while the context lasts, and the rest at its end."""
        follower = threading.Thread(target=self._follow, name="upload", daemon=True)
        follower.start()
        try:
            yield
        except BaseException:
            self._stop(follower)
            try:
                self.push()
            except UserError as error:  # less than what ended the training
                log.warning("%s", error)
            raise
        self._stop(follower)
        self.push()
        log.info("the whole run is in %s, for --workdir and --checkpoint on any machine", self.url)

    def _stop(self, follower: threading.Thread) -> None:
        self._stopped.set()
        follower.join()

    def _follow(self) -> None:
        files_at = again_at = 0.0
        failing = False
        while not self._stopped.wait(_LOOK_EVERY):
            now = time.monotonic()
            if now < again_at:
                continue
            try:
                self.push(files=now >= files_at)
                files_at = max(files_at, now + _FILES_EVERY) if now >= files_at else files_at
                failing = False
            except UserError as error:
                if not failing:
                    log.warning("%s; training goes on, and so do attempts to upload", error)
                again_at, failing = now + _FILES_EVERY, True

    def push(self, files: bool = True) -> None:
        """Uploads what is new in the directory, then removes the checkpoints that are no longer there.

        Args:
          files: also others than checkpoints.

        Raises:
          UserError: if that fails.
        """
        try:
            with storage.readable_errors(self.url):
                for name, seen in self._here(files).items():
                    if self._uploaded.get(name) != seen:
                        (self._upload_checkpoint if isinstance(seen, dict) else self._upload_file)(name, seen)
                gone = {name for name in self._uploaded if name.startswith("checkpoints/")} - {*self._steps()}
                for name in gone:
                    self._remove(name)
        except UserError as error:
            raise UserError(
                f"could not upload to {error}. Nothing is lost: the run is in {self.path}, and the same command "
                "uploads what is missing"
            ) from error

    def _here(self, files: bool) -> dict[str, Any]:
        """What the files and checkpoints of the directory look like, by name, in the order of their upload."""
        others = (*self.path.glob("metrics.*.jsonl"), *(self.path / "tensorboard").rglob("*"))
        paths = [*(self.path / name for name in _FILES), *others] if files else []
        seen: dict[str, Any] = {str(p.relative_to(self.path)): _look(p) for p in paths if p.is_file()}
        return seen | {name: listing(self.path / name) for name in self._steps()}

    def _upload_file(self, name: str, seen: tuple[int, int]) -> None:
        self._write(name, (self.path / name).read_bytes())
        self._uploaded[name] = seen

    def _upload_checkpoint(self, name: str, seen: Listing) -> None:
        """Uploads a checkpoint, its marker last; none if the run removes it meanwhile."""
        directory = self.path / name
        if name in self._uploaded:
            self._remove(name)  # another of the same number, or a part of one
        self._uploaded[name] = None
        try:
            marker = manifest(directory)
            storage.at_once(lambda file: self._system.put_file(str(directory / file), self._at(f"{name}/{file}")), seen)
        except FileNotFoundError:
            if listing(directory) == seen:
                raise
        if listing(directory) == seen:
            self._write(f"{name}/{MARKER}", marker)
            self._uploaded[name] = seen

    def _remove(self, name: str) -> None:
        """Removes a checkpoint from the bucket, its marker first."""
        marker = f"{name}/{MARKER}"
        self._record({marker: [*self._journal.get(marker, []), None]})
        for path in (marker, name):
            with contextlib.suppress(FileNotFoundError):
                self._system.rm(self._at(path), recursive=path == name)
        self._record({marker: [None]})
        self._uploaded.pop(name)

    def _write(self, name: str, data: bytes) -> None:
        """Writes an object, with notes of that before and after."""
        digest = _digest(data)
        noted = name in _FILES or name.endswith(MARKER)
        if noted:
            self._record({name: [*self._journal.get(name, [None]), digest]})
        self._system.pipe_file(self._at(name), data)
        if noted:
            self._record({name: [digest]})

    def _record(self, entries: dict[str, list[str | None]], anew: bool = False) -> None:
        self._journal = entries if anew else self._journal | entries
        replace_file(self._journal_path, json.dumps(self._journal))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _look(path: Path) -> tuple[int, int]:
    """What tells of a change."""
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns
