"""Folders of image files: a directory a class, or lists of paths and labels; on a disk or in a bucket."""

import os
import posixpath
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ml_collections

from googlenet_jax.data.pictures.picture import EXTENSIONS, BadImageError, Picture, open_picture, read_file
from googlenet_jax.errors import UserError, reason
from googlenet_jax.system import storage

_MOST_DIGITS = 6  # of a label in a list


class Tree:
    """The files below a directory.

    Args:
      root: a path, or a URL such as s3://bucket/images.

    Raises:
      UserError: if there is no such directory.
    """

    def __init__(self, root: str):
        self.root = root if storage.is_url(root) else str(Path(root).expanduser())
        self.remote: tuple[Any, str] | None = storage.filesystem(root) if storage.is_url(root) else None
        if not (self.remote[0].isdir(self.remote[1]) if self.remote else os.path.isdir(self.root)):
            raise UserError(f"config.dataset.name=folder:{self.root}: there is no such directory")

    def name(self, path: str) -> str:
        """A file's full name, from its path below the root."""
        return posixpath.join(self.root, path)

    def read(self, path: str) -> bytes:
        """A file's content; raises `BadImageError` if it cannot be read."""
        if self.remote is None:
            return read_file(self.name(path))
        system, base = self.remote
        try:
            return system.cat_file(posixpath.join(base, path))
        except FileNotFoundError:
            raise BadImageError(f"{self.name(path)}: there is no such object") from None
        except Exception as error:  # each kind of bucket has its own
            raise UserError(f"{self.name(path)}: {reason(error)}") from error

    def walk(self, below: str) -> tuple[list[str], list[str]]:
        """(directories, files) at any depth below a directory, as sorted paths below the root; hidden ones left out."""
        if self.remote is None:
            found = os.walk(self.name(below), followlinks=True, onerror=_raise)
        else:
            system, base = self.remote
            found = system.walk(posixpath.join(base, below))
        start = len(self.name(below) if self.remote is None else posixpath.join(self.remote[1], below)) + 1
        directories, files = [], []
        for where, inside, names in found:
            prefix = posixpath.join(below, where[start:])
            inside[:] = [name for name in inside if not name.startswith((".", "__")) and not self._loops(where, name)]
            directories += [posixpath.join(prefix, name) for name in inside]
            files += [posixpath.join(prefix, name) for name in names if not name.startswith(".")]
        return sorted(directories), sorted(files)

    def _loops(self, where: str, name: str) -> bool:
        """Whether a directory is a link to one that it lies in."""
        path = os.path.join(where, name)
        inside = self.remote is None and os.path.islink(path)
        return inside and f"{os.path.realpath(where)}/".startswith(f"{os.path.realpath(path)}/")

    def lines(self, path: str) -> list[str] | None:
        """The lines of a text file, or None if there is none of that name."""
        try:
            if self.remote is None:
                data = Path(self.name(path)).read_bytes()
            else:
                data = self.remote[0].cat_file(posixpath.join(self.remote[1], path))
            return data.decode().splitlines()
        except FileNotFoundError:
            return None
        except UnicodeDecodeError:
            raise UserError(f"{self.name(path)} is not a text file in UTF-8") from None


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):  # a split that is missing is spoken of elsewhere
        raise error


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


def open_folder(root: str, config: ml_collections.ConfigDict | None = None) -> tuple[FileSource, FileSource]:
    """`train/<class>/*` and `val/<class>/*`, or `train_list.txt` and `val_list.txt` with lines `path label`.

    Args:
      root: a path or a URL.
      config: the whole configuration; None: the defaults.

    Returns:
      (train, validation).

    Raises:
      UserError: if it cannot be read, is empty, or the classes of the two do not agree.
    """
    tree = Tree(root)
    if tree.lines("train_list.txt") is not None:
        return _listed(tree)
    train = _class_folders(tree, "train")
    found = (_class_folders(tree, name) for name in ("val", "test"))
    val = next((source for source in found if source is not None), None)
    if train is None or val is None:
        missing = "train" if train is None else "val"
        raise UserError(
            f"{tree.root} has no directory {missing!r}: give it train/<class>/* and val/<class>/*, or *_list.txt"
        )
    if train.labels != val.labels:
        odd = sorted({*train.labels} ^ {*val.labels})
        where = "train" if odd[0] in train.labels else "val"
        raise UserError(
            f"{tree.root}: the classes of train and val differ: {odd[0]!r} is in {where} alone"
            + (f", {len(odd)} such classes in all" if len(odd) > 1 else "")
        )
    for name, source in (("train", train), ("val", val)):
        if not len(source):
            raise UserError(f"{tree.name(name)} holds no images ({', '.join(EXTENSIONS)})")
    return train, val


def _class_folders(tree: Tree, split: str) -> FileSource | None:
    """The images of one split; None if it has no directory."""
    directories, files = tree.walk(split)
    labels = [path.partition("/")[2] for path in directories if path.count("/") == 1]
    if not labels:
        if directories or files or (tree.remote is None and os.path.isdir(tree.name(split))):
            raise UserError(f"{tree.name(split)} has no class directories: images go into {split}/<class>/")
        return None
    number = {label: i for i, label in enumerate(labels)}
    paths = [path for path in files if path.lower().endswith(EXTENSIONS) and path.count("/") > 1]
    return FileSource(tree, paths, [number[path.split("/", 2)[1]] for path in paths], labels)


def _listed(tree: Tree) -> tuple[FileSource, FileSource]:
    splits = {}
    for split in ("train", "val"):
        listing = tree.name(f"{split}_list.txt")
        lines = tree.lines(f"{split}_list.txt")
        if lines is None:
            raise UserError(f"{listing} is missing: {tree.root} has the other list")
        rows = [line.rsplit(maxsplit=1) for line in lines if line.strip()]
        for number, row in enumerate(rows, 1):
            if len(row) != 2 or not row[1].isdecimal() or len(row[1]) > _MOST_DIGITS:
                raise UserError(
                    f"{listing}, line {number}: expected 'path label' with a whole number, got {' '.join(row)!r}"
                )
        if not rows:
            raise UserError(f"{listing} is empty")
        splits[split] = [path for path, _ in rows], [int(label) for _, label in rows]
    count = max(max(classes) for _, classes in splits.values()) + 1
    labels = tree.lines("labels.txt") or [str(i) for i in range(count)]
    if len(labels) < count:
        raise UserError(f"{tree.name('labels.txt')} names {len(labels)} classes, but the lists use {count}")
    train, val = (FileSource(tree, paths, classes, labels) for paths, classes in splits.values())
    return train, val
