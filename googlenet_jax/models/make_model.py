"""The network that a configuration describes."""

import dataclasses

import jax.numpy as jnp
import ml_collections

from googlenet_jax.models.googlenet import GoogLeNet
from googlenet_jax.models.variants import get_variant


def make_model(config: ml_collections.ConfigDict, num_classes: int, axis_name: str | None = None) -> GoogLeNet:
    """The network that a configuration describes.

    Args:
      config: the whole configuration.
      num_classes: of the dataset; `model.num_classes` goes before.
      axis_name: the mapped axis that splits the batch in training.

    Returns:
      A `GoogLeNet`.
    """
    variant = get_variant(config.model.variant, config.model.stem)
    given = {name: config.model[name] for name in ("dropout", "aux_dropout", "window_5x5")}
    variant = dataclasses.replace(variant, **{name: value for name, value in given.items() if value is not None})
    return GoogLeNet(
        num_classes=config.model.num_classes or num_classes,
        variant=variant,
        aux_heads=config.model.aux_heads,
        dtype=jnp.dtype(config.precision.compute_dtype),
        axis_name=axis_name,
        sync_batch_norm=config.model.sync_batch_norm,
        blocks=tuple(config.model.blocks),
    )
