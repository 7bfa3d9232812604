"""Small training sets decoded once: squares of pixels, kept in the host's memory or handed to the devices."""

from collections.abc import Callable

import ml_collections
import numpy as np

from googlenet_jax.config.choices import DEVICE_CROPS
from googlenet_jax.data.bad_images import BadImageLog
from googlenet_jax.data.crops.resize import center_crop
from googlenet_jax.data.loader import eval_batches
from googlenet_jax.data.sources.base import ArraySource, Source
from googlenet_jax.errors import UserError
from googlenet_jax.system.runtime import free_memory

_BATCH = 256
CROPS_LATER = tuple(name for name, row in DEVICE_CROPS.items() if row)  # cut from the squares in each step


def cached_side(config: ml_collections.ConfigDict) -> int:
    """The squares' side, pixels: the network's, or where crops are cut later the whole that they are cut of."""
    size: int = config.dataset.image_size
    if config.augment.crop not in CROPS_LATER:
        return size
    # A random crop is a part of `size` pixels, in any square. A resized one loses less of a larger.
    whole = (config.eval.image_size or size) if config.augment.crop == "resized" else size
    return round(whole / config.eval.crop_fraction)


def cached(
    source: Source,
    config: ml_collections.ConfigDict,
    bad_images: BadImageLog,
    advance: Callable[[int, int], object] = lambda done, total: None,
) -> ArraySource:
    """Decodes all images.

    Args:
      source: the training images.
      config: the whole configuration.
      bad_images: told of what cannot be read, which is left out.
      advance: told how many images are done, and of how many.

    Returns:
      A source of (side, side, 3) images in memory, see `cached_side`.

    Raises:
      UserError: if they do not fit into the host's memory, or none can be read.
    """
    side, square = cached_side(config), config.eval.resize == "square"
    fraction = 1.0 if config.augment.crop in CROPS_LATER else config.eval.crop_fraction
    needed = 3 * side**2 * len(source)
    there = free_memory()
    if needed > there:
        raise UserError(
            f"config.dataset.cache={config.dataset.cache} needs {needed / 2**30:.1f} GiB for {len(source)} images of "
            f"{side} px, {there / 2**30:.1f} GiB are free: set config.dataset.cache=none"
        )
    images = np.empty((len(source), side, side, 3), np.uint8)
    classes = np.empty(len(source), np.int32)

    count = 0
    batches = eval_batches(
        source, config, lambda picture: (center_crop(picture, side, fraction, square),), bad_images, _BATCH
    )
    for done, batch in enumerate(batches, 1):
        readable = batch.weights > 0
        found = int(readable.sum())
        images[count : count + found] = batch.images[0][readable]
        classes[count : count + found] = batch.labels[readable]
        count += found
        advance(min(done * _BATCH, len(source)), len(source))
    if not count:
        raise UserError("none of the training images can be read")
    return ArraySource(images[:count], classes[:count], source.labels)
