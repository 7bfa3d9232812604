"""The validation set, evaluated while training, and what is shown of it."""

from collections.abc import Callable, Sequence
from typing import Any

import jax

from googlenet_jax.data.bad_images import BadImageLog
from googlenet_jax.data.loader import Process, eval_batches
from googlenet_jax.data.sources.base import Source
from googlenet_jax.evaluate.evaluator import Evaluator, Member, eval_batch_size, windows_of
from googlenet_jax.runs.directory import RunDirectory
from googlenet_jax.system import heartbeat
from googlenet_jax.train.histograms import IMAGES, Histograms
from googlenet_jax.train.sample import Sample
from googlenet_jax.train.setup import Training


class Validation:
    """Evaluates a training's network on validation images; compiles once.

    Args:
      source: the images.
      training: whose configuration, network, preprocessing and devices are used.
      bad_images: told of what cannot be read.
      names: of the network's outputs.
    """

    def __init__(self, source: Source, training: Training, bad_images: BadImageLog, names: Sequence[str]):
        self._source, self._config, self._bad_images, self._names = source, training.config, bad_images, names
        member = Member(training.model, training.preprocess, training.model.num_classes)
        self._evaluator = Evaluator([member], training.devices)
        self._cut = windows_of([training.preprocess])
        self._histograms = Histograms(training) if training.config.eval.histograms else None
        self._sample = Sample(0, 0)

    def run(self, variables: Any, advance: Callable[[int], object]) -> dict[str, float]:
        """{"loss", "top1", "top5"} of variables that lie on every device; tells the images of each batch."""
        size = eval_batch_size(self._config, self._evaluator.devices)
        process = Process(jax.process_index(), jax.process_count())
        batches = eval_batches(self._source, self._config, self._cut, self._bad_images, size, process)

        def advanced(images: int) -> None:
            heartbeat.progress()
            advance(images)

        heartbeat.pause()  # the first compiles
        few = max(self._config.eval.show_images, IMAGES)  # the same with histograms as without
        self._sample = Sample(len(self._source) // process.count, few)
        return self._evaluator.run([variables], batches, advanced, self._sample.take).values

    def show(self, variables: Any, run: RunDirectory, step: int) -> None:
        """Gives a run's writers what the last evaluation, of these variables after this step, has beside numbers."""
        if not run.writes or not len(self._sample):
            return
        heartbeat.pause()  # the first compiles
        run.write_images(step, self._sample.pictures(self._names, self._config.eval.show_images))
        if self._histograms is not None:
            run.write_histograms(step, self._histograms.gather(variables, self._sample.crops))
