"""Every field of a configuration: its default, unit and allowed values. The one reference.

A recipe in `configs/` calls `default_config()` and changes what differs. Lengths of time are in epochs.
"""

import dataclasses
import difflib
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ml_collections
from ml_collections.config_dict import placeholder

from googlenet_jax.errors import UserError


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


def _one_of(default: str, help: str, *values: str) -> Field:
    return Field(default, help, "one of " + ", ".join(values), lambda v: v in values)


def _number(default: Any, help: str, low: float = 0, high: float = float("inf"), kind: type | None = None) -> Field:
    allowed = f"{low:g} to {high:g}" if high < float("inf") else f"{low:g} or more"
    return Field(default, help, allowed, lambda v: math.isfinite(v) and low <= v <= high, kind)


def _positive(default: tuple[float, ...], help: str) -> Field:
    return Field(default, help, "numbers above 0", lambda v: all(0 < x < float("inf") for x in v))


def _range(default: tuple[float, float], help: str, high: float) -> Field:
    allowed = f"two ascending numbers above 0, up to {high:g}"
    return Field(default, help, allowed, lambda v: len(v) == 2 and 0 < v[0] <= v[1] <= high)


def _subset(default: tuple[str, ...], help: str, *values: str) -> Field:
    return Field(default, help, "any of " + ", ".join(values), lambda v: set(v) <= set(values))


FIELDS: dict[str, Field] = {
    "seed": _number(0, "seed of the initial parameters, the order of the data, augmentation and dropout", 0, 2**32 - 1),
    "num_devices": _number(None, "devices to train on; none: all there are, on a CPU one per core", 1, kind=int),
    "batch_size": _number(128, "images a step, over all devices and processes", 1),
    "num_epochs": _number(10.0, "epochs to train"),
    "log_every_epochs": _number(0.25, "epochs between lines of training metrics"),
    "model.variant": _one_of(
        "batchnorm", "family", "paper", "batchnorm", "torchvision", "mindcv", "mindspore", "paddleclas"
    ),
    "model.stem": _one_of(
        "paper", "small: conv1 and pool1 at stride 1, for images of 64 px and less", "paper", "small"
    ),
    "model.num_classes": _number(None, "classes; none: as many as the dataset has", 1, kind=int),
    "model.aux_heads": Field(True, "train the auxiliary heads after 4a and 4d, where the family has them"),
    "model.dropout": _number(None, "dropout before the classifier; none: the family's", 0, 0.99, kind=float),
    "model.aux_dropout": _number(None, "dropout in the auxiliary heads; none: the family's", 0, 0.99, kind=float),
    "model.sync_batch_norm": Field(True, "batch statistics over all devices rather than each device's own"),
    "dataset.name": Field(
        "digits", "where images come from", "digits, synthetic, or folder:PATH", lambda v: _is_dataset(v)
    ),
    "dataset.image_size": _number(32, "side of the square images that the network sees, pixels", 8, 4096),
    "dataset.synthetic_images": _number(1024, "training images of the synthetic dataset", 1),
    "dataset.synthetic_classes": _number(10, "classes of the synthetic dataset", 1),
    "dataset.num_threads": _number(None, "threads that decode images; none: one per core", 1, kind=int),
    "dataset.bad_images": _one_of(
        "skip", "an unreadable image is skipped, counted and named once, or stops the run", "skip", "error"
    ),
    "augment.crop": _one_of(
        "none",
        "none: the evaluation crop; shift: pad and crop at random; resized: a random part of the image, resized",
        "none",
        "shift",
        "resized",
    ),
    "augment.shift": _number(4, "largest shift of augment.crop=shift, pixels"),
    "augment.area": _range((0.08, 1.0), "least and greatest share of the image's area that a resized crop takes", 1),
    "augment.aspect": _range((3 / 4, 4 / 3), "least and greatest width by height of a resized crop", 100),
    "augment.interpolation": _one_of(
        "bilinear", "how a resized crop is resized; random: one of four, as in the paper", "bilinear", "random"
    ),
    "augment.flip": Field(False, "mirror half of the images"),
    "augment.brightness": _number(0.0, "colour factors are drawn from 1 - x to 1 + x", 0, 1),
    "augment.contrast": _number(0.0, "as brightness", 0, 1),
    "augment.saturation": _number(0.0, "as brightness", 0, 1),
    "optimizer.name": _one_of("sgd", "update rule", "sgd", "rmsprop", "adamw"),
    "optimizer.learning_rate": _number(0.1, "base learning rate, for the whole batch"),
    "optimizer.momentum": _number(0.9, "momentum of sgd and rmsprop", 0, 1),
    "optimizer.nesterov": Field(False, "Nesterov's form of sgd's momentum"),
    "optimizer.weight_decay": _number(0.0, "added to the gradient as this times the parameter (adamw: decoupled)"),
    "optimizer.weight_decay_exclude": _subset(
        ("norm", "bias"), "parameters that weight decay does not touch", "norm", "bias"
    ),
    "optimizer.clip_norm": _number(None, "largest global norm of the gradient; none: unclipped", kind=float),
    "optimizer.accumulate_steps": _number(1, "parts that a device's batch is computed in, one after the other", 1),
    "optimizer.ema_decay": _number(
        None, "decay a step of the averaged parameters that evaluation uses; none: no averaging", 0, 1, kind=float
    ),
    "schedule.name": _one_of(
        "constant",
        "shape of the learning rate over the epochs",
        "constant",
        "piecewise",
        "piecewise_exponential",
        "exponential",
        "polynomial",
        "cosine",
    ),
    "schedule.warmup_epochs": _number(0.0, "epochs of linear rise from zero, ahead of the schedule's own course"),
    "schedule.boundaries": _positive((), "epochs at which the piecewise schedules change, ascending"),
    "schedule.factors": _positive(
        (), "one a boundary: piecewise multiplies by it there, piecewise_exponential decays smoothly up to there by it"
    ),
    "schedule.decay_rate": _number(0.96, "factor of the exponential schedule", 0, 1),
    "schedule.decay_epochs": _number(8.0, "epochs in which the exponential schedule takes decay_rate once", 1e-9),
    "schedule.staircase": Field(True, "exponential in steps rather than smoothly"),
    "schedule.power": _number(0.5, "exponent of the polynomial schedule"),
    "schedule.final_factor": _number(0.0, "share of the rate that polynomial and cosine end at", 0, 1),
    "loss.label_smoothing": _number(0.0, "share of the target spread evenly over all classes", 0, 1),
    "loss.aux_weight": _number(0.3, "weight of each auxiliary head's loss (paper, section 5)"),
    "precision.compute_dtype": _one_of(
        "float32", "of convolutions and products; the rest stays float32", "float32", "bfloat16", "float16"
    ),
    "precision.loss_scaling": _one_of(
        "auto", "auto: dynamic for float16, none otherwise", "auto", "none", "fixed", "dynamic"
    ),
    "precision.loss_scale": _number(2.0**15, "the fixed scale, or where the dynamic one starts", 1),
    "precision.growth_steps": _number(2000, "finite steps after which the dynamic scale doubles", 1),
    "precision.max_skipped": _number(100, "non-finite steps in a row after which training stops", 1),
    "checkpoint.every_epochs": _number(None, "epochs between checkpoints; none: as eval.every_epochs", kind=float),
    "checkpoint.keep": _number(2, "newest checkpoints to keep, beside the best", 1),
    "eval.every_epochs": _number(1.0, "epochs between evaluations; there is always one at the end"),
    "eval.batch_size": _number(None, "images a step of evaluation; none: batch_size", 1, kind=int),
    "eval.crop_fraction": _number(0.875, "side of the central square that is evaluated, by the short side", 0.01, 1),
}


def _is_dataset(name: str) -> bool:
    return name in ("digits", "synthetic") or (name.startswith("folder:") and len(name) > len("folder:"))


def default_config() -> ml_collections.ConfigDict:
    """A locked configuration with every field at its default; a recipe changes what differs.

    Returns:
      A `ConfigDict` with the groups of `FIELDS`.
    """
    nested: dict[str, Any] = {}
    for name, field in FIELDS.items():
        group, _, key = name.rpartition(".")
        target = nested.setdefault(group, {}) if group else nested
        target[key] = placeholder(field.kind) if field.default is None else field.default
    return ml_collections.ConfigDict(nested).lock()


def flatten(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """The configuration as {"group.field": value}."""

    def walk(node: ml_collections.ConfigDict, prefix: str) -> Iterator[tuple[str, Any]]:
        for key, value in node.items():
            if isinstance(value, ml_collections.ConfigDict):
                yield from walk(value, f"{prefix}{key}.")
            else:
                yield prefix + key, tuple(value) if isinstance(value, list) else value

    return dict(walk(config, ""))


def nearest_field(name: str) -> str:
    """A hint for a field that does not exist: the nearest one that does."""
    leaves = {field.rpartition(".")[2]: field for field in FIELDS}
    near = difflib.get_close_matches(name, FIELDS, n=1, cutoff=0.5)
    near = near or [leaves[leaf] for leaf in difflib.get_close_matches(name.rpartition(".")[2], leaves, n=1)]
    return f"did you mean {near[0]!r}?" if near else "googlenet_jax/config.py lists all fields"


def validate(config: ml_collections.ConfigDict) -> None:
    """Checks every field's value and what fields ask of each other.

    Raises:
      UserError: for the first value that is not allowed; it names the field and what it takes.
    """
    values = flatten(config)
    for name in values.keys() - FIELDS.keys():
        raise UserError(f"config has an unknown field {name!r}: {nearest_field(name)}")
    for name, field in FIELDS.items():
        if name not in values:
            raise UserError(f"config lacks the field {name!r}: begin with googlenet_jax.config.default_config()")
        value = values[name]
        if value is None and field.default is None:
            continue
        try:
            accepted = field.accepts(value)
        except TypeError:
            accepted = False
        if not accepted:
            raise UserError(f"config.{name}={value!r} is not allowed: it takes {field.allowed} ({field.help})")
    boundaries, factors = config.schedule.boundaries, config.schedule.factors
    if config.schedule.name.startswith("piecewise"):
        if len(boundaries) != len(factors) or not boundaries:
            raise UserError(
                f"config.schedule.name={config.schedule.name!r} needs as many factors as boundaries, at least one: "
                f"given are {len(boundaries)} boundaries and {len(factors)} factors"
            )
        if list(boundaries) != sorted(set(boundaries)) or boundaries[0] <= 0:
            raise UserError(f"config.schedule.boundaries={tuple(boundaries)} must be positive and ascending")
    if 0 < config.num_epochs <= config.schedule.warmup_epochs:
        raise UserError(
            f"config.schedule.warmup_epochs={config.schedule.warmup_epochs} leaves nothing of "
            f"config.num_epochs={config.num_epochs}: shorten the one or lengthen the other"
        )


def to_json(config: ml_collections.ConfigDict) -> str:
    """The configuration as JSON text, readable by `from_json`."""
    return json.dumps(json.loads(config.to_json()), indent=2)


def from_json(text: str) -> ml_collections.ConfigDict:
    """The locked, valid configuration written by `to_json`.

    Raises:
      UserError: for text that is no such configuration.
    """
    config = default_config()
    try:
        stored = flatten(ml_collections.ConfigDict(json.loads(text)))
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f"not a configuration: {error}") from None
    for name, value in stored.items():
        if name not in FIELDS:
            raise UserError(f"config has an unknown field {name!r}: {nearest_field(name)}")
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
        return from_json(path.read_text())
    except (UserError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: {error}") from None


def differences(old: ml_collections.ConfigDict, new: ml_collections.ConfigDict) -> list[str]:
    """The fields in which two configurations differ, as "name: old -> new"."""
    before, after = flatten(old), flatten(new)
    return [
        f"{name}: {before.get(name)} -> {after.get(name)}" for name in FIELDS if before.get(name) != after.get(name)
    ]
