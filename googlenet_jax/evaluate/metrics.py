"""What is measured of predictions, accumulated on the device and read when it is reported."""

import math
from collections.abc import Mapping

import flax.struct
import jax
import jax.numpy as jnp
import optax
from clu import metrics as clu_metrics


@flax.struct.dataclass
class Metrics(clu_metrics.Collection):
    """Means over images: the loss in nats, and how often the label is the first, or among the first five."""

    loss: clu_metrics.Average
    top1: clu_metrics.Average
    top5: clu_metrics.Average


def beyond_use(values: Mapping[str, float], num_classes: int) -> bool:
    """Whether a network tells images apart no better than chance, by numbers that are not finite.

    One image may be too much for float16, and where no image can be read there is no top-1 either.

    Args:
      values: "loss" in nats and "top1" 0..1, as an evaluation has them; what was not finite may be missing.
      num_classes: of the network's outputs.

    Returns:
      Whether that is so.
    """
    return not math.isfinite(values.get("loss", math.nan)) and values.get("top1", math.nan) <= 1 / num_classes


def cross_entropy(logits: jax.Array, labels: jax.Array, label_smoothing: float = 0.0) -> jax.Array:
    """Softmax cross entropy of each image.

    Args:
      logits: (n, classes) float32 array.
      labels: (n,) int32 array, or of mixed images a (n, classes) array of each class's share.
      label_smoothing: share of the target spread evenly over all classes (arXiv 1512.00567, section 7).

    Returns:
      (n,) float32 array, in nats.
    """
    targets = labels if labels.ndim == 2 else jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    return optax.softmax_cross_entropy(logits, optax.smooth_labels(targets, label_smoothing))


def ranks(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """The place of each image's label among the classes, likeliest first.

    Args:
      logits: (n, classes) float32 array.
      labels: (n,) int32 array.

    Returns:
      (n,) int32 array, from 1. Among equals a label comes last, so that a constant output is no success, and NaN none
      either.
    """
    return (~(logits < jnp.take_along_axis(logits, labels[:, None], 1))).sum(1)


def measure(logits: jax.Array, labels: jax.Array, losses: jax.Array, weights: jax.Array) -> Metrics:
    """The metrics of one batch, or of a device's part of it.

    Args:
      logits: (n, classes) float32 array.
      labels: (n,) int32 array.
      losses: (n,) float32 array, of each image.
      weights: (n,) float32 array, 1 for images that count and 0 for others.

    Returns:
      `Metrics`; those of several parts are added.
    """
    rank = ranks(logits, labels)
    measured = {"loss": losses, "top1": rank <= 1, "top5": rank <= 5}
    means = {name: clu_metrics.Average.from_model_output(each, mask=weights > 0) for name, each in measured.items()}
    return Metrics.empty().replace(**means)
