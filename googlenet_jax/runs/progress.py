"""How far a training is, read from its run directory without JAX."""

import json
import math
from pathlib import Path
from typing import NamedTuple

from googlenet_jax.runs.lines import Line, read_lines


class Progress(NamedTuple):
    """How far a training is.

    Attributes:
      step: of the newest checkpoint; 0 before the first.
      epoch: the same in epochs.
      lines: what was measured up to there, in order.
    """

    step: int
    epoch: float
    lines: list[Line]

    def reached(self, epoch: float) -> bool:
        """Whether the newest checkpoint is of this epoch or a later one."""
        return self.step > 0 and epoch < math.inf and self.step >= self._step_at(epoch)

    def measured(self, split: str, name: str) -> list[tuple[float, float]]:
        """What was measured under a name: (epoch, value) in order."""
        return [(line["epoch"], line[name]) for line in self.lines if line["split"] == split and name in line]

    def last(self, split: str, name: str, until: float = float("inf")) -> float:
        """The newest measured value up to the step that ends an epoch; NaN if there is none, or it was not finite."""
        last = self.step if until == float("inf") else self._step_at(until)
        found = [line for line in self.lines if line["split"] == split and line["step"] <= last]
        return found[-1].get(name, math.nan) if found else math.nan

    def _step_at(self, epoch: float) -> int:
        """The step that ends an epoch, which may end within a batch."""
        return round(epoch * self.step / self.epoch) if self.step else 0


def read_progress(run: Path) -> Progress:
    """How far the training in a run directory is; nothing there is no progress.

    Args:
      run: the run directory, on this machine; a training may be writing to it.

    Returns:
      Its `Progress`. A checkpoint that is still being written does not count.
    """
    steps = [int(path.name) for path in (run / "checkpoints").glob("*") if path.name.isdecimal()]
    for step in sorted(steps, reverse=True):
        try:
            epoch = float(json.loads((run / "checkpoints" / str(step) / "meta" / "metadata").read_text())["epoch"])
        except (OSError, ValueError, LookupError, TypeError, RecursionError):  # it is being removed, or damaged
            continue
        if 0 < epoch < math.inf:
            return Progress(step, epoch, [line for line in read_lines(run) if line["step"] <= step])
    return Progress(0, 0.0, [])
