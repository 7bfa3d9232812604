"""The dictionaries of tensors in a file: a training checkpoint holds several, under keys of its own."""

import collections
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

_MAX_DEPTH = 4
_MAX_NAME = 400  # a longer key is no layer's; without a bound a file could make us copy one string many times


@dataclasses.dataclass(frozen=True)
class Found:
    """What a file holds.

    Attributes:
      groups: by the dotted key under which it lies in the file, "" for the file itself: {name: tensor, yet unread}.
      read: makes arrays of one of these.
      unread: the first thing in the file, by its name there, that is neither a tensor nor a plain value.
    """

    groups: Mapping[str, Mapping[str, Any]]
    read: Callable[[Mapping[str, Any]], dict[str, np.ndarray]] = dict
    unread: str = ""

    def load(self, key: str) -> dict[str, np.ndarray]:
        """The arrays under a key of `groups`, by name."""
        return self.read(self.groups[key])


def find_groups(content: Any, as_tensor: Callable[[Any], Any]) -> dict[str, dict[str, Any]]:
    """Every dictionary with tensors in what a file holds.

    Args:
      content: dictionaries in dictionaries.
      as_tensor: a value as a tensor, or None if it is none.

    Returns:
      As `Found.groups`, those nearer to the top first.
    """
    groups: dict[str, dict[str, Any]] = {}
    waiting: collections.deque[tuple[tuple[str, ...], dict[Any, Any]]] = collections.deque()
    if isinstance(content, dict):
        waiting.append(((), content))
    seen = {id(content)}  # a dictionary may contain itself
    while waiting:
        path, dictionary = waiting.popleft()
        tensors = {}
        for name, value in dictionary.items():
            if not isinstance(name, str | int) or len(str(name)) > _MAX_NAME:
                continue
            if isinstance(value, dict):
                if len(path) < _MAX_DEPTH and id(value) not in seen:
                    seen.add(id(value))
                    waiting.append(((*path, str(name)), value))
            elif (tensor := as_tensor(value)) is not None:
                tensors[str(name)] = tensor
        if tensors:
            groups.setdefault(".".join(path), tensors)
    return groups
