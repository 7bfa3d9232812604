"""The order of training images and the random numbers of each: functions of the seed and the position alone.

The position counts images since the start of training. So a batch is the same whatever the number of threads, worker
processes or hosts, and reached at once after a restart.
"""

import functools
from typing import Any

import numpy as np

_ORDER, _DRAWS = 0, 1  # independent random streams of one seed


@functools.lru_cache(maxsize=3)
def permutation(seed: int, epoch: int, count: int) -> np.ndarray:
    """The images of an epoch in their order, (count,) int64; every epoch has its own."""
    return np.random.default_rng((seed, _ORDER, epoch)).permutation(count)


def indices(seed: int, count: int, position: int, length: int) -> np.ndarray:
    """The images at positions position, position + 1, ...

    Args:
      seed: of the training.
      count: images in the training set.
      position: of the first.
      length: how many.

    Returns:
      (length,) int64 array of images' numbers; it may go over from one epoch into the next.
    """
    parts = []
    end = position + length
    while position < end:
        epoch, start = divmod(position, count)
        stop = min(count, start + end - position)
        parts.append(permutation(seed, epoch, count)[start:stop])
        position += stop - start
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def group_size(batch_size: int, repeats: int) -> int:
    """Places of a batch that have some images in all their copies: two images' where it has an even number of them."""
    return repeats if repeats == 1 or batch_size // repeats % 2 else 2 * repeats


def image_at(places: Any, batch_size: int, repeats: int) -> Any:
    """Which of a batch's images stand at these places, where it has each several times (arXiv 1901.09335).

    Two images take turns, then the next two: so a part of a batch has an image in all its copies, which is then loaded
    once, and neighbours, which are mixed, differ. Of an odd number of images each has its copies in a row.

    Args:
      places: (n,) whole numbers below batch_size, a numpy or a JAX array.
      batch_size: images a batch, with copies.
      repeats: how often it has each, a divisor of batch_size.

    Returns:
      Array like places, below batch_size / repeats.
    """
    group = group_size(batch_size, repeats)
    turns = group // repeats
    return places // group * turns + places % turns


def repeated(seed: int, count: int, position: int, length: int, batch_size: int, repeats: int) -> np.ndarray:
    """As `indices`, where a batch has its images several times, see `image_at`.

    Args:
      seed, count, position, length: as for `indices`.
      batch_size: images a batch, with repetitions.
      repeats: how often it has each.

    Returns:
      (length,) int64 array of images' numbers.
    """
    batch, within = np.divmod(position + np.arange(length), batch_size)
    places = batch * (batch_size // repeats) + image_at(within, batch_size, repeats)
    first = int(places.min())
    return indices(seed, count, first, int(places.max()) - first + 1)[places - first]


def draws(seed: int, position: int, length: int, each: int) -> np.ndarray:
    """Uniform random numbers for the images at positions position, position + 1, ...

    Args:
      seed: of the training.
      position: of the first.
      length: how many images.
      each: numbers an image, a multiple of 4, which is what one step of the generator gives (Philox, Salmon et al.,
        SC 2011).

    Returns:
      (length, each) float64 array, 0 to below 1.
    """
    counter = position * each // 4
    generator = np.random.Generator(np.random.Philox(key=(seed << 8) | _DRAWS, counter=counter))
    return generator.random((length, each))


def spread(n: int, most: int) -> np.ndarray:
    """`most` of n places, evenly spread, or all."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int))
