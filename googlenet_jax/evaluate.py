"""Evaluation: top-1, top-5 and loss over a whole set, each image once."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np

from googlenet_jax.data.loader import Batch, eval_batches
from googlenet_jax.data.sources import BadImageLog, open_source
from googlenet_jax.errors import UserError
from googlenet_jax.metrics import Metrics, cross_entropy, measure
from googlenet_jax.models.googlenet import GoogLeNet
from googlenet_jax.net import load
from googlenet_jax.parallel import parallel, replicate, split_batch
from googlenet_jax.preprocess import Preprocess

Advance = Callable[[int], object]


class Evaluator:
    """Evaluates variables of one network; compiles once.

    Args:
      model: the network.
      preprocess: normalises images.
      devices: to run on.
    """

    def __init__(self, model: GoogLeNet, preprocess: Preprocess, devices: Sequence[jax.Device]):
        self.devices = devices

        def step(variables: Any, metrics: Metrics, images: jax.Array, labels: jax.Array, weights: jax.Array) -> Metrics:
            logits: Any = model.apply(variables, preprocess.normalize(images), train=False)
            return metrics.merge(measure(logits, labels, cross_entropy(logits, labels), weights))

        self.step: Callable[..., Metrics] = parallel(step, devices, replicated=2, split=3)

    def run(self, variables: Any, batches: Iterable[Batch], advance: Advance = lambda images: None) -> dict[str, float]:
        """Evaluates over all batches.

        Args:
          variables: of the network, placed by `replicate`.
          batches: from `eval_batches`.
          advance: told the number of images of each batch as it goes to the devices.

        Returns:
          {"loss": nats, "top1": 0..1, "top5": 0..1}, means over the images of weight 1.
        """
        metrics = replicate(Metrics.empty(), self.devices)
        for batch in batches:
            metrics = self.step(variables, metrics, *split_batch(batch, self.devices))
            advance(int(np.sum(batch.weights)))
        return {name: float(value) for name, value in metrics.compute().items()}


def eval_batch_size(config: ml_collections.ConfigDict, devices: Sequence[jax.Device]) -> int:
    """Images a step of evaluation: what the configuration says, rounded up to divide among the devices."""
    size = config.eval.batch_size or config.batch_size
    return -(-size // len(devices)) * len(devices)


def evaluate_checkpoint(
    path: Path, dataset: str | None = None, advance: Callable[[int, int], object] = lambda done, total: None
) -> dict[str, Any]:
    """Evaluates a checkpoint on the validation images of its dataset, or of another with the same classes.

    Args:
      path: as for `net.load`.
      dataset: a `dataset.name`; None: the one that it was trained on.
      advance: told how many images went to the devices, and of how many.

    Returns:
      {"loss", "top1", "top5", "images", "unreadable_images", "step"}.

    Raises:
      UserError: if the checkpoint or the images cannot be read, or the classes do not agree.
    """
    net = load(path)
    config = net.config.copy_and_resolve_references()
    if dataset is not None:
        config.dataset.name = dataset
    source = open_source(config.dataset, config.seed)[1]
    if len(source.labels) != len(net.labels):
        raise UserError(f"{config.dataset.name} has {len(source.labels)} classes, {path} tells {len(net.labels)} apart")
    devices = jax.devices()
    bad_images = BadImageLog(config.dataset.bad_images)
    batches = eval_batches(source, config, net.preprocess.crop, bad_images, eval_batch_size(config, devices))
    evaluator = Evaluator(net.model, net.preprocess, devices)
    total = len(source)
    values = evaluator.run(replicate(net.variables, devices), batches, lambda images: advance(images, total))
    return values | {
        "images": total - len(bad_images.names),
        "unreadable_images": len(bad_images.names),
        "step": net.step,
    }
