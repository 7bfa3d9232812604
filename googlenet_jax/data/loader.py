"""The loader: batches of uint8 images, each a function of the seed and its number alone.

Batch k of a training is the same whatever the number of threads, worker processes or hosts, and whether it was reached
in one go or after a restart; so the position in the data is the step, and nothing else has to be saved.

Threads and workers each load a part of a batch at a time; Grain runs them and keeps the order.
"""

import contextlib
import dataclasses
import functools
import itertools
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, NamedTuple

import grain
import ml_collections
import numpy as np
from absl import flags

from googlenet_jax.data import order
from googlenet_jax.data.bad_images import BadImageLog, Loaded, load
from googlenet_jax.data.crops.training import TrainCrop, make_train_crop
from googlenet_jax.data.crops.windows import DRAWS
from googlenet_jax.data.pictures.picture import BadImageError, Picture, Pixels
from googlenet_jax.data.plan import Plan, make_plan
from googlenet_jax.data.sources.base import Source
from googlenet_jax.errors import UserError, reason
from googlenet_jax.system import runtime

_MOST_BAD_IN_A_ROW = 100
_ENDLESS = 1 << 48


class Batch(NamedTuple):
    """A process's share of a batch.

    Attributes:
      images: uint8 RGB. For training an (n, size, size, 3) array; for evaluation a tuple of arrays, (n, *shape), one
        for each array that the crop gives of a picture: a network's (windows, size, size, 3), or `cached`'s one square.
      labels: (n,) int32 array.
      weights: (n,) float32 array: 1, or 0 for what only fills up the last batch or could not be read.
    """

    images: Any
    labels: np.ndarray
    weights: np.ndarray


@dataclasses.dataclass(frozen=True)
class Process:
    """One of the processes that load each batch together: it loads a `count`-th, the `index`-th in order."""

    index: int = 0
    count: int = 1


_ALONE = Process()


class _Part(NamedTuple):
    batch: Batch
    mended: list[str]
    skipped: list[str]


@dataclasses.dataclass(frozen=True)
class _Split:
    """How batches are split among processes, and within one into parts of `size` images, which divides its share."""

    batch_size: int
    process: Process
    size: int

    @property
    def share(self) -> int:
        return self.batch_size // self.process.count

    def position(self, part: int) -> int:
        """Where this process's part of that number begins, in images since the first batch."""
        batch, within = divmod(part, self.share // self.size)
        return batch * self.batch_size + self.process.index * self.share + within * self.size


def _fill(
    part: _Part,
    row: int,
    arrays: tuple[np.ndarray, ...],
    loaded: Loaded,
    crop: Callable[[Picture], tuple[np.ndarray, ...]],
) -> bool:
    """Puts an image's crops into a row of a part's arrays; False if it is left out. The part tells what was odd."""
    picture, label, note = loaded
    if picture is not None:
        try:
            for array, cut in zip(arrays, crop(picture), strict=True):
                array[row] = cut
            part.batch.labels[row], part.batch.weights[row] = label, 1
        except BadImageError as error:
            picture, note = None, str(error)
    if note:
        (part.mended if picture is not None else part.skipped).append(note)
    return picture is not None


@dataclasses.dataclass(frozen=True)
class _TrainParts:
    """Loads parts of training batches; an object, so that worker processes can be given it."""

    source: Source
    crop: TrainCrop
    split: _Split
    seed: int
    policy: str
    repeats: int

    def __call__(self, number: int) -> _Part:
        position, count, size = self.split.position(number), self.split.size, self.crop.size
        batch_size, repeats = self.split.batch_size, self.repeats
        numbers = order.repeated(self.seed, len(self.source), position, count, batch_size, repeats).tolist()
        draws = order.draws(self.seed, position, count, DRAWS).tolist()
        images = np.empty((count, size, size, 3), np.uint8)
        batch = Batch(images, np.zeros(count, np.int32), np.zeros(count, np.float32))
        part = _Part(batch, [], [])
        load_image = self._load if repeats == 1 else functools.lru_cache(4)(self._load_prepared)
        for row, (index, drawn) in enumerate(zip(numbers, draws, strict=True)):

            def crop(picture: Picture, drawn: list[float] = drawn) -> tuple[np.ndarray, ...]:
                return (self.crop(picture, drawn),)

            # A bad image's place is taken by the next one that can be read.
            for offset in range(min(len(self.source), _MOST_BAD_IN_A_ROW)):
                other = (index + offset) % len(self.source)
                if _fill(part, row, (images,), load_image(other), crop):
                    break
                if self.policy == "error":
                    return part
            else:
                return part
        return part

    def _load(self, index: int) -> Loaded:
        return load(self.source, index, self.policy == "mend")

    def _load_prepared(self, index: int) -> Loaded:
        """An image of which several crops are cut."""
        loaded = self._load(index)
        try:
            whole = None if loaded.picture is None else self.crop.prepared(loaded.picture)
            return loaded._replace(picture=whole)
        except BadImageError as error:
            return Loaded(None, 0, str(error))


@dataclasses.dataclass(frozen=True)
class _EvalParts:
    """Loads parts of evaluation's batches."""

    source: Source
    crop: Callable[[Picture], tuple[np.ndarray, ...]]
    split: _Split
    blank: tuple[np.ndarray, ...]
    mend: bool

    def __call__(self, number: int) -> _Part:
        position, count = self.split.position(number), self.split.size
        images = tuple(np.zeros((count, *array.shape), np.uint8) for array in self.blank)
        part = _Part(Batch(images, np.zeros(count, np.int32), np.zeros(count, np.float32)), [], [])
        for row, index in enumerate(range(position, min(position + count, len(self.source)))):
            _fill(part, row, images, load(self.source, index, self.mend), self.crop)
        return part


def train_batches(
    source: Source,
    config: ml_collections.ConfigDict,
    crop: Callable[[Picture], np.ndarray],
    bad_images: BadImageLog,
    first: int = 0,
    process: Process = _ALONE,
) -> Generator[Batch, None, None]:
    """Endless batches for training; every pass through the images is a new permutation of them.

    Args:
      source: the training images.
      config: the whole configuration.
      crop: evaluation's crop, for augment.crop "none" and "shift".
      bad_images: told of what cannot be read; its place is taken by the next image.
      first: number of the batch to begin with.
      process: which of how many this is.

    Returns:
      An iterator over this process's share of batches first, first + 1, ...

    Raises:
      UserError: by the iterator, if no image can be read or one that cannot shall stop the run.
    """
    train_crop, repeats = make_train_crop(config, crop), config.augment.repeats
    share, image_bytes = config.batch_size // process.count, 3 * config.dataset.image_size**2
    plan = make_plan(share, image_bytes, config.dataset, "training", unit=order.group_size(config.batch_size, repeats))
    split = _Split(config.batch_size, process, plan.size)
    parts = _TrainParts(source, train_crop, split, config.seed, config.dataset.bad_images, repeats)
    with contextlib.closing(_batches(parts, split, first, _ENDLESS, plan, bad_images)) as batches:
        for batch in batches:
            if not batch.weights.all():
                count = min(len(source), _MOST_BAD_IN_A_ROW)
                raise UserError(f"{count} training images one after the other cannot be read")
            yield batch


def eval_batches(
    source: Source,
    config: ml_collections.ConfigDict,
    crop: Callable[[Picture], tuple[np.ndarray, ...]],
    bad_images: BadImageLog,
    batch_size: int,
    process: Process = _ALONE,
) -> Generator[Batch, None, None]:
    """All images once, in order; the last batch is filled up with images of weight 0.

    Args:
      source: the images.
      config: the whole configuration.
      crop: evaluation's crops, one array a network.
      bad_images: told of what cannot be read; such an image has weight 0.
      batch_size: global images a batch.
      process: which of how many this is.

    Returns:
      An iterator over this process's share of ceil(len(source) / batch_size) batches.
    """
    size = config.dataset.image_size
    blank = crop(Pixels(np.zeros((size, size, 3), np.uint8)))
    image_bytes = sum(array.nbytes for array in blank)
    plan = make_plan(batch_size // process.count, image_bytes, config.dataset, "validation")
    split = _Split(batch_size, process, plan.size)
    parts = _EvalParts(source, crop, split, blank, config.dataset.bad_images == "mend")
    return _batches(parts, split, 0, -(-len(source) // batch_size), plan, bad_images)


def _batches(
    parts: Callable[[int], _Part],
    split: _Split,
    first: int,
    last: int,
    plan: Plan,
    bad_images: BadImageLog,
) -> Generator[Batch, None, None]:
    """Batches first to last from their parts, loaded ahead by threads or worker processes."""
    each = split.share // split.size
    numbers = grain.MapDataset.range(first * each, last * each)
    options = grain.ReadOptions(num_threads=plan.threads, prefetch_buffer_size=plan.ahead)
    dataset = numbers.map(parts).to_iter_dataset(options)
    if plan.workers:
        if not flags.FLAGS.is_parsed():
            flags.FLAGS.mark_as_parsed()  # Grain's workers ask for absl's flags, which not every caller has
        runtime.silence_resource_tracker()  # of what is loaded ahead when the last batch was taken
        dataset = dataset.mp_prefetch(grain.MultiprocessingOptions(plan.workers, per_worker_buffer_size=plan.buffer))
    with contextlib.closing(iter(dataset)) as stream, _readable_errors():
        for part in stream:
            group = itertools.chain([part], itertools.islice(stream, each - 1))
            del part  # its shared memory is free when it is copied
            yield _joined(_reported(group, bad_images), each, copied=plan.workers > 0)


def _reported(parts: Iterable[_Part], bad_images: BadImageLog) -> Iterator[Batch]:
    for part in parts:
        bad_images.report(part.mended, part.skipped)
        yield part.batch


def _joined(parts: Iterator[Batch], count: int, copied: bool) -> Batch:
    """A batch of so many parts. They are copied one at a time, so that shared memory never holds a whole batch."""
    if count == 1 and not copied:
        return next(parts)
    whole: list[np.ndarray] = []
    for number, part in enumerate(parts):
        several = isinstance(part.images, tuple)
        arrays = [*(part.images if several else [part.images]), part.labels, part.weights]
        size = len(part.labels)
        whole = whole or [np.empty((count * size, *array.shape[1:]), array.dtype) for array in arrays]
        for target, array in zip(whole, arrays, strict=True):
            target[number * size : (number + 1) * size] = array
    *images, labels, weights = whole
    return Batch(tuple(images) if several else images[0], labels, weights)


@contextlib.contextmanager
def _readable_errors() -> Iterator[None]:
    """Grain tells with a RuntimeError of a process that was killed."""
    try:
        yield
    except RuntimeError as error:
        if "terminated unexpectedly" not in str(error):
            raise
        raise UserError(
            f"a process that loads images was killed ({reason(error)}): exit code -7 tells of a full /dev/shm (docker "
            "run --shm-size=4g, or --ipc=host), -9 of full memory; config.dataset.num_workers=0 loads in this process"
        ) from None
