"""Epochs and steps: when a training is over, and when something is due."""

from typing import NamedTuple

from googlenet_jax.errors import UserError


class Calendar(NamedTuple):
    """The steps of a training.

    Attributes:
      steps_per_epoch: need not be whole: an epoch ends in the middle of a batch.
      total: steps in all.
    """

    steps_per_epoch: float
    total: int

    def epoch(self, step: int) -> float:
        """A step in epochs."""
        return step / self.steps_per_epoch

    def due(self, step: int, every_epochs: float) -> bool:
        """Whether what happens every so many epochs, and at the end, happens after this step; 0: at the end alone."""
        interval = every_epochs * self.steps_per_epoch
        return step == self.total or (interval > 0 and round(max(round(step / interval), 1) * interval) == step)

    def end(self, until: float | None) -> int:
        """The step to train up to: an epoch's, or None for the last."""
        return self.total if until is None else min(max(round(until * self.steps_per_epoch), 1), self.total)


def make_calendar(num_epochs: float, num_images: int, batch_size: int) -> Calendar:
    """The calendar of a training; raises `UserError` if it has not a single step."""
    steps_per_epoch = num_images / batch_size
    total = round(num_epochs * steps_per_epoch)
    if total < 1:
        raise UserError(f"config.num_epochs={num_epochs} is less than one step of {batch_size} images")
    return Calendar(steps_per_epoch, total)
