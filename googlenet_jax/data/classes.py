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

    Classes are told by their names, see `places`, so that a dataset may have some of them, in any order. Where names
    have none in common, and as many on both sides, they are taken in order.

    Args:
      source: the images.
      known: the network's class names.
      dataset, path: what both are called, for messages.

    Returns:
      The source, or one of the same images with the network's labels.

    Raises:
      UserError: if it has classes that the network does not know, or that cannot be told apart.
    """
    given, outputs = source.labels, [label for label in known if not label.startswith(UNUSED)]
    found = places(given, known)
    numbers = [number for number in found if number is not None]
    if len(numbers) == len(given):
        if len(given) < len(outputs):
            log.info("%s has %d of the %d classes of %s", dataset, len(given), len(outputs), path)
        return source if numbers == [*range(len(given))] else _Renumbered(source, numbers, known)
    first = f"the first is {shown(given[0])!r} there, {shown(outputs[0])!r} here"
    told = not nameless(given) and not nameless(outputs)
    if len(given) not in (len(outputs), len(known)):
        raise UserError(
            f"{dataset} has {len(given)} classes, {path} tells {len(outputs)} apart, and their names do not say which "
            f"are the same: {first}"
        )
    if numbers and told:
        strange = [repr(shown(label)) for label, number in zip(given, found, strict=True) if number is None]
        raise UserError(
            f"{dataset} has {len(strange)} classes that {path} does not know, or two of a name: "
            f"{', '.join(strange[:3])}{', ...' if len(strange) > 3 else ''}; call them as the network does, or leave "
            "them out"
        )
    if told:
        log.warning("%s and %s have no class name in common: classes are taken in order; %s", dataset, path, first)
    return source


def places(given: Sequence[str], known: Sequence[str]) -> list[int | None]:
    """Where given classes are among known ones by their names, of ImageNet's also by number or a synonym alone.

    Args:
      given: class names.
      known: class names.

    Returns:
      Of each the index into known, or None where there is none, or a name is that of two.
    """
    exact = {label: i for i, label in enumerate(known)}
    if len(exact) == len(known) and len({*given}) == len(given) and all(label in exact for label in given):
        return [exact[label] for label in given]
    theirs, ours = _keys(given), _keys(known)
    if theirs == ours[: len(theirs)]:
        return [*range(len(theirs))]
    twice = {key for keys in (theirs, ours) for key, count in collections.Counter(keys).items() if count > 1}
    place = {key: i for i, key in enumerate(ours) if key not in twice}
    return [place.get(key) for key in theirs]


def _keys(labels: Sequence[str]) -> list[str]:
    """By what each class is known: of ImageNet's the WordNet number."""
    rows = imagenet()
    if len(labels) == len(rows):
        at_home = [
            label in (number, words, *words.split(", ")) for label, (number, words) in zip(labels, rows, strict=True)
        ]
        if sum(at_home) > 0.9 * len(rows):  # some lists tell both cranes apart in their own way
            return [number for number, _ in rows]
    names = [(name, number) for number, words in rows for name in {words, *words.split(", ")}]
    count = collections.Counter(name for name, _ in names)
    numbers = {name: number for name, number in names if count[name] == 1}
    matches = [_WORDNET.match(label) for label in labels]
    return [match[0] if match else numbers.get(label, label) for label, match in zip(labels, matches, strict=True)]


def nameless(labels: Sequence[str]) -> bool:
    """Whether names are nothing but the classes' places."""
    return any(list(labels) == [f"{before}{i}" for i in range(len(labels))] for before in ("", "class "))
