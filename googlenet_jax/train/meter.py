"""What is measured of a training between two lines of metrics: on the device, and by the clock."""

import math
import time

import jax
import numpy as np

from googlenet_jax.train.setup import Training
from googlenet_jax.train.state import Measured, TrainState


class Meter:
    """Reads the device's measurements, and the speed since the last reading.

    Args:
      training: that is measured.
      step: that it begins after.
    """

    def __init__(self, training: Training, step: int):
        self._training = training
        self.restart(step)

    def restart(self, step: int) -> None:
        """Begins anew after this step, so that what happened meanwhile does not count."""
        self._since, self._step = time.monotonic(), step

    def read(self, measured: Measured, state: TrainState, step: int) -> dict[str, float]:
        """Waits for the device, here and only here.

        Args:
          measured: by the steps since the last reading.
          state: after the last of them.
          step: its number.

        Returns:
          Means over the images ("loss", "top1", "top5"), "gradient_norm" as a mean over the steps, "parameter_norm",
          "learning_rate" and "images_per_second"; of a dynamically scaled loss "loss_scale"; of steps that were skipped
          "skipped_steps" and, if the last were, "skipped_in_a_row".
        """
        values = {name: float(value) for name, value in measured.metrics.compute().items()}
        speed = (step - self._step) * self._training.config.batch_size / (time.monotonic() - self._since)
        squares = [np.square(leaf, dtype=np.float64).sum() for leaf in jax.tree.leaves(state.variables["params"])]
        values |= {
            "gradient_norm": float(measured.norm) / int(measured.steps) if int(measured.steps) else math.nan,
            "parameter_norm": float(np.sqrt(sum(squares))),
            "learning_rate": float(self._training.schedule(step - 1)),
            "images_per_second": round(speed, 1),
        }
        scale = state.loss_scale
        if scale.growth_steps:
            values["loss_scale"] = float(scale.scale)
        skipped = {"skipped_steps": int(scale.skipped), "skipped_in_a_row": int(scale.skipped_in_a_row)}
        return values | {name: count for name, count in skipped.items() if count}
