"""A report's numbers as CSV files, for spreadsheets and scripts."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from googlenet_jax.report.collect import Predictions
from googlenet_jax.report.sections import CLASS_COLUMNS
from googlenet_jax.system.tables import write_table

TABLES = ("classes", "confusion", "curves", "calibration", "mistakes", "suspects", "images")


def write_tables(directory: Path, data: dict[str, Any]) -> None:
    """Writes `classes.csv`, `confusion.csv`, `curves.csv`, `calibration.csv`, `suspects.csv` and `mistakes.csv`.

    Args:
      directory: the report's.
      data: the report's data.
    """
    labels: Sequence[str] = data["labels"]
    by_class = ([labels[row["class"]], *(row[name] for name in CLASS_COLUMNS)] for row in data["classes"])
    write_table(directory / "classes.csv", ("class", *CLASS_COLUMNS), by_class)
    counts = ([labels[true], labels[predicted], n] for true, predicted, n in data["confusion"]["counts"])
    write_table(directory / "confusion.csv", ("true", "predicted", "images"), counts)
    measured = ((curve, point) for curve in data["curves"] or () for point in curve["points"])
    points = ([c["run"], c["seeds"], c["split"], c["name"], *point] for c, point in measured)
    write_table(directory / "curves.csv", ("run", "seeds", "split", "name", "epoch", "value", "sd"), points)
    parts = ("before", "after")
    bins = ([when, *each.values()] for when in parts for each in data["calibration"][when]["bins"])
    write_table(directory / "calibration.csv", ("when", "confidence", "accuracy", "low", "high", "images"), bins)
    for name, more in (("mistakes", ()), ("suspects", ("suggested", "score"))):
        cards = (
            [card["name"], labels[card["true"]], labels[card["predicted"]], card["top"][0][1], *(card[m] for m in more)]
            for card in data[name]
        )
        write_table(directory / f"{name}.csv", ("image", "true", "predicted", "probability", *more), cards)


def write_images(directory: Path, labels: Sequence[str], names: Iterable[str], predictions: Predictions) -> None:
    """Writes `images.csv`: every image with its label, the likeliest class, and the probabilities of both.

    Args:
      directory: the report's.
      labels: class names.
      names: of the predictions' images, in their order.
      predictions: of them.
    """
    logs, true = predictions.log_probabilities, predictions.labels
    likeliest, every = logs.argmax(-1), np.arange(len(true))
    shares = [[f"{p:.4g}" for p in np.exp(logs[every, classes])] for classes in (true, likeliest)]
    rows = zip(names, (labels[c] for c in true), (labels[c] for c in likeliest), *shares, strict=True)
    write_table(
        directory / "images.csv", ("image", "true", "predicted", "probability_true", "probability_predicted"), rows
    )
