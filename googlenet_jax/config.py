"""Every field of a configuration: its default, unit and allowed values. The one reference.

A recipe in `configs/` calls `default_config()` and changes what differs. Lengths of time are in epochs.
"""

import difflib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_collections
from ml_collections.config_dict import placeholder

from googlenet_jax.config_kinds import (
    Field,
    ascending,
    channels,
    is_dataset,
    is_factor,
    number,
    one_of,
    positives,
    subset,
)
from googlenet_jax.errors import UserError

FIELDS: dict[str, Field] = {
    "seed": number(0, "seed of the initial parameters, the order of the data, augmentation and dropout", 0, 2**32 - 1),
    "num_devices": number(None, "devices to train on; none: all there are, on a CPU one per core", 1, kind=int),
    "init_from": Field(
        None, "start from this run's or imported checkpoint's variables instead of random ones; none: do not", kind=str
    ),
    "batch_size": number(128, "images a step, over all devices and processes", 1),
    "num_epochs": number(10.0, "epochs to train"),
    "log_every_epochs": number(0.25, "epochs between lines of training metrics"),
    "model.variant": one_of(
        "batchnorm", "family", "paper", "batchnorm", "torchvision", "mindcv", "mindspore", "paddleclas"
    ),
    "model.stem": one_of("paper", "small: conv1 and pool1 at stride 1, for images of 64 px and less", "paper", "small"),
    "model.num_classes": number(None, "classes; none: as many as the dataset has", 1, kind=int),
    "model.aux_heads": Field(True, "train the auxiliary heads after 4a and 4d, where the family has them"),
    "model.dropout": number(None, "dropout before the classifier; none: the family's", 0, 0.99, kind=float),
    "model.aux_dropout": number(None, "dropout in the auxiliary heads; none: the family's", 0, 0.99, kind=float),
    "model.sync_batch_norm": Field(True, "batch statistics over all devices rather than each device's own"),
    "dataset.name": Field(
        "digits",
        "where images come from; none: imported networks have no data of their own",
        "digits, synthetic, folder:PATH, records:PATH, cifar:PATH, tfds:NAME, or none",
        lambda v: is_dataset(v),
    ),
    "dataset.image_size": number(32, "side of the square that is cropped from an image, pixels", 8, 4096),
    "dataset.network_size": number(
        None, "side that the device resizes crops to after augmentation, pixels; none: image_size", 8, 4096, kind=int
    ),
    "dataset.channel_order": one_of(None, "of the network's input; none: the family's", "rgb", "bgr"),
    "dataset.mean": channels("subtracted from 0..255 pixels, by channel", 0),
    "dataset.std": channels("then divided into them", 1e-3),
    "dataset.synthetic_images": number(1024, "training images of the synthetic dataset", 1),
    "dataset.synthetic_classes": number(10, "classes of the synthetic dataset", 1),
    "dataset.num_threads": number(
        None, "threads that decode images, in each process that does; none: one per core in all", 1, kind=int
    ),
    "dataset.num_workers": number(
        0, "processes that decode images, each with num_threads; 0: threads of this process, enough for a GPU or two"
    ),
    "dataset.cache": one_of(
        "none",
        "decode all images once and keep them, as squares, on every device or in the host's memory; then the device "
        "cuts random and resized crops out of those squares",
        "none",
        "host",
        "device",
    ),
    "dataset.bad_images": one_of(
        "mend",
        "mend: unusual images are put right, unreadable ones are skipped, both are named once; skip: both are skipped; "
        "error: either stops the run",
        "mend",
        "skip",
        "error",
    ),
    "augment.crop": one_of(
        "none",
        "none: the evaluation crop; random: that, at a random place; shift: pad and crop at random; "
        "resized: a random part of the image, resized",
        "none",
        "random",
        "shift",
        "resized",
    ),
    "augment.shift": number(4, "largest shift of augment.crop=shift, pixels"),
    "augment.area": ascending((0.08, 1.0), "least and greatest share of the image's area that a resized crop takes", 1),
    "augment.aspect": ascending((3 / 4, 4 / 3), "least and greatest width by height of a resized crop", 100),
    "augment.sampling": one_of(
        "torchvision", "whose way of drawing a resized crop's area and aspect", "torchvision", "paddleclas"
    ),
    "augment.antialias": Field(
        True, "shrink crops as Pillow and torchvision do: more accurate (README, Data); off decodes faster"
    ),
    "augment.interpolation": one_of(
        "bilinear", "how a resized crop is resized; random: one of four, as in the paper", "bilinear", "random"
    ),
    "augment.flip": Field(False, "mirror half of the images"),
    "augment.brightness": number(0.0, "colour factors are drawn from 1 - x to 1 + x", 0, 1),
    "augment.contrast": number(0.0, "as brightness", 0, 1),
    "augment.saturation": number(0.0, "as brightness", 0, 1),
    "augment.hue": number(0.0, "hues turn by up to this share of the colour circle, either way", 0, 0.5),
    "augment.policy": one_of(
        "none", "trivial: one random operation an image, of any strength (arXiv 2103.10158)", "none", "trivial"
    ),
    "augment.cutout": number(
        0, "side of a square set to the mean colour, pixels of the network's input (arXiv 1708.04552); 0: off", 0, 4096
    ),
    "augment.erasing": number(0.0, "probability that a rectangle is set to the mean colour (arXiv 1708.04896)", 0, 1),
    "augment.mixup": number(
        0.0, "alpha of the Beta distribution by which neighbours in a batch are mixed (arXiv 1710.09412); 0: off"
    ),
    "augment.cutmix": number(
        0.0, "as mixup, for pasting a part of a neighbour (arXiv 1905.04899); with mixup, a pair does one of the two"
    ),
    "optimizer.name": one_of("sgd", "update rule", "sgd", "rmsprop", "adamw"),
    "optimizer.learning_rate": number(0.1, "base learning rate, for the whole batch"),
    "optimizer.momentum": number(0.9, "momentum of sgd and rmsprop", 0, 1),
    "optimizer.nesterov": Field(False, "Nesterov's form of sgd's momentum"),
    "optimizer.weight_decay": number(0.0, "added to the gradient as this times the parameter (adamw: decoupled)"),
    "optimizer.weight_decay_exclude": subset(
        ("norm", "bias"), "parameters that weight decay does not touch", "norm", "bias"
    ),
    "optimizer.clip_norm": number(None, "largest global norm of the gradient; none: unclipped", kind=float),
    "optimizer.accumulate_steps": number(1, "parts that a device's batch is computed in, one after the other", 1),
    "optimizer.ema_decay": number(
        None, "decay a step of the averaged parameters that evaluation uses; none: no averaging", 0, 1, kind=float
    ),
    "optimizer.freeze": Field(
        (),
        "parameters that stay as they are: patterns of paths, such as 'conv*' or 'inception_3a/*'",
        "patterns",
        lambda v: all(isinstance(pattern, str) for pattern in v),
    ),
    "optimizer.lr_factors": Field(
        (),
        "factors on the learning rate, 'pattern=factor', such as '*/bias=2' or 'classifier/*=10'; the last that fits",
        "'pattern=factor' with a factor of 0 or more",
        lambda v: all(is_factor(item) for item in v),
    ),
    "schedule.name": one_of(
        "constant",
        "shape of the learning rate over the epochs",
        "constant",
        "piecewise",
        "piecewise_exponential",
        "exponential",
        "polynomial",
        "cosine",
    ),
    "schedule.warmup_epochs": number(0.0, "epochs of linear rise from zero, ahead of the schedule's own course"),
    "schedule.boundaries": positives((), "epochs at which the piecewise schedules change, ascending"),
    "schedule.factors": positives(
        (), "one a boundary: piecewise multiplies by it there, piecewise_exponential decays smoothly up to there by it"
    ),
    "schedule.decay_rate": number(0.96, "factor of the exponential schedule", 0, 1),
    "schedule.decay_epochs": number(8.0, "epochs in which the exponential schedule takes decay_rate once", 1e-9),
    "schedule.staircase": Field(True, "exponential in steps rather than smoothly"),
    "schedule.power": number(0.5, "exponent of the polynomial schedule"),
    "schedule.final_factor": number(0.0, "share of the rate that polynomial and cosine end at", 0, 1),
    "loss.label_smoothing": number(0.0, "share of the target spread evenly over all classes", 0, 1),
    "loss.aux_weight": number(0.3, "weight of each auxiliary head's loss (paper, section 5)"),
    "precision.compute_dtype": one_of(
        "float32", "of convolutions and products; the rest stays float32", "float32", "bfloat16", "float16"
    ),
    "precision.loss_scaling": one_of(
        "auto", "auto: dynamic for float16, none otherwise", "auto", "none", "fixed", "dynamic"
    ),
    "precision.loss_scale": number(2.0**15, "the fixed scale, or where the dynamic one starts", 1),
    "precision.growth_steps": number(2000, "finite steps after which the dynamic scale doubles", 1),
    "precision.max_skipped": number(100, "non-finite steps in a row after which training stops", 1),
    "checkpoint.every_epochs": number(None, "epochs between checkpoints; none: as eval.every_epochs", kind=float),
    "checkpoint.keep": number(2, "newest checkpoints to keep, beside the best", 1),
    "eval.every_epochs": number(1.0, "epochs between evaluations; there is always one at the end"),
    "eval.batch_size": number(None, "images a step of evaluation; none: batch_size", 1, kind=int),
    "eval.resize": one_of(
        "short", "short: images keep their shape; square: made square first, as Caffe does", "short", "square"
    ),
    "eval.crop_fraction": number(0.875, "side of the central square that is evaluated, by the short side", 0.01, 1),
}


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
    if config.dataset.cache == "device" and (config.augment.sampling, config.augment.interpolation) != (
        "torchvision",
        "bilinear",
    ):
        raise UserError(
            "config.dataset.cache=device cuts resized crops as torchvision does: set config.dataset.cache=host, or "
            "config.augment.sampling=torchvision and config.augment.interpolation=bilinear"
        )
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
