"""Configurations as JSON, which is how a run keeps its own."""

import json
from pathlib import Path

import ml_collections

from googlenet_jax.config.checks import known_field, validate
from googlenet_jax.config.fields import FIELDS, default_config, flatten
from googlenet_jax.errors import UserError


def to_json(config: ml_collections.ConfigDict) -> str:
    """The configuration as JSON text, readable by `from_json`."""
    return json.dumps(json.loads(config.to_json()), indent=2)


def from_json(text: str) -> ml_collections.ConfigDict:
    """The locked, valid configuration written by `to_json`; fields that it lacks have their defaults.

    Raises:
      UserError: for text that is no such configuration.
    """
    config = default_config()
    try:
        stored = flatten(ml_collections.ConfigDict(json.loads(text)))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"not a configuration: {error}") from None
    for name, value in stored.items():
        default = FIELDS[known_field(name)].default
        if value is None and default is not None:
            raise UserError(f"config.{name} is null, which it cannot be")
        if value is not None:
            try:
                config.update_from_flattened_dict({name: value})
            except TypeError:
                raise UserError(f"config.{name}={value!r} has the wrong type") from None
    validate(config)
    return config


def read_json(path: Path) -> ml_collections.ConfigDict:
    """The configuration in a file written with `to_json`; raises `UserError` if there is none."""
    try:
        return from_json(path.read_text(encoding="utf-8-sig"))
    except (UserError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: {error}") from None
