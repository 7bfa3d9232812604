"""Kinds of configuration fields, and the test each has for its values."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any


@dataclasses.dataclass(frozen=True)
class Field:
    """One field: its default, what it means, and which values it takes.

    Attributes:
      default: the value when a recipe says nothing; None where `kind` says what it may become.
      help: meaning and unit.
      allowed: the allowed values in words, with `accepts` the test for them.
      kind: type of a field whose default is None.
    """

    default: Any
    help: str
    allowed: str = "any"
    accepts: Callable[[Any], bool] = lambda value: True
    kind: type | None = None


def one_of(default: str | None, help: str, *values: str) -> Field:
    """One of a few words."""
    return Field(default, help, "one of " + ", ".join(values), lambda v: v in values, str)


def channels(help: str, low: float) -> Field:
    """One number a channel, or the family's."""
    return Field(
        None,
        help + "; none: the family's",
        f"three numbers, {low:g} to 255",
        lambda v: len(v) == 3 and all(low <= x <= 255 for x in v),
        tuple,
    )


def number(default: Any, help: str, low: float = 0, high: float = float("inf"), kind: type | None = None) -> Field:
    """A finite number within bounds."""
    allowed = f"{low:g} to {high:g}" if high < float("inf") else f"{low:g} or more"
    return Field(default, help, allowed, lambda v: math.isfinite(v) and low <= v <= high, kind)


def positives(default: tuple[float, ...], help: str) -> Field:
    """Any count of numbers above 0."""
    return Field(default, help, "numbers above 0", lambda v: all(0 < x < float("inf") for x in v))


def ascending(default: tuple[float, float], help: str, high: float) -> Field:
    """Two ascending numbers above 0."""
    allowed = f"two ascending numbers above 0, up to {high:g}"
    return Field(default, help, allowed, lambda v: len(v) == 2 and 0 < v[0] <= v[1] <= high)


def subset(default: tuple[str, ...], help: str, *values: str) -> Field:
    """Any of a few words."""
    return Field(default, help, "any of " + ", ".join(values), lambda v: set(v) <= set(values))


def is_factor(item: Any) -> bool:
    """Whether it is `pattern=factor`."""
    pattern, _, factor = str(item).rpartition("=")
    try:
        return bool(pattern) and 0 <= float(factor) < float("inf")
    except ValueError:
        return False


def is_dataset(name: str) -> bool:
    """Whether it names a source of images."""
    kind, _, place = name.partition(":")
    return name in ("digits", "synthetic", "none") or (kind in ("folder", "records", "cifar", "tfds") and bool(place))
