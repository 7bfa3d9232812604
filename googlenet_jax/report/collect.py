"""One pass over the validation images: what the network says of each, and what its inside does meanwhile."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from googlenet_jax.classifier import Classifier
from googlenet_jax.data.bad_images import BadImageLog
from googlenet_jax.data.loader import eval_batches
from googlenet_jax.data.pictures.picture import BadImageError
from googlenet_jax.data.sources.base import Source
from googlenet_jax.evaluate.evaluator import eval_batch_size, windows_of
from googlenet_jax.models.folding import fold
from googlenet_jax.models.googlenet import TABLE_1
from googlenet_jax.net import Net
from googlenet_jax.system.parallel import parallel, replicate, split_batch

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
) -> Predictions:
    """Runs a network once over all images.

    Args:
      net: the network.
      source: the images.
      config: how they are loaded.
      advance: told the number of images of each batch.

    Returns:
      The predictions; 50,000 images of 1,000 classes take 300 MB.
    """
    devices = jax.devices()
    bad_images = BadImageLog(config.dataset.bad_images)
    batch_size = eval_batch_size(config, devices)
    batches = eval_batches(source, config, windows_of([net.preprocess]), bad_images, batch_size)
    run = _Inside(net, devices) if isinstance(net, Net) else None
    labels, weights, logs, features = [], [], [], []
    for batch in batches:
        images = batch.images[0][:, 0]
        if run is None:
            logs.append(np.log(np.maximum(net.classify(images), np.float32(1e-30))))
        else:
            log_probabilities, pooled = run(images, batch.weights)
            logs.append(log_probabilities)
            features.append(pooled)
        labels.append(batch.labels)
        weights.append(batch.weights)
        advance(int(batch.weights.sum()))
    readable = np.flatnonzero(np.concatenate(weights))
    return Predictions(
        readable,
        np.concatenate(labels)[readable],
        np.concatenate(logs)[readable],
        np.concatenate(features)[readable] if features else None,
        run.result(readable) if run else None,
        len(source) - len(readable),
    )


class _Inside:
    """Runs a network and keeps count of its inside, on the devices."""

    def __init__(self, net: Net, devices: list[jax.Device]):
        self._devices = devices
        model, variables = fold(net.model, net.variables)
        self._blocks = model.blocks
        self._heads = ["auxiliary, after 4a", "auxiliary, after 4d"] if "aux1" in variables["params"] else []
        self._variables = replicate(variables, devices)
        self._found: list[np.ndarray] = []
        self._counts: Any = None

        def step(variables: Any, images: jax.Array, weights: jax.Array) -> Any:
            outputs, kept = model.apply(
                variables,
                net.preprocess.normalize(images),
                train=False,
                aux=bool(self._heads),
                capture_intermediates=lambda module, method: method == "__call__" and len(module.path) == 1,
            )
            logits, *heads = outputs if self._heads else (outputs,)
            blocks = [kept["intermediates"][f"inception_{name}"]["__call__"][0] for name in self._blocks]
            weighted = [jnp.maximum(block, 0) * weights[:, None, None, None] for block in blocks]
            sums = jnp.stack([self._by_branch(name, x) for name, x in zip(self._blocks, weighted, strict=True)])
            largest = [block.max((0, 1, 2)) for block in weighted]
            classes = jnp.stack([head.argmax(-1) for head in heads], -1) if heads else jnp.zeros((len(images), 0))
            return jax.nn.log_softmax(logits / net.temperature), blocks[-1].mean((1, 2)), classes, sums, largest

        self._step = parallel(step, devices, replicated=1, split=2, split_result=True)

    def _by_branch(self, name: str, x: jax.Array) -> jax.Array:
        """Sums of a block's activation, each branch's part, which lie one behind the other."""
        widths = TABLE_1[name]
        ends = np.cumsum([widths.one, widths.three, widths.five])
        return jnp.stack([part.mean((0, 1, 2)).sum() for part in jnp.split(x, ends, -1)])

    def __call__(self, images: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log probabilities (n, classes), and features (n, c), of crops; those of weight 0 are not counted."""
        log_probabilities, pooled, classes, sums, largest = self._step(
            self._variables, *split_batch((images, weights), self._devices)
        )
        n = len(images)
        self._found.append(np.asarray(classes).reshape(n, -1))
        counts = np.asarray(sums).sum(0), [np.asarray(each).max(0) for each in largest]
        if self._counts is None:
            self._counts = counts
        else:
            maxima = [np.maximum(a, b) for a, b in zip(self._counts[1], counts[1], strict=True)]
            self._counts = self._counts[0] + counts[0], maxima
        return np.asarray(log_probabilities).reshape(n, -1), np.asarray(pooled, np.float16).reshape(n, -1)

    def result(self, readable: np.ndarray) -> Inside:
        """Of all images that were run."""
        classes = np.concatenate(self._found)[readable]
        sums, largest = self._counts
        return Inside(
            {name: classes[:, i].astype(np.int32) for i, name in enumerate(self._heads)},
            sums / np.maximum(sums.sum(1, keepdims=True), 1e-12),
            dict(zip(self._blocks, largest, strict=True)),
        )


def features_of(net: Net, source: Source, indices: np.ndarray) -> np.ndarray:
    """Features (n, 1024) float32 of some images of a source; of one that cannot be read zeros."""
    size = net.preprocess.image_size
    crops = []
    for index in indices:
        try:
            crops.append(net.preprocess.crop(source[int(index)][0]))
        except BadImageError:
            crops.append(np.zeros((size, size, 3), np.uint8))
    found = [np.asarray(net.look(np.stack(crops[i : i + 32]))[1]) for i in range(0, len(crops), 32)]
    maps = [each.reshape(-1, *each.shape[-3:]) for each in found]
    return np.concatenate([each.mean((1, 2)) for each in maps])
