"""Kinds of configuration fields, and the test each has for its values."""

import dataclasses
import math
from collections.abc import Callable, Iterable
from typing import Any

from googlenet_jax.config.choices import DATASETS


@dataclasses.dataclass(frozen=True)
class Field:
    """One field: its default, what it means, and which values it takes.

    Attributes:
      default: the value when a recipe says nothing; None where `kind` says what it may become.
      help: meaning and unit.
      allowed: the allowed values in words, with `accepts` the test for them.
      kind: type of a field whose default is None.
      element: type of the elements of a field that is a tuple.
      resumable: whether a run may go on with another value: one that past steps do not depend on.
      path: whether the value names a file or directory, whose "~" is the user's home.
    """

    default: Any
    help: str
    allowed: str = "any"
    accepts: Callable[[Any], bool] = lambda value: True
    kind: type | None = None
    element: type = float
    resumable: bool = False
    path: bool = False

    @property
    def type(self) -> type:
        """Of its values other than None."""
        return self.kind or type(self.default)

    def on_resume(self) -> "Field":
        """The same, as a field that may change when a run goes on."""
        return dataclasses.replace(self, resumable=True)


def one_of(default: str | None, help: str, values: Iterable[str]) -> Field:
    """One of a few words: the names of a table, whose rows' help is told, or words that `help` tells of."""
    names = tuple(values)
    return Field(default, help + _rows(values), "one of " + ", ".join(names), lambda v: v in names, str)


def _rows(values: Iterable[str]) -> str:
    """The help of a table's rows, to be told behind a field's."""
    if not isinstance(values, dict):
        return ""
    return "".join(f"; {name}: {getattr(row, 'help', row)}" for name, row in values.items())


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
    allowed = f"{low:g} to {high:.10g}" if high < float("inf") else f"{low:g} or more"
    return Field(default, help, allowed, lambda v: math.isfinite(v) and low <= v <= high, kind)


def positives(default: tuple[float, ...], help: str) -> Field:
    """Any count of numbers above 0."""
    return Field(default, help, "numbers above 0", lambda v: all(0 < x < float("inf") for x in v))


def ascending(default: tuple[float, float], help: str, high: float) -> Field:
    """Two ascending numbers above 0."""
    allowed = f"two ascending numbers above 0, up to {high:g}"
    return Field(default, help, allowed, lambda v: len(v) == 2 and 0 < v[0] <= v[1] <= high)


def subset(default: tuple[str, ...], help: str, values: Iterable[str]) -> Field:
    """Any of a few words, as `one_of` takes them."""
    names = tuple(values)
    allowed = "any of " + ", ".join(names)
    return Field(default, help + _rows(values), allowed, lambda v: set(v) <= set(names), element=str)


def ordered(default: tuple[str, ...], help: str) -> Field:
    """Some of these words, at least one, in their order."""
    allowed = f"some of {', '.join(default)}, in this order"
    return Field(default, help, allowed, lambda v: bool(v) and [w for w in default if w in v] == list(v), element=str)


def steps(help: str) -> Field:
    """Two ascending steps of a training, or none."""
    allowed = "two ascending whole numbers, 0 or more, such as 20,25"
    return Field(
        None, help, allowed, lambda v: len(v) == 2 and {*map(type, v)} == {int} and 0 <= v[0] < v[1], tuple, int
    )


def patterns(help: str, allowed: str, accepts: Callable[[str], bool]) -> Field:
    """Any count of texts, each of which `accepts` takes."""
    return Field((), help, allowed, lambda v: all(isinstance(item, str) and accepts(item) for item in v), element=str)


def dataset(default: str, help: str) -> Field:
    """The name of a dataset: a row of `DATASETS`, and its place where the row has one."""
    names = [f"{kind}:{row.place}" if row.place else kind for kind, row in DATASETS.items()]
    return Field(default, help, ", ".join(names), is_dataset)


def is_factor(item: str) -> bool:
    """Whether it is `pattern=factor`."""
    pattern, _, factor = item.rpartition("=")
    try:
        return bool(pattern) and 0 <= float(factor) < float("inf")
    except ValueError:
        return False


def is_dataset(name: str) -> bool:
    """Whether it names a source of images."""
    kind, _, place = name.partition(":")
    return kind in DATASETS and bool(place) == bool(DATASETS[kind].place)
