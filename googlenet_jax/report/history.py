"""What a run's own files tell: its recipe, its time, its curves."""

import itertools
import shlex
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ml_collections

from googlenet_jax.config import default_config
from googlenet_jax.config.checks import differences
from googlenet_jax.config.fields import flatten
from googlenet_jax.config.from_json import read_json
from googlenet_jax.runs.directory import CONFIG
from googlenet_jax.runs.lines import Line, read_lines

_CURVES = ("top1", "top5", "loss", "learning_rate", "gradient_norm", "loss_scale", "skipped_steps", "images_per_second")
_MOST_POINTS = 400  # of a curve


def recipe(config: ml_collections.ConfigDict) -> list[dict[str, str]]:
    """The fields that differ from their defaults."""
    changes = differences(default_config(), config)
    return [{"field": name, "value": _text(new), "default": _text(old)} for name, (old, new) in sorted(changes.items())]


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def facts(run: Path) -> dict[str, Any]:
    """Epochs, hours and images a second of a run; None where nothing was written of it."""
    lines = read_lines(run)
    trained = [line for line in lines if line["split"] == "train"]
    rates = [line["images_per_second"] for line in trained if "images_per_second" in line]
    return {
        "epochs": max((line["epoch"] for line in lines), default=None),
        "hours": max((line["seconds"] for line in lines), default=0) / 3600 if lines else None,
        "images_per_second": statistics.median(rates) if rates else None,
        "repeat": shlex.join(["python", "launch.py", "--config", str(run / CONFIG)])
        if (run / CONFIG).is_file()
        else None,
    }


def curves(runs: Sequence[Path], baseline: Path | None = None) -> list[dict[str, Any]]:
    """Curves of runs by epoch; those that differ in their seed alone become one, their mean.

    Args:
      runs: their directories.
      baseline: likewise, of a run that stays by itself.

    Returns:
      {"name", "split", "run", "seeds", "points": [[epoch, value], ...]} each; of several seeds [epoch, mean, sd], sd
      that of a sample, where each of them was measured. What does not vary from 0 is left out.
    """
    groups: dict[str, list[Path]] = {}
    for run in runs:
        groups.setdefault(_seedless(run), []).append(run)
    parts = [*groups.values(), *([[baseline]] if baseline else [])]
    names = [members[0].name for members in parts]
    found = []
    for members, name in zip(parts, names, strict=True):
        about = {"run": name if names.count(name) == 1 else str(members[0]), "seeds": len(members)}
        lines = [read_lines(run) for run in members]
        for split, field in itertools.product(("train", "val"), _CURVES):
            points = _points([[line for line in own if line["split"] == split] for own in lines], field)
            if any(point[1] for point in points):
                found.append({"name": field, "split": split, **about, "points": points})
    return found


def _seedless(run: Path) -> str:
    """A run's recipe but for its seed; of one that does not tell, the run itself."""
    if not (run / CONFIG).is_file():
        return str(run)
    return repr(flatten(read_json(run / CONFIG)) | {"seed": None})


def _points(runs: list[list[Line]], field: str) -> list[list[float]]:
    measured = [{round(line["epoch"], 4): line[field] for line in lines if field in line} for lines in runs]
    points = []
    for epoch in measured[0]:
        values = [own[epoch] for own in measured if epoch in own]
        if len(values) == len(runs):
            spread = [statistics.stdev(values)] if len(runs) > 1 else []
            points.append([epoch, *(float(f"{value:.6g}") for value in (statistics.fmean(values), *spread))])
    step = -(-len(points) // _MOST_POINTS)
    return points[::-step][::-1] if step > 1 else points  # the last one stays
