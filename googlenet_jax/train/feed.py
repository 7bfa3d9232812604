"""Feeds the train step: batches that lie on the devices before they are needed."""

import contextlib
from collections.abc import Callable, Generator
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from flax import jax_utils

from googlenet_jax.config.choices import DEVICE_CROPS
from googlenet_jax.data import order
from googlenet_jax.data.bad_images import BadImageLog
from googlenet_jax.data.cache import cached
from googlenet_jax.data.loader import Process, train_batches
from googlenet_jax.data.sources.base import ArraySource, Source
from googlenet_jax.errors import UserError
from googlenet_jax.system.parallel import AXIS, parallel, replicate
from googlenet_jax.train.setup import Training

_AHEAD = 2  # batches on the devices while a step runs


def feed(
    source: Source,
    training: Training,
    bad_images: BadImageLog,
    first: int,
    advance: Callable[[int, int], object],
) -> Generator[tuple[Any, Any], None, None]:
    """Endless batches for the train step, each a function of the seed and its number alone.

    Args:
      source: the training images.
      training: whose configuration, devices and crop are used.
      bad_images: told of what cannot be read.
      first: number of the batch to begin with.
      advance: told the progress of decoding images for a cache.

    Returns:
      An iterator over images (devices, n, size, size, 3) uint8 and labels (devices, n) int32, on this process's
      devices.
    """
    config = training.config
    if config.dataset.cache != "none":
        source = cached(source, config, bad_images, advance)
        if config.dataset.cache == "device":
            return _from_devices(source, training, first)
    return _from_host(source, training, bad_images, first)


def _from_host(
    source: Source, training: Training, bad_images: BadImageLog, first: int
) -> Generator[tuple[Any, Any], None, None]:
    config, process = training.config, Process(jax.process_index(), jax.process_count())
    crop = training.preprocess.replace(image_size=config.dataset.image_size).crop
    if config.dataset.cache != "none":  # each process would have a copy of it, with nothing to decode
        config = config.copy_and_resolve_references()
        config.dataset.num_workers = 0
    loaded = train_batches(source, config, crop, bad_images, first, process)
    with contextlib.closing(loaded) as batches:
        split = (training.split((batch.images, batch.labels)) for batch in batches)
        yield from jax_utils.prefetch_to_device(split, _AHEAD, _local(training), AXIS)


def _from_devices(source: ArraySource, training: Training, first: int) -> Generator[tuple[Any, Any], None, None]:
    """The whole set lies on every device; nothing goes there but each epoch's order and where a batch begins in it."""
    config = training.config
    (images, labels), count = _placed(source, training), len(source)
    del source  # the host needs its copy no longer
    take = parallel(_make_take(config), training.devices, replicated=4, split=1, split_result=True)
    share = config.batch_size // jax.process_count()
    mine = jax.process_index() * share + np.arange(share, dtype=np.int32)
    places = _on_devices(training.split(mine), training)
    each = config.batch_size // config.augment.repeats  # images of a batch that differ
    epochs = -(-each // count) + 1  # that a batch may reach over
    at = -1
    for number in range(first, 1 << 31):
        epoch, start = divmod(number * each, count)
        if epoch != at:
            at, ordered = epoch, order.indices(config.seed, count, epoch * count, epochs * count).astype(np.int32)
            ordered = replicate(ordered, training.devices)
        yield take(images, labels, ordered, np.array([config.seed, number, start], np.uint32), places)


def _on_devices(array: np.ndarray, training: Training) -> jax.Array:
    """Puts each row of an array (local devices, ...) on its device."""
    return next(jax_utils.prefetch_to_device(iter([array]), 1, _local(training), AXIS))


def _local(training: Training) -> list[jax.Device]:
    return [device for device in training.devices if device.process_index == jax.process_index()]


def _placed(source: ArraySource, training: Training) -> Any:
    try:
        return replicate((source.images, source.classes.astype(np.int32)), training.devices)
    except RuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise UserError(
            f"config.dataset.cache=device: {source.images.nbytes / 2**30:.1f} GiB of images do not fit on a device; "
            "set config.dataset.cache=host"
        ) from None


def _make_take(config: ml_collections.ConfigDict) -> Callable[..., Any]:
    """Picks a device's part of a batch out of the whole set, and cuts crops where they are cut later."""
    row = DEVICE_CROPS[config.augment.crop]
    crop = row and row.load()

    def take(
        images: jax.Array, labels: jax.Array, ordered: jax.Array, position: jax.Array, places: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        seed, number, start = position
        wanted = ordered[start.astype(jnp.int32) + order.image_at(places, config.batch_size, config.augment.repeats)]
        chosen = images[wanted]
        if crop is not None:
            # Beside the step's two keys, and as there by an image's place in the whole batch.
            key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), number), 2)
            keys = jax.vmap(jax.random.fold_in, (None, 0))(key, places)
            chosen = jax.vmap(lambda image, key: crop(image, key, config))(chosen, keys)
        return chosen, labels[wanted]

    return take
