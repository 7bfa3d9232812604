"""Which of a file's dictionaries of tensors are the network's weights, and whose names they have."""

import collections
import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np

from googlenet_jax.errors import UserError, shown
from googlenet_jax.importers.names import Naming, entries, known_namings

_AVERAGES = {"ema", "avg", "average", "averaged", "swa", "shadow", "teacher", "target"}
_OPTIMIZERS = ("optim", "moment", "accum", "veloc", "exp_avg", "grad", "mean_square")
_LISTED = 8


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
        return ".".join(part for part in (self.group, self.prefix.rstrip(".")) if part)


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
    groups: Mapping[str, Collection[str]], kind: str = "", system: str | None = None, key: str | None = None
) -> Chosen:
    """Finds the weights in a file: those that a naming fits best, rather than averages of them.

    Args:
      groups: names of the tensors in each of its dictionaries, by dotted key.
      kind: of file, in the words of `recognise.KINDS`.
      system: looks among this system's namings only.
      key: looks in this dictionary only, or among tensors with this prefix.

    Returns:
      A `Chosen`.

    Raises:
      UserError: if there is no such key, or the tensors are nobody's.
    """
    namings = [naming for naming in known_namings(system) if system or not naming.files or kind in naming.files]
    found = [weights for group in groups for weights in _sets(group, groups[group], namings)]
    found.sort(key=lambda w: (-w.share, w.surrogate, w.group.count("."), not w.naming.files))  # stable: in file order
    among = found
    if key is not None:
        near = [group for group in groups if group == key] or [g for g in groups if g.startswith(f"{key}.")]
        among = [weights for weights in found if weights.group in near] or [w for w in found if w.key == key]
        if not near and not among:
            names = list(dict.fromkeys([w.group for w in found if w.group] + [group for group in groups if group]))
            more = f", and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
            there = f"there are {', '.join(map(shown, names[:_LISTED]))}{more}" if names else "the file has no keys"
            raise UserError(f"--key {shown(key)}: there is no such key; {there}")
        groups = {group: groups[group] for group in near} or groups
    if not among:
        names = max((list(group) for group in groups.values()), key=len)
        whose = f"{system}'s GoogLeNet" if system else "any GoogLeNet that is known here"
        raise UserError(f"its {len(names)} tensors ({', '.join(map(shown, names[:3]))}, ...) are not those of {whose}")
    best = among[0]
    places = {(w.group, w.prefix) for w in found if w.surrogate < 2} | {(best.group, best.prefix)}
    several = {group for group, count in collections.Counter(group for group, _ in places).items() if count > 1}

    def name(weights: Weights) -> str:
        return weights.key if weights.group in several else weights.group

    others = [name(w) for w in found if (w.group, w.prefix) in places - {(best.group, best.prefix)}]
    return Chosen(best, name(best), list(dict.fromkeys(others)))


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


def _sets(group: str, names: Collection[str], namings: list[Naming]) -> list[Weights]:
    """The sets of weights in one dictionary: each prefix with which half of a naming's names are there, or more."""
    wanted = [{entry.name for entry in entries(naming, aux=False)} for naming in namings]
    known = set().union(*wanted)
    there: dict[str, set[str]] = {}
    for name in names:
        starts = [0, *(match.end() for match in re.finditer(r"\.", name))]
        for start in starts:
            if name[start:] in known:
                there.setdefault(name[:start], set()).add(name[start:])
    found = []
    for prefix, suffixes in there.items():
        parts = re.split(r"[._/]", f"{group}.{prefix}".lower())
        surrogate = 1 if _AVERAGES & set(parts) else 0
        surrogate = 2 if any(part.startswith(_OPTIMIZERS) for part in parts) else surrogate
        shares = [len(suffixes & own) / len(own) for own in wanted]
        fitting = zip(namings, shares, strict=True)
        found += [Weights(group, prefix, naming, share, surrogate) for naming, share in fitting if share >= 0.5]
    return found
