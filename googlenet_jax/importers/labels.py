"""Class names, for networks whose files have none."""

import codecs
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from googlenet_jax.data.classes import imagenet
from googlenet_jax.errors import UserError, reason, where

_MAX_BYTES = 16 << 20
# What stands before the name in the usual files, with or without punctuation.
_INDEX = re.compile(r"\{?\s*['\"]?(\d{1,9})['\"]?\s*[\s,:]\s*(?=\S)")
_WORDNET = re.compile(r"n\d{8}[\s,:]+(?=\S)")


def read_labels(source: str | None, num_classes: int) -> list[str]:
    """Class names from a file.

    Args:
      source: "imagenet"; or a text file with one name a line, which may follow an index ("0 tench, Tinca tinca"), by
        which it is placed, or a WordNet number ("n01440764 tench, Tinca tinca"), blank lines apart; or a JSON file: a
        list of names, {index: name}, {index: [WordNet number, name]} or {name: index}; None: ImageNet's for 1000
        classes, else numbers.
      num_classes: how many there must be.

    Returns:
      A name a class.

    Raises:
      UserError: if there is no such file, or it has another number of names.
    """
    if source is None and num_classes != 1000:
        return [f"class {i}" for i in range(num_classes)]
    if source in (None, "imagenet"):
        source, labels = "imagenet", [words for _, words in imagenet()]
    else:
        path = Path(os.path.expanduser(source))
        source = where(path)
        if not path.exists() or path.is_dir():
            raise UserError(f"--labels {source}: there is no such file; give one, or the word imagenet")
        try:
            with path.open("rb") as file:  # maybe a pipe
                data = file.read(_MAX_BYTES + 1)
            if len(data) > _MAX_BYTES:
                raise UserError(f"--labels {source}: too long for class names")
            text = _decoded(data)
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"--labels {source}: {reason(error)}; save it as UTF-8") from None
        labels = _of_json(text) or _of_lines([line.strip() for line in text.splitlines() if line.strip()])
    if len(labels) != num_classes:
        raise UserError(f"--labels {source}: {len(labels)} names for {num_classes} classes; it takes one name a line")
    return labels


def _of_lines(lines: Sequence[str]) -> list[str]:
    """The names, by their indices where those are one a class; else a number belongs to the name."""
    found = [_INDEX.match(line) for line in lines]
    numbers = [int(match[1]) for match in found if match]
    rests = [line[match.end() :] if match else line for line, match in zip(lines, found, strict=True)]
    placed = _placed(numbers, rests) if len(numbers) == len(lines) else None
    names = list(lines) if placed is None else placed
    if all(_WORDNET.match(name) for name in names):
        names = [_WORDNET.sub("", name, count=1) for name in names]
    return [name.strip("'\",}") for name in names]


def _of_json(text: str) -> list[str] | None:
    """The names in one of the usual forms; None if it is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(found, list):
        return found if all(isinstance(name, str) for name in found) else None
    if not isinstance(found, dict) or not found:
        return None
    if all(type(value) is int for value in found.values()):
        return _placed([*found.values()], [*found])
    names = [value[-1] if isinstance(value, list) and value else value for value in found.values()]
    if not all(key.isdecimal() and len(key) < 10 for key in found) or not all(isinstance(name, str) for name in names):
        return None
    return _placed([int(key) for key in found], names)


def _placed(numbers: Sequence[int], names: Sequence[str]) -> list[str] | None:
    """Names in the order of their numbers; None unless those are 0 to n - 1, or 1 to n."""
    order = sorted(range(len(numbers)), key=numbers.__getitem__)
    ascending = [numbers[i] for i in order]
    if not numbers or ascending not in ([*range(len(numbers))], [*range(1, len(numbers) + 1)]):
        return None
    return [names[i] for i in order]


def _decoded(data: bytes) -> str:
    """Text in UTF-8, or in UTF-16 with the byte order mark that Windows puts before it; without that mark."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    return data.decode("utf-8-sig")
