"""What a writer is: it takes what is measured of a run. Each but the first here is a row of `config.choices.WRITERS`.

A line is what `metrics.jsonl` holds: {"step", "epoch", "split": "train" or "val", "seconds", and what was measured}.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from googlenet_jax.runs.lines import METRICS, Line, read_lines
from googlenet_jax.system.files import replace_file

_ABOUT = ("step", "epoch", "split", "seconds")


class Writer(Protocol):
    """Takes what is measured of a run from a step on.

    Args:
      run: the run directory, which has its `config.json`.
      step: that training goes on from; what was written of later ones is about to be trained again.
    """

    def __init__(self, run: Path, step: int): ...

    def write(self, line: Line) -> None:
        """Writes a line so that a crash of this process does not lose it; raises where it cannot."""

    def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        """Writes (h, w, 3) uint8 RGB images by name; a writer that has no place for them leaves them."""
        return

    def write_histograms(self, step: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Writes how values, all finite, are distributed in each array, none empty; otherwise as `write_images`."""
        return

    def close(self) -> None:
        """Ends what it holds open."""


class JsonLines(Writer):
    """`metrics.jsonl`: one JSON object a line."""

    def __init__(self, run: Path, step: int):
        path = run / METRICS
        kept = [line for line in read_lines(run) if line["step"] <= step]
        if path.exists():
            replace_file(path, "".join(json.dumps(line) + "\n" for line in kept))
        self._file = path.open("a")

    def write(self, line: Line) -> None:
        """As `Writer.write`."""
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def close(self) -> None:
        """As `Writer.close`."""
        self._file.close()


def scalars(line: Line) -> dict[str, float]:
    """What was measured in a line, by SPLIT/NAME."""
    return {f"{line['split']}/{name}": value for name, value in line.items() if name not in _ABOUT}
