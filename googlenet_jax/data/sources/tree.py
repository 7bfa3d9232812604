"""The files below a directory, on a disk or in a bucket, and pictures in them."""

import collections
import contextlib
import os
import posixpath
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from googlenet_jax.data.pictures.picture import HEIC_HINT, MAX_BYTES, BadImageError, Picture, open_picture, read_file
from googlenet_jax.data.pictures.pillow import EXTENSIONS, HEAD, is_image
from googlenet_jax.errors import UserError, reason, shown, where
from googlenet_jax.system import storage

MOST_DIGITS = 6  # of a class's number in a list
_MOST_KINDS = 8  # of left out files that are named


class Tree:
    """The files below a directory.

    Args:
      root: a path, or a URL such as s3://bucket/images.
      what: names it in the message, up to the path.

    Raises:
      UserError: if there is no such directory.
    """

    def __init__(self, root: str, what: str = "config.dataset.name=folder:"):
        self.root = root if storage.is_url(root) else str(Path(root).expanduser())
        self.remote: tuple[Any, str] | None = storage.filesystem(root) if storage.is_url(root) else None
        with self._readable():
            found = self.remote[0].isdir(self.remote[1]) if self.remote else os.path.isdir(self.root)
        if not found:
            raise UserError(f"{what}{where(self.root)}: there is no such directory")

    def name(self, path: str) -> str:
        """A file's full name, from its path below the root."""
        return posixpath.join(self.root, path) if path else self.root

    def where(self, path: str = "") -> str:
        """As `name`, for messages."""
        return where(self.name(path))

    def read(self, path: str) -> bytes:
        """A file's content; raises `BadImageError` if it cannot be read."""
        if self.remote is None:
            return read_file(self.name(path))
        system, base = self.remote
        place = posixpath.join(base, path)
        try:
            data: bytes = system.cat_file(place, start=0, end=MAX_BYTES + 1)
        except FileNotFoundError:
            raise BadImageError(f"{self.name(path)}: there is no such object") from None
        except Exception as error:  # each kind of bucket has its own
            if not _is_empty(system, place):  # of which no part can be asked for
                raise UserError(f"{self.name(path)}: {reason(error)}") from error
            data = b""
        if len(data) > MAX_BYTES:
            raise BadImageError(f"{self.name(path)}: of more than {MAX_BYTES >> 20} MiB")
        return data

    def directories(self, below: str = "") -> list[str]:
        """Names of the directories in a directory, sorted; hidden ones left out."""
        if self.remote is None:
            with os.scandir(self.name(below)) as entries:
                names = [entry.name for entry in entries if entry.is_dir()]
        else:
            system, base = self.remote
            with self._readable():
                entries_of = system.ls(posixpath.join(base, below), detail=True)
            names = [posixpath.basename(e["name"].rstrip("/")) for e in entries_of if e["type"] == "directory"]
        return sorted(name for name in names if _counts(name))

    def walk(self, below: str = "") -> tuple[list[str], list[str]]:
        """(directories, files) at any depth below a directory, as sorted paths below the root; hidden ones left out."""
        top = self.name(below) if self.remote is None else posixpath.join(self.remote[1], below).rstrip("/")
        found = _walk(self.remote[0], top) if self.remote else os.walk(top, followlinks=True, onerror=_raise)
        directories, files = [], []
        with self._readable():
            for place, inside, names in found:
                prefix = posixpath.join(below, place[len(top) :].lstrip("/"))
                inside[:] = [name for name in inside if _counts(name) and not self._loops(place, name)]
                directories += [posixpath.join(prefix, name) for name in inside]
                files += [posixpath.join(prefix, name) for name in names if not name.startswith(".")]
        return sorted(directories), sorted(files)

    def _readable(self) -> contextlib.AbstractContextManager[None]:
        return storage.readable_errors(self.root) if self.remote else contextlib.nullcontext()

    def _loops(self, place: str, name: str) -> bool:
        """Whether a directory is a link to one that it lies in."""
        path = os.path.join(place, name)
        inside = self.remote is None and os.path.islink(path)
        return inside and f"{os.path.realpath(place)}/".startswith(f"{os.path.realpath(path)}/")

    def is_image(self, path: str) -> bool:
        """Whether a file is an image, by its extension; of one that has none, by its first bytes if it is near."""
        extension = os.path.splitext(path)[1].lower()
        if extension or self.remote is not None:
            return extension in EXTENSIONS
        try:
            with open(self.name(path), "rb") as file:
                return is_image(file.read(HEAD))
        except OSError:
            return False

    def content(self, path: str) -> bytes | None:
        """The content of a file, or None if there is none of that name; the path may lead above the root."""
        with self._readable():
            try:
                if self.remote is None:
                    return Path(self.name(path)).read_bytes()
                wanted = posixpath.normpath(posixpath.join(self.remote[1], path))
                return None if wanted.startswith("..") or "/" not in wanted else self.remote[0].cat_file(wanted)
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return None

    def lines(self, path: str) -> list[str] | None:
        """The lines of a text file but empty ones, or None if there is no such file; as `text_lines` has them."""
        data = self.content(path)
        return None if data is None else text_lines(data, self.where(path))


def _counts(name: str) -> bool:
    """Whether a directory is one of the user's, not of a tool such as .git or __MACOSX."""
    return not name.startswith((".", "__"))


def _walk(system: Any, top: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """As `os.walk`, of a bucket. fsspec's own passes over directories that cannot be listed."""
    try:
        entries = system.ls(top, detail=True)
    except FileNotFoundError:
        return
    names: dict[bool, list[str]] = {True: [], False: []}
    for entry in entries:
        path = entry["name"].rstrip("/")
        if path.strip("/") != top.strip("/"):  # some have the directory among its entries
            names[entry["type"] == "directory"].append(posixpath.basename(path))
    yield top, names[True], names[False]
    for name in names[True]:
        yield from _walk(system, posixpath.join(top, name))


def _is_empty(system: Any, place: str) -> bool:
    try:
        return bool(system.info(place)["size"] == 0)
    except Exception:
        return False


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):  # a split that is missing is spoken of elsewhere
        raise error


def text_lines(data: bytes, name: str) -> list[str]:
    """A text file's lines, whatever program wrote it: without its byte order mark, empty lines and spaces at the ends.

    Args:
      data: of the file. What is no UTF-8 is kept as Python keeps it in file names (PEP 383), so that a list names files
        in any encoding.
      name: for the message.

    Returns:
      Its lines.

    Raises:
      UserError: if it is no text, or in UTF-16.
    """
    if b"\0" in data or data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise UserError(f"{name} is not a text file in UTF-8; save it as one")
    text = data.removeprefix(b"\xef\xbb\xbf").decode(errors="surrogateescape")
    # Not `splitlines`, which ends a line at characters that file names may hold.
    return [line.rstrip() for line in re.split(r"\r\n|\n|\r", text) if line.strip()]


def count_kinds(paths: Sequence[str]) -> str:
    """How many files there are of each extension, as a message says it: "10 .heic, 2 .txt"."""
    kinds = collections.Counter(os.path.splitext(path)[1].lower() for path in paths)
    named = [
        f"{count} {shown(kind, 12)}" if kind else f"{count} without extension"
        for kind, count in kinds.most_common(_MOST_KINDS)
    ]
    others = len(paths) - sum(count for _, count in kinds.most_common(_MOST_KINDS))
    hint = f" ({HEIC_HINT})" if {".heic", ".heif"} & set(kinds) else ""
    return ", ".join(named + ([f"{others} others"] if others else [])) + hint


def left_out_line(paths: Sequence[str]) -> str:
    """What is said of files that are no images: "12 files left out: 10 .heic, 2 .txt"."""
    return f"{len(paths)} {'files' if len(paths) > 1 else 'file'} left out: {count_kinds(paths)}"


class FileSource:
    """Pictures in files.

    Args:
      tree: that they lie in.
      paths: below its root.
      classes: one a file.
      labels: class names.
    """

    def __init__(self, tree: Tree, paths: Sequence[str], classes: Sequence[int], labels: Sequence[str]):
        self.tree, self.paths, self.classes, self.labels = tree, list(paths), list(classes), list(labels)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Picture, int]:
        path = self.paths[index]
        return open_picture(self.tree.read(path), self.tree.name(path)), self.classes[index]

    def only(self, indices: Sequence[int]) -> "FileSource":
        """Some of them."""
        return FileSource(self.tree, [self.paths[i] for i in indices], [self.classes[i] for i in indices], self.labels)
