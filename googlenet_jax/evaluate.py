"""Evaluation: top-1, top-5 and loss over a whole set, each image once."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import numpy as np

from googlenet_jax.data.loader import Batch
from googlenet_jax.metrics import Metrics, cross_entropy, measure
from googlenet_jax.models.googlenet import GoogLeNet
from googlenet_jax.parallel import parallel, replicate, split_batch
from googlenet_jax.preprocess import Preprocess


class Evaluator:
    """Evaluates variables of one network; compiles once.

    Args:
      model: the network.
      preprocess: normalises images.
      devices: to run on.
    """

    def __init__(self, model: GoogLeNet, preprocess: Preprocess, devices: Sequence[jax.Device]):
        self.devices = devices

        def step(
            variables: Any, metrics: Metrics, images: jax.Array, labels: jax.Array, weights: jax.Array
        ) -> Metrics:
            logits = model.apply(variables, preprocess.normalize(images), train=False)
            return metrics.merge(measure(logits, labels, cross_entropy(logits, labels), weights))

        self.step: Callable[..., Metrics] = parallel(step, devices, replicated=2, split=3)

    def run(
        self, variables: Any, batches: Iterable[Batch], advance: Callable[[int], object] = lambda images: None
    ) -> dict[str, float]:
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
