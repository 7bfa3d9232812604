"""What was measured, read back from `metrics.jsonl`."""

import math
from pathlib import Path
from typing import Any

from googlenet_jax.system.files import json_lines

Line = dict[str, Any]
METRICS = "metrics.jsonl"


def read_lines(run: Path) -> list[Line]:
    """The lines of a run's `metrics.jsonl`; one that a crash cut off, or that makes no sense, is left out."""
    return [line for line in json_lines(run / METRICS) if _makes_sense(line)]


def _makes_sense(line: Line) -> bool:
    known = (
        line.get("split") in ("train", "val") and type(line.get("step")) is int and {"epoch", "seconds"} <= line.keys()
    )
    return known and all(
        type(value) in (int, float) and math.isfinite(value) for name, value in line.items() if name != "split"
    )
