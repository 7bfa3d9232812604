"""Whether a configuration makes sense, and how two of them differ."""

import difflib
from typing import Any

import ml_collections

from googlenet_jax.config.choices import DEVICE_CROPS
from googlenet_jax.config.fields import FIELDS, flatten
from googlenet_jax.errors import UserError

# What people write who come from elsewhere, as far as spelling alone would not lead to the field.
SYNONYMS = {
    "lr": "optimizer.learning_rate",
    "base_lr": "optimizer.learning_rate",
    "wd": "optimizer.weight_decay",
    "l2": "optimizer.weight_decay",
    "ema": "optimizer.ema_decay",
    "grad_clip": "optimizer.clip_norm",
    "clip_grad": "optimizer.clip_norm",
    "accum": "optimizer.accumulate_steps",
    "epochs": "num_epochs",
    "bs": "batch_size",
    "batch": "batch_size",
    "gpus": "num_devices",
    "devices": "num_devices",
    "arch": "model.variant",
    "network": "model.variant",
    "dtype": "precision.compute_dtype",
    "amp": "precision.compute_dtype",
    "fp16": "precision.compute_dtype",
    "workers": "dataset.num_threads",
    "j": "dataset.num_threads",
    "data": "dataset.name",
    "data_dir": "dataset.name",
    "data_path": "dataset.name",
    "resolution": "dataset.image_size",
    "img_size": "dataset.image_size",
    "crop_size": "dataset.image_size",
    "smoothing": "loss.label_smoothing",
    "warmup": "schedule.warmup_epochs",
    "lr_scheduler": "schedule.name",
    "milestones": "schedule.boundaries",
    "gamma": "schedule.decay_rate",
    "pretrained": "init_from",
    "finetune": "init_from",
    "save_every": "checkpoint.every_epochs",
    "logger": "writers",
    "report_to": "writers",
    "wandb": "writers",
    "mlflow": "writers",
    "tensorboard": "writers",
}


def nearest_field(name: str) -> str:
    """A hint for a field that does not exist: what others call it, else the nearest by spelling."""
    leaf = name.rpartition(".")[2].lower().replace("-", "_")
    leaves = {field.rpartition(".")[2]: field for field in FIELDS}
    near = [SYNONYMS[leaf]] if leaf in SYNONYMS else difflib.get_close_matches(name, FIELDS, n=1, cutoff=0.5)
    near = near or [leaves[match] for match in difflib.get_close_matches(leaf, leaves, n=1)]
    return f"did you mean {near[0]!r}?" if near else "googlenet_jax/config/fields.py lists all fields"


def known_field(name: str) -> str:
    """The name, if there is such a field; raises `UserError` with a hint if there is none."""
    if name not in FIELDS:
        raise UserError(f"config has no field {name!r}: {nearest_field(name)}")
    return name


def check_value(name: str, value: Any) -> None:
    """Whether a field takes a value; raises `UserError` that says what it takes if not."""
    field = FIELDS[name]
    if value is None and field.default is None:
        return
    typed = isinstance(value, field.type) or (field.type is float and isinstance(value, int))
    try:
        accepted = typed and (field.type is bool or not isinstance(value, bool)) and field.accepts(value)
    except (TypeError, OverflowError):
        accepted = False
    if not accepted:
        raise UserError(f"config.{name}={value!r} is not allowed: it takes {field.allowed} ({field.help})")


def validate(config: ml_collections.ConfigDict) -> None:
    """Checks every field's value and what fields ask of each other.

    Raises:
      UserError: for the first value that is not allowed; it names the field and what it takes.
    """
    values = flatten(config)
    for name in values.keys() - FIELDS.keys():
        known_field(name)
    for name in FIELDS:
        if name not in values:
            raise UserError(f"config lacks the field {name!r}: begin with googlenet_jax.config.default_config()")
        check_value(name, values[name])
    _check_schedule(config)
    if config.batch_size % config.augment.repeats:
        raise UserError(
            f"config.augment.repeats={config.augment.repeats} does not divide config.batch_size={config.batch_size}"
        )
    if config.eval.image_size and config.dataset.network_size:
        raise UserError(
            "config.eval.image_size and config.dataset.network_size both say at what size the network sees an image: "
            "set one of them"
        )
    if config.dataset.cache == "device" and config.augment.crop not in DEVICE_CROPS:
        raise UserError(
            f"config.augment.crop={config.augment.crop} is not cut on the device: set config.dataset.cache=host, or "
            f"config.augment.crop to one of {', '.join(DEVICE_CROPS)}"
        )
    if config.dataset.cache == "device" and (config.augment.sampling, config.augment.interpolation) != (
        "torchvision",
        "bilinear",
    ):
        raise UserError(
            "config.dataset.cache=device cuts resized crops as torchvision does: set config.dataset.cache=host, or "
            "config.augment.sampling=torchvision and config.augment.interpolation=bilinear"
        )


def _check_schedule(config: ml_collections.ConfigDict) -> None:
    boundaries, factors = config.schedule.boundaries, config.schedule.factors
    if config.schedule.name in ("piecewise", "piecewise_exponential"):
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


def differences(old: ml_collections.ConfigDict, new: ml_collections.ConfigDict) -> dict[str, tuple[Any, Any]]:
    """The fields in which two configurations differ: {name: (old value, new value)}."""
    before, after = flatten(old), flatten(new)
    return {name: (before.get(name), after.get(name)) for name in FIELDS if before.get(name) != after.get(name)}
