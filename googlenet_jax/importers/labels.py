"""Class names, for networks whose files have none.

`imagenet_classes.txt` has the 1000 classes of ILSVRC 2012 in the order of their WordNet numbers, which is the order of
every published GoogLeNet's outputs; names from WordNet (https://wordnet.princeton.edu).
"""

import codecs
import os
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from googlenet_jax.errors import UserError, reason, where

_MAX_BYTES = 16 << 20
# What stands before the name in the usual files: a WordNet number, or an index, with or without punctuation.
_PREFIX = re.compile(r"^(n\d{8}|\{?\s*\d+\s*:|\d+)[\s,:]+")


def named(labels: Sequence[str]) -> list[str]:
    """Class names, where those that are bare WordNet numbers, as ImageNet's folders are, have the words that they lack.

    Args:
      labels: such as "n01440764".

    Returns:
      Such as "n01440764 tench, Tinca tinca"; what is no such number stays as it is.
    """
    known = {line.partition(" ")[0]: line for line in _imagenet().splitlines()}
    return [known.get(label, label) for label in labels]


def read_labels(source: str | None, num_classes: int) -> list[str]:
    """Class names from a file.

    Args:
      source: "imagenet"; or a text file with one name a line, which may follow an index ("0 tench, Tinca tinca") or a
        WordNet number ("n01440764 tench, Tinca tinca"), blank lines apart; None: ImageNet's for 1000 classes, else
        numbers.
      num_classes: how many there must be.

    Returns:
      A name a class.

    Raises:
      UserError: if there is no such file, or it has another number of names.
    """
    if source is None and num_classes != 1000:
        return [f"class {i}" for i in range(num_classes)]
    if source in (None, "imagenet"):
        source = "imagenet"
        text = _imagenet()
    else:
        path = Path(os.path.expanduser(source))
        source = where(path)
        if not path.is_file():
            raise UserError(f"--labels {source}: there is no such file; give one, or the word imagenet")
        if path.stat().st_size > _MAX_BYTES:
            raise UserError(f"--labels {source}: too long for class names")
        try:
            text = _decoded(path.read_bytes())
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"--labels {source}: {reason(error)}; save it as UTF-8") from None
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    numbered = all(_PREFIX.match(line) for line in lines)  # else a number belongs to the name
    labels = [(_PREFIX.sub("", line) if numbered else line).strip("'\",}") for line in lines]
    if len(labels) != num_classes:
        raise UserError(f"--labels {source}: {len(labels)} names for {num_classes} classes")
    return labels


def _imagenet() -> str:
    return resources.files(__package__).joinpath("imagenet_classes.txt").read_text()


def _decoded(data: bytes) -> str:
    """Text in UTF-8, or in UTF-16 with the byte order mark that Windows puts before it; without that mark."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    return data.decode("utf-8-sig")
