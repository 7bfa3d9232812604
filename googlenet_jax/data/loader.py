"""The loader: batches of uint8 images, each a function of the seed and its number alone.

Batch k of a training is the same whatever the number of threads, processes or devices, and whether it was reached in
one go or after a restart; so the position in the data is the step, and nothing else has to be saved.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import grain
import jax
import ml_collections
import numpy as np

from googlenet_jax.data.images import BadImageError, random_crop, random_resized_crop
from googlenet_jax.data.sources import BadImageLog, Source
from googlenet_jax.errors import UserError
from googlenet_jax.runtime import cpu_cores

_MOST_BYTES_IN_FLIGHT = 4 << 30


class Batch(NamedTuple):
    """A process's share of a batch.

    Attributes:
      images: (n, size, size, 3) uint8 RGB array; for evaluation what the crop makes of an image, stacked.
      labels: (n,) int32 array.
      weights: (n,) float32 array: 1, or 0 for what only fills up the last batch or could not be read.
    """

    images: Any
    labels: np.ndarray | np.int32
    weights: np.ndarray | np.float32


def train_batches(
    source: Source,
    config: ml_collections.ConfigDict,
    crop: Callable[[np.ndarray], np.ndarray],
    bad_images: BadImageLog,
    first: int = 0,
) -> Iterator[Batch]:
    """Endless batches for training; every epoch is a new permutation of all images.

    A bad image's place is taken by the next one that can be read.

    Args:
      source: the training images.
      config: the whole configuration.
      crop: the evaluation's crop, for augment.crop "none" and "shift".
      bad_images: told of what cannot be read.
      first: number of the batch to begin with.

    Returns:
      An iterator over this process's share of batches first, first + 1, ...
    """
    augment, size = config.augment, config.dataset.image_size

    def load(index: int, rng: np.random.Generator) -> Batch:
        for offset in range(len(source)):
            try:
                image, label = source[(index + offset) % len(source)]
            except BadImageError as error:
                bad_images.report(error)
                continue
            if augment.crop == "resized":
                random_filter, paddle = augment.interpolation == "random", augment.sampling == "paddleclas"
                image = random_resized_crop(image, size, rng, augment.area, augment.aspect, random_filter, paddle)
            elif augment.crop == "random":
                image = random_crop(image, size, config.eval.crop_fraction, config.eval.resize == "square", rng)
            else:
                image = crop(image)
            return Batch(image, np.int32(label), np.float32(1))
        raise UserError("none of the training images can be read")

    processes = jax.process_count()
    share = config.batch_size // processes
    order = grain.MapDataset.range(len(source)).seed(config.seed).shuffle().repeat()
    shares = order.random_map(load).batch(share, batch_fn=_stack)
    mine = shares.slice(slice(first * processes + jax.process_index(), None, processes))
    return iter(mine.to_iter_dataset(_read_options(config, 3 * size**2 * share)))


def eval_batches(
    source: Source,
    config: ml_collections.ConfigDict,
    crop: Callable[[np.ndarray], Any],
    bad_images: BadImageLog,
    batch_size: int,
) -> Iterator[Batch]:
    """All images once, in order; the last batch is filled up with images of weight 0.

    Args:
      source: the images.
      config: the whole configuration.
      crop: the evaluation's crop, or crops: any tree of arrays.
      bad_images: told of what cannot be read; such an image has weight 0.
      batch_size: global images a batch.

    Returns:
      An iterator over this process's share of ceil(len(source) / batch_size) batches.
    """
    size = config.dataset.image_size
    blank = crop(np.zeros((size, size, 3), np.uint8))
    image_bytes = sum(array.nbytes for array in jax.tree.leaves(blank))

    def load(index: int) -> Batch:
        if index < len(source):
            try:
                image, label = source[index]
                return Batch(crop(image), np.int32(label), np.float32(1))
            except BadImageError as error:
                bad_images.report(error)
        return Batch(blank, np.int32(0), np.float32(0))

    processes = jax.process_count()
    share = batch_size // processes
    padded = -(-len(source) // batch_size) * batch_size
    shares = grain.MapDataset.range(padded).map(load).batch(share, batch_fn=_stack)
    mine = shares.slice(slice(jax.process_index(), None, processes))
    return iter(mine.to_iter_dataset(_read_options(config, image_bytes * share)))


def _stack(rows: Any) -> Batch:
    return jax.tree.map(lambda *leaves: np.stack(leaves), *rows)


def _read_options(config: ml_collections.ConfigDict, batch_bytes: int) -> grain.ReadOptions:
    # Grain's element here is a batch: as many in flight as threads keep all busy, within a bound on their memory.
    threads = min(config.dataset.num_threads or cpu_cores(), max(_MOST_BYTES_IN_FLIGHT // batch_bytes, 2))
    return grain.ReadOptions(num_threads=threads, prefetch_buffer_size=threads + 2)
