"""Runs in a bucket: a run directory on this machine, and a mirror of it.

Object stores neither append nor lock nor rename, so a training works in an ordinary directory; what changes there is
uploaded meanwhile by one thread. The bucket is the truth: what somebody removed or another machine went on with there
counts, and the local directory is brought to that state. Only what could not be uploaded before is kept and uploaded
when the training starts again, provided that nobody changed the bucket since.
"""

import contextlib
import json
import logging
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from googlenet_jax.errors import UserError
from googlenet_jax.runs.marker import BEGUN, MARKER, holds, is_whole, listing, manifest, steps_in
from googlenet_jax.runs.remote import FILES, Remote
from googlenet_jax.system import storage
from googlenet_jax.system.files import lock, state_directory

log = logging.getLogger(__name__)

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
      remote: the prefix.

    Raises:
      UserError: if another process trains there, or the bucket's package is missing.
    """

    def __init__(self, url: str, process: int = 0):
        self.url = url.rstrip("/")
        home = state_directory() / "runs" / storage.local_name(self.url)
        self.path = home / f"process_{process}" if process else home
        self.path.mkdir(parents=True, exist_ok=True)
        # What files and checkpoints looked like here when they were uploaded; None: a part of an upload is there.
        self._uploaded: dict[str, Any] = {}
        # Names of what is there and no checkpoint, nor ours: it stays until a checkpoint of that number comes.
        self._replaced: set[str] = set()
        self._stopped = threading.Event()
        self._lock = (self.path / "mirror.lock").open("w")
        if not lock(self._lock):
            raise UserError(f"{url}: another process on this machine is training there; wait for it")
        self.remote = Remote(self.url, self.path / "mirror.json")

    def close(self) -> None:
        """Lets other processes in."""
        self._lock.close()

    def pull(self, exactly: bool = False) -> None:
        """Brings the directory to the bucket's state.

        Args:
          exactly: keep nothing that is not there, not even what is yet to be uploaded.
        """
        with storage.readable_errors(self.url):
            objects = self.remote.objects()
            steps = [name for name in steps_in(objects) if name.startswith("checkpoints/")]
            marked = [name for name in steps if f"{name}/{MARKER}" in objects]
            unmarked = [] if exactly else [name for name in steps if name not in marked]
            files = [name for name in FILES if name in objects]
            content = {name: self.remote.read(name) for name in (*files, *(f"{step}/{MARKER}" for step in marked))}
            if exactly or self.remote.changed(content):
                self._forget(content)
            self.remote.noted(content)
            for name in files:
                if not (self.path / name).exists():
                    (self.path / name).write_bytes(content[name])
            for name in marked:
                if not holds(self.path / name, marker := content[f"{name}/{MARKER}"]):
                    if not is_whole(objects, self.remote.read, f"{name}/"):
                        raise self._strange(name)
                    self._fetch(name, marker)
                self._uploaded[name] = listing(self.path / name)
            for name in unmarked:
                if is_whole(objects, self.remote.read, f"{name}/"):
                    self._adopt(name, objects)
                elif f"{name}/{BEGUN}" in objects:  # a part of an upload: removed when next something is uploaded
                    self._uploaded[name] = None
            self._replaced = set(unmarked) - self._uploaded.keys()

    def _forget(self, content: dict[str, bytes]) -> None:
        """Removes all from the directory but the checkpoints that are in the bucket too."""
        for name in self._steps():
            if not holds(self.path / name, content.get(f"{name}/{MARKER}", b"")):
                log.info("%s was changed from elsewhere: the %s that this machine has is dropped", self.url, name)
                shutil.rmtree(self.path / name)
        shutil.rmtree(self.path / "tensorboard", ignore_errors=True)
        for path in (*(self.path / name for name in FILES), *self.path.glob("metrics.*.jsonl")):
            path.unlink(missing_ok=True)

    def _steps(self) -> list[str]:
        """Names of the checkpoints in the directory, the oldest first; Orbax renames one when it is complete."""
        steps = [path.name for path in (self.path / "checkpoints").glob("*") if path.name.isdecimal()]
        return [f"checkpoints/{step}" for step in sorted(steps, key=int)]

    def _damaged(self) -> set[str]:
        """Names of checkpoints that could not be read here and were set aside, which the bucket keeps."""
        return {f"checkpoints/{path.name.partition('.')[0]}" for path in (self.path / "checkpoints").glob("*.damaged*")}

    def _fetch(self, checkpoint: str, marker: bytes) -> None:
        partial = self._download(checkpoint, {name: size for name, (size, _) in json.loads(marker).items()})
        if not holds(partial, marker):
            raise self._strange(checkpoint)
        self._take(partial, checkpoint)

    def _strange(self, checkpoint: str) -> UserError:
        return UserError(
            f"{self.url}/{checkpoint} is not what its {MARKER} says: remove it to go on from the one before"
        )

    def _adopt(self, checkpoint: str, objects: dict[str, int]) -> None:
        """Fetches a checkpoint that was copied into the bucket by other means, and marks it there."""

        def sizes(objects: dict[str, int]) -> dict[str, int]:
            start = f"{checkpoint}/"
            return {name.removeprefix(start): size for name, size in objects.items() if name.startswith(start)}

        partial = self._download(checkpoint, sizes(objects))
        if sizes(self.remote.objects()) != sizes(objects):
            raise UserError(f"{self.url}/{checkpoint} is still being copied there: start again when it is done")
        self.remote.write(f"{checkpoint}/{MARKER}", manifest(partial))
        self._take(partial, checkpoint)
        self._uploaded[checkpoint] = listing(self.path / checkpoint)

    def _download(self, checkpoint: str, sizes: dict[str, int]) -> Path:
        log.info("fetching %s/%s, %.0f MB", self.url, checkpoint, sum(sizes.values()) / 1e6)
        partial = self.path / "partial"
        shutil.rmtree(partial, ignore_errors=True)
        self.remote.download(checkpoint, sizes, partial)
        return partial

    def _take(self, partial: Path, checkpoint: str) -> None:
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
                        self._upload(name, seen)
                there = {name for name in self._uploaded if name.startswith("checkpoints/")}
                for name in there - {*self._steps()} - self._damaged():
                    self._remove(name)
        except UserError as error:
            raise UserError(
                f"could not upload to {error}. Nothing is lost: the run is in {self.path}, and the same command "
                "uploads what is missing"
            ) from error

    def _here(self, files: bool) -> dict[str, Any]:
        """What the files and checkpoints of the directory look like, by name, in the order of their upload."""
        others = (*self.path.glob("metrics.*.jsonl"), *(self.path / "tensorboard").rglob("*"))
        paths = [*(self.path / name for name in FILES), *others] if files else []
        seen: dict[str, Any] = {str(p.relative_to(self.path)): _look(p) for p in paths if p.is_file()}
        return seen | {name: listing(self.path / name) for name in self._steps()}

    def _upload(self, name: str, seen: Any) -> None:
        """Uploads a file or a checkpoint, which looks like this."""
        path = self.path / name
        if not isinstance(seen, dict):
            self.remote.write(name, path.read_bytes())
        else:
            if name in self._uploaded or name in self._replaced:
                self._remove(name)  # another of the same number, or a part of one
            self._uploaded[name] = None
            if not self.remote.upload(name, path, seen):
                return
        self._uploaded[name] = seen

    def _remove(self, name: str) -> None:
        self.remote.remove(name)
        self._uploaded.pop(name, None)
        self._replaced.discard(name)


def _look(path: Path) -> tuple[int, int]:
    """What tells of a change."""
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns
