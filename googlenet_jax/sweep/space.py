"""What a sweep varies: lists that are crossed, files that yield overrides, ranges that are searched."""

import itertools
import math
import re
import runpy
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from googlenet_jax.config.checks import check_value, known_field
from googlenet_jax.config.fields import FIELDS
from googlenet_jax.config.overrides import parse
from googlenet_jax.config.recipes import line_of
from googlenet_jax.errors import UserError, reason, where

Overrides = dict[str, Any]
_FIELD = re.compile(r"\s*([\w.]+)\s*=(.*)", re.DOTALL)
_RANGE = re.compile(r"(log|uniform|int|choice)\((.*)\)", re.DOTALL)
_COUNT = re.compile(r"(-?\d{1,15})\.\.(-?\d{1,15})")
_MOST = 100_000  # combinations, which a slip of the finger should not exceed


class Range(NamedTuple):
    """Values of a field that a search draws from.

    Attributes:
      kind: "log" (the logarithm is uniform), "uniform", "int" (both ends included) or "choice".
      low, high: bounds; 0 of a choice.
      choices: values of a choice.
    """

    kind: str
    low: float = 0.0
    high: float = 0.0
    choices: tuple[Any, ...] = ()

    @property
    def values(self) -> Sequence[Any] | None:
        """All that it holds, in order; None for those of numbers in between."""
        if self.kind == "choice":
            return self.choices
        return range(int(self.low), int(self.high) + 1) if self.kind == "int" else None

    def at(self, share: float) -> Any:
        """The value at a share, 0 to 1, of the range."""
        if self.kind == "choice":
            return self.choices[min(int(share * len(self.choices)), len(self.choices) - 1)]
        if self.kind == "int":
            return min(int(self.low + share * (self.high - self.low + 1)), int(self.high))
        if self.kind == "log":
            return math.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low)))
        return self.low + share * (self.high - self.low)


class Space(NamedTuple):
    """What a sweep varies.

    Attributes:
      combinations: the overrides of each combination of lists; [{}] if there are none.
      ranges: of the fields that are searched, by name.
      fields: every field that varies, in the order of the command line.
    """

    combinations: list[Overrides]
    ranges: dict[str, Range]
    fields: list[str]

    @property
    def always(self) -> set[str]:
        """The fields that every trial sets."""
        return set(self.ranges).union(set.intersection(*map(set, self.combinations)))


def read_space(given: Sequence[str]) -> Space:
    """Reads the --sweep arguments.

    Args:
      given: each FIELD=V1,V2,..., FIELD=RANGE, or FILE.py[:NAME,...].

    Returns:
      The space; of the lists and files every combination.

    Raises:
      UserError: for a field that does not exist or is given twice, a value that it does not take, an empty list or
        range, or a file that yields no overrides.
    """
    axes: list[list[Overrides]] = []
    ranges: dict[str, Range] = {}
    fields: list[str] = []
    for argument in given:
        match = _FIELD.fullmatch(argument)
        for axis, found in [_read_field(match[1], match[2])] if match else _read_file(argument):
            names = [*dict.fromkeys(name for overrides in axis for name in overrides), *found]
            if twice := set(names) & set(fields):
                others = "" if match else "; a file's functions are crossed with each other, FILE.py:NAME takes one"
                raise UserError(f"--sweep {argument}: {min(twice)} is swept already{others}")
            fields += names
            ranges |= found
            axes += [axis] if axis else []
    if (count := math.prod(map(len, axes))) > _MOST:
        raise UserError(f"--sweep: that makes {count} combinations; a sweep has at most {_MOST}")
    combinations = [_merged(choice) for choice in itertools.product(*axes)]
    return Space(combinations, ranges, fields)


def _merged(parts: Sequence[Overrides]) -> Overrides:
    return {name: value for part in parts for name, value in part.items()}


def _read_field(name: str, text: str) -> tuple[list[Overrides], dict[str, Range]]:
    """What FIELD=TEXT varies: the overrides of a list, `1,2,3` or `0..4`, or a range."""
    known_field(name)
    if searched := _read_range(name, text):
        return [], {name: searched}
    values: list[Any] = []
    for part in _split(text):
        if count := _COUNT.fullmatch(part):
            first, last = int(count[1]), int(count[2])
            if not 0 <= last - first < _MOST:
                why = "counts no values; first..last is meant" if last < first else f"is more than {_MOST} values"
                raise UserError(f"--sweep {name}={text}: {part} {why}")
            parts = [str(number) for number in range(first, last + 1)]
        else:
            parts = [part]
        for one in parts:
            value = parse(name, one)
            check_value(name, value)
            values.append(value)
    if not values:
        raise UserError(f"--sweep {name}={text}: there is no value; give some, separated by commas")
    return [{name: value} for value in dict.fromkeys(values)], {}


def _read_range(name: str, text: str) -> Range | None:
    """The range that a text stands for, if it is one."""
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        return None
    kind, parts = match[1], _split(match[2])
    if kind == "choice":
        values = tuple(dict.fromkeys(parse(name, part) for part in parts))
        if not values:
            raise UserError(f"--sweep {name}={text}: there is nothing to choose from")
        for value in values:
            check_value(name, value)
        return Range("choice", choices=values)
    try:
        low, high = (float(part) for part in parts)
    except ValueError:
        raise UserError(f"--sweep {name}={text}: {kind}(LOW,HIGH) takes two numbers") from None
    if FIELDS[name].type not in ((int,) if kind == "int" else (float,)):
        fits = {int: "int(LOW,HIGH) or choice(...)", float: "log(LOW,HIGH), uniform(LOW,HIGH) or choice(...)"}
        raise UserError(
            f"--sweep {name}={text}: this field is searched by {fits.get(FIELDS[name].type, 'choice(...)')}"
        )
    if not low < high or not math.isfinite(high - low):
        raise UserError(f"--sweep {name}={text}: the range is empty; its first number must be below its second")
    if kind == "log" and low <= 0:
        raise UserError(f"--sweep {name}={text}: a logarithmic range begins above 0")
    if kind == "int" and (low != int(low) or high != int(high)):
        raise UserError(f"--sweep {name}={text}: int(LOW,HIGH) takes whole numbers")
    for bound in (low, high):
        check_value(name, FIELDS[name].type(bound))
    return Range(kind, low, high)


def _split(text: str) -> list[str]:
    """The parts between the commas that stand in no bracket or quote."""
    parts, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"" and (not parts[-1].strip() or depth):  # within a word it is an apostrophe
            quote = character
        depth += (character in "([{") - (character in ")]}") if not quote else 0
        if character == "," and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += character
    if depth > 0 or quote:
        raise UserError(f"--sweep: {text!r} has a bracket or a quote that is not closed")
    stripped = [part.strip() for part in parts if part.strip()]
    return [part[1:-1] if len(part) > 1 and part[0] == part[-1] and part[0] in "'\"" else part for part in stripped]


def _read_file(given: str) -> Iterator[tuple[list[Overrides], dict[str, Range]]]:
    """The sweeps of a file, one a function: (overrides, ranges), either of which is empty."""
    path_text, _, names = given.partition(".py:") if ".py:" in given else (given, "", "")
    path = Path(f"{path_text}.py" if ".py:" in given else path_text).expanduser()
    if not path.is_file():
        raise UserError(f"--sweep {where(path)}: there is no such file; give FIELD=V1,V2,... or a Python file")
    try:
        functions = {k: v for k, v in runpy.run_path(str(path)).items() if callable(v)}
        for name, function in _asked_for(functions, names, path).items():
            yielded = list(itertools.islice(function(), _MOST + 1))
            if len(yielded) > _MOST:
                raise UserError(f"--sweep {path}: {name}() yields more than {_MOST} overrides")
            yield _read_yielded(yielded, f"--sweep {path}: {name}()")
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # it is a program, and may fail in any way
        raise UserError(f"--sweep {path}: {type(error).__name__}: {reason(error)}{line_of(error, path)}") from error


def _asked_for(functions: Mapping[str, Callable[[], Any]], names: str, path: Path) -> dict[str, Callable[[], Any]]:
    """The functions that are named, `rates` for `sweep_rates`; without names all that are sweeps."""
    sweeps = {name: f for name, f in functions.items() if name == "sweep" or name.startswith("sweep_")}
    if not names:
        if not sweeps:
            raise UserError(f"--sweep {path}: it has no function sweep() that yields overrides")
        return sweeps
    chosen = {}
    for name in names.split(","):
        found = next((known for known in (name, f"sweep_{name}") if known in sweeps), None)
        if found is None:
            there = ", ".join(sweeps) or "none"
            raise UserError(f"--sweep {path}:{name}: it has no such function; its sweeps are: {there}")
        chosen[found] = sweeps[found]
    return chosen


def _read_yielded(yielded: list[Any], what: str) -> tuple[list[Overrides], dict[str, Range]]:
    if not yielded:
        raise UserError(f"{what} yields nothing")
    axis, ranges = [], {}
    for item in yielded:
        if not isinstance(item, Mapping) or not item:
            raise UserError(f"{what} yields {item!r}; overrides are meant: {{'optimizer.learning_rate': 0.1}}")
        overrides = {}
        for name, value in item.items():
            known_field(name)
            if isinstance(value, str) and (searched := _read_range(name, value)):
                ranges[name] = searched
                continue
            value = parse(name, value) if isinstance(value, str) else value
            overrides[name] = value
        if overrides:
            axis.append(overrides)
    if ranges and len(yielded) > 1:
        raise UserError(f"{what} yields ranges beside other overrides: ranges stand in a function that yields once")
    return axis, ranges
