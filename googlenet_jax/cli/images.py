"""The images that a command line names: files, directories, patterns, standard input."""

import glob
import io
import itertools
import os
import sys
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

from googlenet_jax.data.pictures.picture import MAX_BYTES
from googlenet_jax.data.pictures.pillow import EXTENSIONS, HEAD, is_image
from googlenet_jax.data.sources.tree import Tree, count_kinds, left_out_line
from googlenet_jax.errors import UserError, shown, where

STDIN = "-"


class Named(NamedTuple):
    """An image, or a name that leads to none.

    Attributes:
      name: its path, or "-".
      data: its file's content, where that was read already.
      problem: why there is no image; "" for one.
    """

    name: str
    data: bytes | None = None
    problem: str = ""


def named_images(names: Sequence[str]) -> tuple[Iterator[Named], int | None]:
    """The images that are named, in this order.

    Args:
      names: files, directories (for the images in them at any depth, sorted), patterns, or "-" for standard input: an
        image, or a list with such a name a line, which is read as it comes.

    Returns:
      (images, how many there are or None if that is not known yet).

    Raises:
      UserError: if none of the names leads to an image; of standard input by the iterator.
    """
    if STDIN not in names:
        known = [image for name in names for image in _expanded(name)]
        return _at_least_one(iter(known)), len(known)
    each = (_from_stdin() if name == STDIN else _expanded(name) for name in names)
    return _at_least_one(itertools.chain.from_iterable(each)), None


def _at_least_one(images: Iterator[Named]) -> Iterator[Named]:
    """The same, seen at once to the first image: what leads to none before it is kept so long."""
    none: list[Named] = []
    for image in images:
        if not image.problem:
            return itertools.chain(none, [image], images)
        none.append(image)
    if not none:
        raise UserError("standard input is empty: give an image there, or a path a line")
    more = f" ({len(none)} such names in all)" if len(none) > 1 else ""
    raise UserError(f"{where(none[0].name)}: {none[0].problem}{more}")


def _expanded(name: str) -> Iterator[Named]:
    if os.path.isdir(name):
        yield from _in_directory(name)
    elif os.path.lexists(name):
        yield Named(name)
    elif glob.has_magic(name):
        found = sorted(glob.glob(name, recursive=True))
        for path in found:
            yield from _in_directory(path) if os.path.isdir(path) else [Named(path)]
        if not found:
            yield Named(name, problem="nothing there is of this pattern")
    else:
        yield Named(name, problem="there is no such file")


def _in_directory(name: str) -> Iterator[Named]:
    tree = Tree(name)
    _, files = tree.walk()
    images = [path for path in files if tree.is_image(path)]
    yield from (Named(tree.name(path)) for path in images)
    taken = set(images)
    others = [path for path in files if path not in taken]
    if others and images:  # on standard error, since standard output may be read by a program
        print(f"{shown(name, 200)}: {left_out_line(others)}", file=sys.stderr)
    if not images:
        there = f"but {count_kinds(others)}" if others else f"of {', '.join(EXTENSIONS)}"
        yield Named(name, problem=f"no images in this directory, {there}")


def _from_stdin() -> Iterator[Named]:
    stream: BinaryIO = sys.stdin.buffer if sys.stdin is not None else io.BytesIO()
    head = stream.read(HEAD)
    if is_image(head):
        data = head + stream.read(MAX_BYTES + 1 - len(head))
        yield Named(STDIN, data, f"more than {MAX_BYTES >> 20} MiB" if len(data) > MAX_BYTES else "")
        return
    if b"\0" in head:
        yield Named(STDIN, problem="neither an image of a known format nor a list of paths")
        return
    first = (head + stream.readline()).removeprefix(b"\xef\xbb\xbf").splitlines()
    for line in itertools.chain(first, stream):
        if path := os.fsdecode(line.rstrip(b"\r\n")):
            yield from _expanded(path)
