"""What a run's own files tell: its recipe, its time, its curves."""

from pathlib import Path
from typing import Any

import ml_collections

from googlenet_jax.config import default_config
from googlenet_jax.config.checks import differences
from googlenet_jax.runs.lines import Line, read_lines

_CURVES = ("top1", "top5", "loss", "learning_rate", "gradient_norm", "loss_scale", "skipped", "images_per_second")
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
    rates = sorted(line["images_per_second"] for line in trained if "images_per_second" in line)
    return {
        "epochs": max((line["epoch"] for line in lines), default=None),
        "hours": max((line["seconds"] for line in lines), default=0) / 3600 if lines else None,
        "images_per_second": rates[len(rates) // 2] if rates else None,
        "repeat": f"python launch.py --config {run / 'config.json'}" if (run / "config.json").is_file() else None,
    }


def curves(run: Path, name: str) -> list[dict[str, Any]]:
    """A run's curves by epoch.

    Args:
      run: its directory.
      name: that the report calls it.

    Returns:
      {"name", "split", "run", "points": [[epoch, value], ...]} each; what does not vary from 0 is left out.
    """
    lines = read_lines(run)
    found = []
    for split in ("train", "val"):
        own = [line for line in lines if line["split"] == split]
        for field in _CURVES:
            points = _points(own, field)
            if points and any(value for _, value in points):
                found.append({"name": field, "split": split, "run": name, "points": points})
    return found


def _points(lines: list[Line], field: str) -> list[list[float]]:
    points = [[round(line["epoch"], 4), float(f"{line[field]:.6g}")] for line in lines if field in line]
    step = -(-len(points) // _MOST_POINTS)
    return points[::-step][::-1] if step > 1 else points  # the last one stays
