"""The validation set, evaluated while training."""

from collections.abc import Callable
from typing import Any

import jax

from googlenet_jax.data.bad_images import BadImageLog
from googlenet_jax.data.loader import Process, eval_batches
from googlenet_jax.data.sources.base import Source
from googlenet_jax.evaluate.evaluator import Evaluator, Member, eval_batch_size, windows_of
from googlenet_jax.system import heartbeat
from googlenet_jax.train.setup import Training


class Validation:
    """Evaluates a training's network on validation images; compiles once.

    Args:
      source: the images.
      training: whose configuration, network, preprocessing and devices are used.
      bad_images: told of what cannot be read.
    """

    def __init__(self, source: Source, training: Training, bad_images: BadImageLog):
        self._source, self._config, self._bad_images = source, training.config, bad_images
        member = Member(training.model, training.preprocess, training.model.num_classes)
        self._evaluator = Evaluator([member], training.devices)
        self._cut = windows_of([training.preprocess])

    def run(self, variables: Any, advance: Callable[[int], object]) -> dict[str, float]:
        """{"loss", "top1", "top5"} of variables that lie on every device; tells the images of each batch."""
        size = eval_batch_size(self._config, self._evaluator.devices)
        process = Process(jax.process_index(), jax.process_count())
        batches = eval_batches(self._source, self._config, self._cut, self._bad_images, size, process)

        def advanced(images: int) -> None:
            heartbeat.progress()
            advance(images)

        heartbeat.pause()  # the first compiles
        return self._evaluator.run([variables], batches, advanced).values
