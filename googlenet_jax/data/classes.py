"""Names of classes: ImageNet's, and which of a network's classes are those of a dataset.

`imagenet_classes.txt` has the 1000 classes of ILSVRC 2012 in the order of their WordNet numbers, which is the order of
every published GoogLeNet's outputs; names from WordNet (https://wordnet.princeton.edu).
"""

import collections
import logging
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from googlenet_jax.data.pictures.picture import Picture
from googlenet_jax.data.sources.base import Source
from googlenet_jax.errors import UserError, shown

log = logging.getLogger(__name__)
UNUSED = "unused "  # begins the names of outputs beyond the dataset's classes
_WORDNET = re.compile(r"n\d{8}(?=\s|$)")


def imagenet() -> list[tuple[str, str]]:
    """ImageNet's classes by their index: (WordNet number, words)."""
    text = resources.files(__package__).joinpath("imagenet_classes.txt").read_text()
    rows = [line.partition(" ") for line in text.splitlines()]
    return [(number, words) for number, _, words in rows]


def named(labels: Sequence[str]) -> list[str]:
    """Class names, where those that are bare WordNet numbers, as ImageNet's folders are, have the words that they lack.

    Args:
      labels: such as "n01440764".

    Returns:
      Such as "n01440764 tench, Tinca tinca"; what is no such number stays as it is.
    """
    known = {number: f"{number} {words}" for number, words in imagenet()}
    return [known.get(label, label) for label in labels]


class _Renumbered:
    """The images of a source, with labels that are indices into other class names."""

    def __init__(self, source: Source, numbers: Sequence[int], labels: Sequence[str]):
        self._source, self._numbers, self.labels = source, numbers, list(labels)
        if hasattr(source, "paths"):
            self.paths = source.paths

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> tuple[Picture, int]:
        picture, label = self._source[index]
        return picture, self._numbers[label]


def with_classes_of(source: Source, known: Sequence[str], dataset: str, path: str | Path) -> Source:
    """Images whose labels are a network's classes.

    Classes are told by their names, see `places`, so that a dataset may have some of them, in any order. Names that say
    nothing, or have none in common, are taken in order.

    Args:
      source: the images.
      known: the network's class names.
      dataset, path: what both are called, for messages.

    Returns:
      The source, or one of the same images with the network's labels.

    Raises:
      UserError: if it has classes that the network does not know, or as many as cannot be told apart by order.
    """
    outputs, given = [label for label in known if not label.startswith(UNUSED)], source.labels
    found = places(given, outputs)
    numbers = [] if found is None else [number for number in found if number is not None]
    if found is not None and len(numbers) == len(given):
        if len(given) < len(outputs):
            log.info("%s has %d of the %d classes of %s", dataset, len(given), len(outputs), path)
        alike = numbers == [*range(len(outputs))]
        return source if alike else _Renumbered(source, numbers, known)
    if numbers:
        strange = [repr(shown(label)) for label, number in zip(given, found or (), strict=True) if number is None]
        raise UserError(
            f"{dataset} has {len(strange)} classes that {path} does not know: {', '.join(strange[:3])}"
            f"{', ...' if len(strange) > 3 else ''}; call them as the network does, or leave them out"
        )
    if len(given) not in (len(outputs), len(known)):
        raise UserError(
            f"{dataset} has {len(given)} classes, {path} tells {len(outputs)} apart, and by their names none is the "
            f"same: the first is {shown(given[0])!r} there, {shown(outputs[0])!r} here"
        )
    if found is not None:
        log.warning(
            "%s and %s have no class name in common: classes are taken in order, %r for %r and so on",
            *(dataset, path, shown(given[0]), shown(outputs[0])),
        )
    return source


def places(given: Sequence[str], known: Sequence[str]) -> list[int | None] | None:
    """Where given classes are among known ones by their names, of ImageNet's also by number or words alone.

    Args:
      given: class names.
      known: class names.

    Returns:
      Of each the index into known, or None where there is none; None if names of either say nothing ("class 3") or the
      same of two.
    """
    theirs, ours = _keys(given), _keys(known)
    if theirs == ours:
        return [*range(len(ours))]
    place = {key: i for i, key in enumerate(ours)}
    if len(place) < len(ours) or len({*theirs}) < len(theirs) or _says_nothing(given):
        return None
    found = [place.get(key) for key in theirs]
    return None if None in found and _says_nothing(known) else found


def _keys(labels: Sequence[str]) -> list[str]:
    """By what each class is known: of ImageNet's the WordNet number."""
    rows = imagenet()
    count = collections.Counter(words for _, words in rows)  # two are cranes
    numbers = {words: number for number, words in rows if count[words] == 1}
    keys = []
    for i, label in enumerate(labels):
        found = _WORDNET.match(label)
        at_home = len(labels) == len(rows) and label == rows[i][1]
        keys.append(found[0] if found else rows[i][0] if at_home else numbers.get(label, label))
    return keys


def _says_nothing(labels: Sequence[str]) -> bool:
    """Whether names are nothing but the classes' places."""
    return any(list(labels) == [f"{before}{i}" for i in range(len(labels))] for before in ("", "class "))
