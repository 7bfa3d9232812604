"""Every field of a configuration: its default, unit and allowed values. The one reference.

A recipe in `configs/` calls `default_config()` and changes what differs. Lengths of time are in epochs.
"""

from collections.abc import Iterator
from typing import Any

import ml_collections
from ml_collections.config_dict import placeholder

from googlenet_jax.config.choices import (
    BLOCKS,
    CROPS,
    DTYPES,
    FAMILIES,
    OPTIMIZERS,
    RESIZES,
    SAMPLINGS,
    SCHEDULES,
    STEMS,
    WRITERS,
)
from googlenet_jax.config.kinds import (
    Field,
    ascending,
    channels,
    dataset,
    is_factor,
    number,
    one_of,
    ordered,
    patterns,
    positives,
    steps,
    subset,
)

FIELDS: dict[str, Field] = {
    "seed": number(0, "seed of the initial parameters, the order of the data, augmentation and dropout", 0, 2**32 - 1),
    "num_devices": number(
        None,
        "devices to train on; none: all GPUs, on a CPU as many cores as divide the batch into 8 images or more",
        1,
        kind=int,
    ).on_resume(),
    "init_from": Field(
        None,
        "start from this run's or imported checkpoint's variables instead of random ones; none: do not",
        kind=str,
        path=True,
    ),
    "batch_size": number(128, "images a step, over all devices and processes", 1),
    "num_epochs": number(10.0, "epochs to train").on_resume(),
    "log_every_epochs": number(0.25, "epochs between lines of training metrics").on_resume(),
    "writers": subset(("tensorboard",), "where measured values go besides metrics.jsonl", WRITERS).on_resume(),
    "profile": steps(
        "what XLA's profiler traces: the steps after the first of these numbers, up to the second; none: nothing"
    ).on_resume(),
    "model.variant": one_of("batchnorm", "family", FAMILIES),
    "model.stem": one_of("paper", "where the first layers shrink the image", STEMS),
    "model.blocks": ordered(BLOCKS, "inception blocks that the network has; fewer make it smaller"),
    "model.window_5x5": Field(
        None, "side of the \"5x5\" branch's kernel; none: the family's", "5 or 3", lambda v: v in (3, 5), kind=int
    ),
    "model.num_classes": number(None, "classes; none: as many as the dataset has", 1, kind=int),
    "model.aux_heads": Field(True, "train the auxiliary heads after 4a and 4d, where the family has them"),
    "model.dropout": number(None, "dropout before the classifier; none: the family's", 0, 0.99, kind=float),
    "model.aux_dropout": number(None, "dropout in the auxiliary heads; none: the family's", 0, 0.99, kind=float),
    "model.sync_batch_norm": Field(True, "batch statistics over all devices rather than each device's own"),
    "dataset.name": dataset("digits", "where images come from; none: nowhere, as for imported networks").on_resume(),
    "dataset.val_fraction": number(
        None,
        "share of a folder's training images, of every class, to validate on where it has no others; none: none",
        0.001,
        0.9,
        kind=float,
    ),
    "dataset.image_size": number(32, "side of the square that is cropped from an image, pixels", 8, 4096),
    "dataset.network_size": number(
        None, "side that the device resizes crops to after augmentation, pixels; none: image_size", 8, 4096, kind=int
    ),
    "dataset.channel_order": one_of(None, "of the network's input; none: the family's", ("rgb", "bgr")),
    "dataset.mean": channels("subtracted from 0..255 pixels, by channel", 0),
    "dataset.std": channels("then divided into them", 1e-3),
    "dataset.synthetic_images": number(1024, "training images of the synthetic dataset", 1),
    "dataset.synthetic_classes": number(10, "classes of the synthetic dataset", 1),
    "dataset.num_threads": number(
        None, "threads that decode images, in each process that does; none: one per core in all", 1, kind=int
    ).on_resume(),
    "dataset.num_workers": number(
        0, "processes that decode images, each with num_threads; 0: threads of this process, enough for a GPU or two"
    ).on_resume(),
    "dataset.cache": one_of(
        "none",
        "decode all images once and keep them, as squares, on every device or in the host's memory; random and "
        "resized crops are then cut out of those squares, there",
        ("none", "host", "device"),
    ),
    "dataset.bad_images": one_of(
        "mend",
        "mend: unusual images are put right, unreadable ones are skipped, both are named once; skip: both are skipped; "
        "error: either stops the run",
        ("mend", "skip", "error"),
    ),
    "augment.crop": one_of("none", "which part of a training image is taken", CROPS),
    "augment.shift": number(4, "largest shift of augment.crop=shift, pixels"),
    "augment.area": ascending((0.08, 1.0), "least and greatest share of the image's area that a resized crop takes", 1),
    "augment.aspect": ascending((3 / 4, 4 / 3), "least and greatest width by height of a resized crop", 100),
    "augment.sampling": one_of("torchvision", "whose way of drawing a resized crop's area and aspect", SAMPLINGS),
    "augment.antialias": Field(
        True, "shrink crops as Pillow and torchvision do: more accurate (docs/data.md); off decodes faster"
    ),
    "augment.interpolation": one_of(
        "bilinear", "how a resized crop is resized; random: one of four, as in the paper", ("bilinear", "random")
    ),
    "augment.repeats": number(
        1,
        "how often a batch has each of its images, every time with other augmentation (arXiv 1901.09335); copies count "
        "in an epoch",
        1,
    ),
    "augment.flip": Field(False, "mirror half of the images"),
    "augment.brightness": number(0.0, "colour factors are drawn from 1 - x to 1 + x", 0, 1),
    "augment.contrast": number(0.0, "as brightness", 0, 1),
    "augment.saturation": number(0.0, "as brightness", 0, 1),
    "augment.hue": number(0.0, "hues turn by up to this share of the colour circle, either way", 0, 0.5),
    "augment.policy": one_of(
        "none", "trivial: one random operation an image, of any strength (arXiv 2103.10158)", ("none", "trivial")
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
    "optimizer.name": one_of("sgd", "update rule", OPTIMIZERS),
    "optimizer.learning_rate": number(0.1, "base learning rate, for the whole batch"),
    "optimizer.momentum": number(0.9, "momentum of sgd and rmsprop", 0, 1),
    "optimizer.nesterov": Field(False, "Nesterov's form of sgd's momentum"),
    "optimizer.weight_decay": number(0.0, "added to the gradient as this times the parameter (adamw: decoupled)"),
    "optimizer.weight_decay_exclude": subset(
        ("norm", "bias"), "parameters that weight decay does not touch", ("norm", "bias")
    ),
    "optimizer.clip_norm": number(None, "largest global norm of the gradient; none: unclipped", kind=float),
    "optimizer.accumulate_steps": number(1, "parts that a device's batch is computed in, one after the other", 1),
    "optimizer.ema_decay": number(
        None, "decay a step of the averaged parameters that evaluation uses; none: no averaging", 0, 1, kind=float
    ),
    "optimizer.freeze": patterns(
        "parameters that stay as they are: patterns of paths, such as 'conv*' or 'inception_3a/*'",
        "patterns",
        lambda item: True,
    ),
    "optimizer.lr_factors": patterns(
        "factors on the learning rate, 'pattern=factor', such as '*/bias=2' or 'classifier/*=10'; the last that fits",
        "'pattern=factor' with a factor of 0 or more",
        is_factor,
    ),
    "schedule.name": one_of("constant", "shape of the learning rate over the epochs", SCHEDULES),
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
    "precision.compute_dtype": one_of("float32", "of convolutions and products; the rest stays float32", DTYPES),
    "precision.loss_scaling": one_of(
        "auto", "auto: dynamic for float16, none otherwise", ("auto", "none", "fixed", "dynamic")
    ),
    "precision.loss_scale": number(2.0**15, "the fixed scale, or where the dynamic one starts", 1),
    "precision.growth_steps": number(2000, "finite steps after which the dynamic scale doubles", 1),
    "precision.max_skipped": number(100, "non-finite steps in a row after which training stops", 1),
    "checkpoint.every_epochs": number(
        None, "epochs between checkpoints; none: as eval.every_epochs", kind=float
    ).on_resume(),
    "checkpoint.keep": number(2, "newest checkpoints to keep, beside the best", 1).on_resume(),
    "eval.every_epochs": number(1.0, "epochs between evaluations; there is always one at the end").on_resume(),
    "eval.batch_size": number(None, "images a step of evaluation; none: batch_size", 1, kind=int).on_resume(),
    "eval.image_size": number(
        None,
        "side of the square that evaluation and use crop, pixels; none: dataset.image_size; networks trained with "
        "resized crops do better on somewhat larger images than those (arXiv 1906.06423)",
        8,
        4096,
        kind=int,
    ),
    "eval.show_images": number(
        8, "validation images, always the same, that writers get with their predictions at each evaluation", 0, 64
    ).on_resume(),
    "eval.histograms": Field(
        False, "at each evaluation, how the weights of every layer and the activations of every block are distributed"
    ).on_resume(),
    "eval.resize": one_of("short", "before the crop", RESIZES),
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


def flatten(config: ml_collections.ConfigDict | dict[str, Any]) -> dict[str, Any]:
    """The configuration, or one as JSON has it, as {"group.field": value}."""

    def walk(node: ml_collections.ConfigDict | dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
        for key, value in node.items():
            if isinstance(value, ml_collections.ConfigDict | dict):
                yield from walk(value, f"{prefix}{key}.")
            else:
                yield prefix + key, tuple(value) if isinstance(value, list) else value

    return dict(walk(config, ""))
