"""One pass over the validation images: what the network says of each, and what its inside does meanwhile."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import ml_collections
import numpy as np

from googlenet_jax.classifier import NOT_FINITE, Classifier
from googlenet_jax.data.bad_images import BadImageLog
from googlenet_jax.data.loader import eval_batches
from googlenet_jax.data.sources.base import Source
from googlenet_jax.errors import UserError
from googlenet_jax.evaluate.evaluator import eval_batch_size, windows_of
from googlenet_jax.models.googlenet import TABLE_1
from googlenet_jax.net import Net
from googlenet_jax.report.probe import Probe, Seen, flat

BRANCHES = ("1x1", "3x3", "5x5", "pool")


class Inside(NamedTuple):
    """What the network's inside did over all images.

    Attributes:
      heads: of each auxiliary head by its name, the class (n,) that it takes for the likeliest.
      shares: (blocks, 4), each branch's share of a block's activation.
      largest: by block, of each of its channels the largest activation, (channels,).
    """

    heads: dict[str, np.ndarray]
    shares: np.ndarray
    largest: dict[str, np.ndarray]


class Predictions(NamedTuple):
    """What the network says of each image that can be read, in order.

    Attributes:
      places: (n,) place of each in the source.
      labels: (n,) int32 true classes.
      log_probabilities: (n, classes) float32.
      features: (n, 1024) float16, the mean over the places of the last block, "pool5"; None of an exported file.
      inside: likewise.
      unreadable: images that cannot be read.
    """

    places: np.ndarray
    labels: np.ndarray
    log_probabilities: np.ndarray
    features: np.ndarray | None
    inside: Inside | None
    unreadable: int


def collect(
    net: Classifier,
    source: Source,
    config: ml_collections.ConfigDict,
    advance: Callable[[int], object] = lambda images: None,
    probe: Probe | None = None,
) -> Predictions:
    """Runs a network once over all images.

    Args:
      net: the network.
      source: the images.
      config: how they are loaded.
      advance: told the number of images of each batch.
      probe: of the network, if there is one already.

    Returns:
      The predictions; 50,000 images of 1,000 classes take 300 MB.

    Raises:
      UserError: if they are not finite.
    """
    if probe is None and isinstance(net, Net):
        probe = Probe(net, config)
    batch_size = probe.batch_size if probe else eval_batch_size(config, jax.devices())
    bad_images = BadImageLog(config.dataset.bad_images)
    batches = eval_batches(source, config, windows_of([net.preprocess]), bad_images, batch_size)
    n, filled = len(source), 0
    labels, weights, logs = np.zeros(n, np.int32), np.zeros(n, bool), np.zeros((n, len(net.labels)), np.float32)
    counts = _Counts(probe, n) if probe else None
    for batch in batches:
        rows = slice(filled, min(filled + batch_size, n))
        count = rows.stop - rows.start
        labels[rows], weights[rows] = batch.labels[:count], batch.weights[:count]
        images = batch.images[0][:, 0]
        seen = probe(images) if probe else None
        found = flat(seen.log_probabilities) if seen else np.log(np.maximum(net.classify(images), np.float32(1e-30)))
        logs[rows] = found[:count]
        if np.isnan(found).any():
            raise UserError(NOT_FINITE)
        if counts and seen:
            counts.add(rows, seen, batch.weights[:count] > 0)
        filled = rows.stop
        advance(int(batch.weights.sum()))
    readable = np.flatnonzero(weights)
    return Predictions(
        readable,
        labels[readable],
        logs if len(readable) == n else logs[readable],
        counts.features[readable] if counts else None,
        counts.result(readable) if counts else None,
        n - len(readable),
    )


class _Counts:
    """Keeps count of a network's inside over n images."""

    def __init__(self, probe: Probe, n: int):
        self._probe = probe
        self._sums: list[Any] = [0.0] * len(probe.blocks)
        self._largest: list[Any] = [0.0] * len(probe.blocks)
        self._heads = np.zeros((n, len(probe.heads)), np.int32)
        self.features = np.zeros((n, 0), np.float16)

    def add(self, rows: slice, seen: Seen, weights: np.ndarray) -> None:
        """Counts images in, those of weight True."""
        means, largest = ([flat(each)[: len(weights)] for each in part] for part in (seen.means, seen.largest))
        if not self.features.size:
            self.features = np.zeros((len(self._heads), means[-1].shape[-1]), np.float16)
        self.features[rows], self._heads[rows] = means[-1], flat(seen.heads)[: len(weights)]
        self._sums = [so_far + each[weights].sum(0) for so_far, each in zip(self._sums, means, strict=True)]
        self._largest = [
            np.maximum(so_far, each[weights].max(0, initial=0))
            for so_far, each in zip(self._largest, largest, strict=True)
        ]

    def result(self, readable: np.ndarray) -> Inside:
        """Of all images that were counted."""
        blocks = zip(self._probe.blocks, self._sums, strict=True)
        sums = np.stack([_by_branch(name, each) for name, each in blocks])
        return Inside(
            {name: self._heads[readable, i] for i, name in enumerate(self._probe.heads)},
            sums / np.maximum(sums.sum(1, keepdims=True), 1e-12),
            dict(zip(self._probe.blocks, self._largest, strict=True)),
        )


def _by_branch(name: str, by_channel: np.ndarray) -> np.ndarray:
    """The sum over each branch's channels, which lie one behind the other."""
    widths = TABLE_1[name]
    ends = np.cumsum([widths.one, widths.three, widths.five])
    return np.array([part.sum() for part in np.split(by_channel, ends)])
