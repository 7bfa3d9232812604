"""The place of a run in a bucket: what is written and removed there, and this machine's notes of it.

A checkpoint there is written with a note of its beginning first and its marker last, and removed the other way round:
whatever is broken off leaves a whole checkpoint or none. See `marker`.
"""

import contextlib
import hashlib
import json
import posixpath
from collections.abc import Mapping
from pathlib import Path

from googlenet_jax.runs.marker import BEGUN, MARKER, Listing, listing, manifest
from googlenet_jax.runs.writers import memory as services
from googlenet_jax.system import storage
from googlenet_jax.system.files import replace_file

FILES = ("config.json", "config_history.jsonl", "metrics.jsonl", "train.log", services.FILE)


class Remote:
    """A prefix in a bucket.

    Its methods raise what fsspec raises.

    Args:
      url: of the prefix.
      notes: file on this machine for what it last wrote or found there.
    """

    def __init__(self, url: str, notes: Path):
        self.system, self.base = storage.filesystem(url)
        self._notes_path = notes
        # Digests by name, None for nothing: of `FILES` and markers. Two of them while one is being written, either of
        # which may be found if that is broken off.
        self._notes: dict[str, list[str | None]] = json.loads(notes.read_text()) if notes.exists() else {}

    def at(self, name: str) -> str:
        """The path of an object, for `system`."""
        return posixpath.join(self.base, name)

    def objects(self) -> dict[str, int]:
        """Bytes of all that is there, by name."""
        return {name: size for name, (size, _) in storage.objects_below(self.system, self.base).items()}

    def read(self, name: str) -> bytes:
        """An object's content."""
        content: bytes = self.system.cat_file(self.at(name))
        return content

    def download(self, name: str, sizes: Mapping[str, int], target: Path) -> None:
        """Copies the objects of these names and bytes below another into a directory."""
        storage.download(self.system, self.at(name), sizes, target)

    def changed(self, content: Mapping[str, bytes]) -> bool:
        """Whether somebody else changed files or markers, which are now these."""
        there = {name: _digest(data) for name, data in content.items()}
        return any(there.get(name) not in self._notes.get(name, [None]) for name in there.keys() | self._notes.keys())

    def noted(self, content: Mapping[str, bytes]) -> None:
        """Takes note of all files and markers there are."""
        self._notes = {name: [_digest(data)] for name, data in content.items()}
        self._note({})

    def write(self, name: str, data: bytes) -> None:
        """Writes an object."""
        kept = name in FILES or name.endswith(MARKER)
        if kept:
            self._note({name: [*self._notes.get(name, [None]), _digest(data)]})
        self.system.pipe_file(self.at(name), data)
        if kept:
            self._note({name: [_digest(data)]})

    def upload(self, name: str, directory: Path, seen: Listing) -> bool:
        """Writes a checkpoint; without its marker if the run removes it meanwhile.

        Args:
          name: such as "checkpoints/9", of which nothing is there.
          directory: the checkpoint.
          seen: what it looked like.

        Returns:
          Whether it is whole.
        """
        if not seen:
            return False
        self.system.pipe_file(self.at(f"{name}/{BEGUN}"), b"{}")
        try:
            marker = manifest(directory)
            storage.at_once(lambda file: self.system.put_file(str(directory / file), self.at(f"{name}/{file}")), seen)
        except FileNotFoundError:
            if listing(directory) == seen:
                raise
        if listing(directory) != seen:
            return False
        self.write(f"{name}/{MARKER}", marker)
        return True

    def remove(self, name: str) -> None:
        """Removes a checkpoint or a part of one."""
        marker, begun = f"{name}/{MARKER}", self.at(f"{name}/{BEGUN}")
        if not self.system.exists(begun):  # it came there by other means
            self.system.pipe_file(begun, b"{}")
        self._note({marker: [*self._notes.get(marker, []), None]})
        with contextlib.suppress(FileNotFoundError):
            self.system.rm(self.at(marker))
        self._note({marker: [None]})
        parts = [self.at(f"{name}/{file}") for file in storage.objects_below(self.system, self.at(name))]
        if parts := [path for path in parts if path != begun]:
            self.system.rm(parts)
        with contextlib.suppress(FileNotFoundError):
            self.system.rm(self.at(name), recursive=True)

    def _note(self, entries: Mapping[str, list[str | None]]) -> None:
        self._notes |= entries
        replace_file(self._notes_path, json.dumps(self._notes))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
