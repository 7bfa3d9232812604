"""A trial: one training of a sweep, known by what it trains."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

import ml_collections

from googlenet_jax.config.checks import validate
from googlenet_jax.config.fields import FIELDS, flatten
from googlenet_jax.config.overrides import override
from googlenet_jax.errors import UserError
from googlenet_jax.sweep.space import Overrides


class Trial(NamedTuple):
    """One training of a sweep.

    Attributes:
      id: hash of the whole configuration: trainings of the same configuration are one trial.
      overrides: how it differs from the sweep's recipe, as the sweep says it.
      num_epochs: of its training.
      point: of a search, which of its points; None without a search.
    """

    id: str
    overrides: Overrides
    num_epochs: float
    point: int | None = None


def make_trial(base: ml_collections.ConfigDict, overrides: Overrides, point: int | None = None) -> Trial:
    """The trial of some overrides; raises `UserError` that names them if the configuration makes no sense."""
    try:
        config = override(base, overrides)
        validate(config)
    except UserError as error:
        raise UserError(f"{describe(overrides)}: {error}") from None
    return Trial(hash_of(config), overrides, config.num_epochs, point)


def hash_of(config: ml_collections.ConfigDict) -> str:
    """Ten hexadecimal digits that configurations share if they are equal in every field."""
    changed = {k: v for k, v in flatten(config).items() if v != FIELDS[k].default}  # a new field changes no identity
    fields = json.dumps(changed, sort_keys=True)
    return hashlib.sha256(fields.encode()).hexdigest()[:10]


def describe(overrides: Overrides) -> str:
    """Overrides in one line, fields by their short names: `learning_rate=0.1 seed=2`."""
    names = short_names(overrides)
    return " ".join(f"{names[name]}={brief(value)}" for name, value in overrides.items()) or "the recipe as it is"


def short_names(fields: Iterable[str]) -> dict[str, str]:
    """Fields by what people call them: their last names, or all of it where two have the same."""
    last = {name: name.rpartition(".")[2] for name in fields}
    counts = Counter(last.values())
    return {name: short if counts[short] == 1 else name for name, short in last.items()}


def brief(value: Any) -> str:
    """A field's value for a table."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return ",".join(map(brief, value)) if isinstance(value, tuple | list) else str(value)
