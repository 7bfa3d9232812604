"""Changes of a configuration by field name: from the command line, a sweep or a test."""

import ast
import os
from collections.abc import Mapping
from typing import Any

import ml_collections

from googlenet_jax.config.checks import check_value, known_field
from googlenet_jax.config.choices import DATASETS
from googlenet_jax.config.fields import FIELDS
from googlenet_jax.config.kinds import Field
from googlenet_jax.errors import UserError

_TRUTHS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def override(config: ml_collections.ConfigDict, changes: Mapping[str, Any]) -> ml_collections.ConfigDict:
    """A copy of a configuration with other values in some fields.

    Args:
      config: is left as it is.
      changes: {"group.field": value}: a text as on the command line, or a value of the field's type. "none" is None,
        where the field may be that; elements of a tuple are separated by commas, in brackets or not.

    Returns:
      A locked copy; what fields ask of each other is for `validate`.

    Raises:
      UserError: for a field that does not exist, or a value that it does not take.
    """
    changed = config.copy_and_resolve_references()
    for name, value in changes.items():
        value = parse(known_field(name), value) if isinstance(value, str) else _typed(name, value)
        check_value(name, value)
        group, _, key = name.rpartition(".")
        if group and group not in changed:
            raise UserError(f"config lacks the group {group!r}: begin with googlenet_jax.config.default_config()")
        node = changed[group] if group else changed
        with node.unlocked():
            node[key] = value
    return changed.lock()


def parse(name: str, text: str) -> Any:
    """The value that a text stands for.

    Args:
      name: of a field that exists.
      text: as on the command line.

    Returns:
      A value of the field's type, or None.

    Raises:
      UserError: for text that is no such value.
    """
    field, text = FIELDS[name], text.strip()
    if field.default is None and text.lower() in ("none", "null"):
        return None
    try:
        return expand_home(name, _parse(field, text))
    except (ValueError, SyntaxError, OverflowError):
        raise UserError(
            f"config.{name}={text!r} is not {_article(field)}: it takes {field.allowed} ({field.help})"
        ) from None


def expand_home(name: str, value: Any) -> Any:
    """A value whose path, if it has one, does not begin with "~" but with the user's home."""
    if FIELDS[name].path and value is not None:
        return os.path.expanduser(value)
    kind, _, place = str(value).partition(":")
    if name == "dataset.name" and kind in DATASETS and DATASETS[kind].place == "PATH":
        return f"{kind}:{os.path.expanduser(place)}"
    return value


def _parse(field: Field, text: str) -> Any:
    if field.type is tuple:
        return tuple(_scalar(field.element, part) for part in _elements(text))
    return _scalar(field.type, text)


def _scalar(kind: type, text: str) -> Any:
    if kind is bool:
        if text.lower() not in _TRUTHS:
            raise ValueError
        return _TRUTHS[text.lower()]
    if kind is int:
        number = float(text) if not text.lstrip("+-").replace("_", "").isdecimal() else int(text)
        if number != int(number):
            raise ValueError
        return int(number)
    return kind(text)


def _elements(text: str) -> list[str]:
    """The elements of a tuple: a Python literal, or words with commas between them."""
    try:
        value = ast.literal_eval(text)
        return [str(element) for element in value] if isinstance(value, tuple | list) else [str(value)]
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        inner = text[1:-1] if text[:1] + text[-1:] in ("()", "[]") else text
        return [part.strip().strip("'\"") for part in inner.split(",") if part.strip()]


def _typed(name: str, value: Any) -> Any:
    """A value that is no text, as the field's type."""
    field = FIELDS[known_field(name)]
    if value is None and field.default is None:
        return None
    if field.type is float and type(value) is int:
        return float(value)
    if field.type is tuple and isinstance(value, tuple | list):
        return tuple(float(v) if field.element is float else v for v in value)
    if type(value) is not field.type:
        raise UserError(f"config.{name}={value!r} is not {_article(field)}: it takes {field.allowed} ({field.help})")
    return value


def _article(field: Field) -> str:
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "a word", tuple: "a list"}
    return names[field.type]
