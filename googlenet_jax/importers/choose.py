"""Which of a file's dictionaries of tensors are the network's weights, and whose names they have."""

import collections
import itertools
import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np

from googlenet_jax.errors import UserError, shown
from googlenet_jax.importers.names import Naming, entries, known_namings

_AVERAGES = {"ema", "avg", "average", "averaged", "swa", "shadow", "teacher", "target"}
_OPTIMIZERS = ("optim", "moment", "accum", "veloc", "exp_avg", "grad", "mean_square")
_LISTED = 8
_MAX_WRAPPERS = 16  # parts of a prefix


class Weights(NamedTuple):
    """A set of weights that a file has.

    Attributes:
      group: dotted key of their dictionary in the file, "" for the file itself.
      prefix: what wrappers put before most names, such as "module.".
      naming: whose names follow it.
      share: of the naming's names that are there, 0..1.
      surrogate: 0 for the weights themselves, 1 for an average of them, 2 for what an optimizer keeps.
    """

    group: str
    prefix: str
    naming: Naming
    share: float
    surrogate: int

    @property
    def key(self) -> str:
        """What `--key` may call them."""
        return _joined(self.group, self.prefix)


class Chosen(NamedTuple):
    """The weights to take.

    Attributes:
      weights: these.
      name: what to call their place in the file, "" for the file itself.
      others: other sets that could be taken by `--key`.
    """

    weights: Weights
    name: str
    others: list[str]


def choose(
    groups: Mapping[str, Collection[str]],
    kind: str = "",
    system: str | None = None,
    key: str | None = None,
    unread: str = "",
) -> Chosen:
    """Finds the weights in a file: those that a naming fits best, rather than averages of them.

    Args:
      groups: names of the tensors in each of its dictionaries, by dotted key.
      kind: of file, in the words of `recognise.KINDS`.
      system: looks among this system's namings only.
      key: looks in this dictionary only, or among tensors with this prefix.
      unread: something else in the file, in which the weights may be, for the message.

    Returns:
      A `Chosen`.

    Raises:
      UserError: if there is no such key, or the tensors are nobody's.
    """
    found = _sets(groups, [n for n in known_namings(system) if system or not n.files or kind in n.files])
    among = found
    if key is not None:
        below = _below(key, groups)
        among = [weights for weights in found if weights.group in below or (not below and weights.key == key)]
        if not below and not among:
            raise UserError(f"--key {shown(key)}: there is no such key; {_keys(found, groups)}")
        groups = below or groups
    if not among:
        names = max((list(group) for group in groups.values()), key=len)
        whose = f"{system}'s GoogLeNet" if system else "any GoogLeNet that is known here"
        also = f", and {shown(unread)}, which it asks for, is refused: only arrays and plain values are read"
        some = ", ".join(map(shown, names[:3]))
        raise UserError(f"its {len(names)} tensors ({some}, ...) are not those of {whose}{also if unread else ''}")
    best = among[0]
    places = dict.fromkeys((w.group, w.prefix) for w in [best, *found] if w is best or w.surrogate < 2)
    crowded = collections.Counter(group for group, _ in places)
    names = [_joined(group, prefix) if crowded[group] > 1 else group for group, prefix in places]
    return Chosen(best, names[0], names[1:])


def take(tensors: Mapping[str, np.ndarray], weights: Weights) -> tuple[dict[str, np.ndarray], list[str]]:
    """The tensors under their system's names.

    Args:
      tensors: of the group, by the names in the file.
      weights: which of them.

    Returns:
      ({name without the prefix: array}, names of another set of weights among them). A tensor that never had the
      prefix, such as a classifier that was replaced within a wrapped network, counts too.
    """
    taken = {n.removeprefix(weights.prefix): a for n, a in tensors.items() if n.startswith(weights.prefix)}
    rest = {name: array for name, array in tensors.items() if not name.startswith(weights.prefix)}
    wanted = {entry.name for entry in entries(weights.naming, aux=False)}
    other = [name for name in rest if name in taken]
    if len(wanted & rest.keys()) > len(wanted) / 2:
        other = [name for name in rest if name in wanted or name in taken]
    return taken | {name: array for name, array in rest.items() if name not in other}, other


def _sets(groups: Mapping[str, Collection[str]], namings: list[Naming]) -> list[Weights]:
    """The sets of weights, best first: each prefix with which half of a naming's names are there, or more."""
    wanted = [{entry.name for entry in entries(naming, aux=False)} for naming in namings]
    known = set().union(*wanted)
    found = []
    for group, names in groups.items():
        there: dict[str, set[str]] = {}
        for name in names:
            ends = (match.end() for match in re.finditer(r"\.", name))
            for start in (0, *itertools.islice(ends, _MAX_WRAPPERS)):
                if name[start:] in known:
                    there.setdefault(name[:start], set()).add(name[start:])
        for prefix, suffixes in there.items():
            shares = [len(suffixes & own) / len(own) for own in wanted]
            surrogate = _surrogate(f"{group}.{prefix}")
            fitting = zip(namings, shares, strict=True)
            found += [Weights(group, prefix, naming, share, surrogate) for naming, share in fitting if share >= 0.5]
    # Where two fit alike, the first in the file; and of two systems with the same names, that of this kind of file.
    return sorted(found, key=lambda w: (-w.share, w.surrogate, w.group.count("."), not w.naming.files))


def _surrogate(place: str) -> int:
    """As `Weights.surrogate`, told by the words in a key."""
    words = re.split(r"[._/]", place.lower())
    if any(word.startswith(_OPTIMIZERS) for word in words):
        return 2
    return 1 if _AVERAGES & set(words) else 0


def _below(key: str, groups: Mapping[str, Collection[str]]) -> dict[str, Collection[str]]:
    """The group of that key, or else those within it."""
    if key in groups:
        return {key: groups[key]}
    return {group: names for group, names in groups.items() if group.startswith(f"{key}.")}


def _keys(found: list[Weights], groups: Mapping[str, Collection[str]]) -> str:
    """The keys there are, those of weights first."""
    keys = [key for key in dict.fromkeys([*(weights.group for weights in found), *groups]) if key]
    more = f", and {len(keys) - _LISTED} more" if len(keys) > _LISTED else ""
    return f"there are {', '.join(map(shown, keys[:_LISTED]))}{more}" if keys else "the file has none"


def _joined(group: str, prefix: str) -> str:
    return ".".join(part for part in (group, prefix.rstrip(".")) if part)
