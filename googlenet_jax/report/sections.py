"""The sections of a report that follow from the predictions alone."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from googlenet_jax.report import calibration, confusion, statistics
from googlenet_jax.report.cards import Cards
from googlenet_jax.report.collect import Predictions

CLASS_COLUMNS = ("n", "top1", "low", "high", "top5", "precision", "confidence", "outlier")
_MISTAKES, _UNCERTAIN, _SUSPECTS, _PAIRS, _EXAMPLES, _FLIPS = 24, 12, 24, 20, 3, 12
_FEWEST_EXAMPLES, _MOST_EXAMPLES = 200, 600  # of all cells together: of 2 to 4 KB each, and 3 ms


class Choice:
    """Which images a report shows, and how they come into its sections.

    Args:
      predictions: of the images.
    """

    def __init__(self, predictions: Predictions):
        logs, labels = predictions.log_probabilities, predictions.labels
        self.predictions, self.labels = predictions, labels
        self.predicted = logs.argmax(-1)
        self.right = self.predicted == labels
        confidence = np.exp(logs.max(-1))
        self.losses = -logs[np.arange(len(labels)), labels].astype(np.float64)
        wrong = np.flatnonzero(~self.right)
        self.mistakes = wrong[np.argsort(-confidence[wrong], kind="stable")][:_MISTAKES]
        self.uncertain = np.argsort(confidence, kind="stable")[:_UNCERTAIN]
        self.cells = confusion.confusion(labels, self.predicted)
        self.pairs = confusion.confused_pairs(self.cells, _PAIRS)
        self.examples = self._examples(confidence)
        # Of right and wrong ones some of all classes.
        self.shown_right = _spread_over_classes(np.flatnonzero(self.right), labels, 8)
        self.shown_wrong = _spread_over_classes(wrong, labels, 8)

    @functools.cached_property
    def probabilities(self) -> np.ndarray:
        """(n, classes) float32; as large as the predictions, and not asked for of a baseline."""
        return np.exp(self.predictions.log_probabilities)

    @functools.cached_property
    def suspects(self) -> confusion.Suspects:
        """Labels that look wrong."""
        return confusion.suspects(self.probabilities, self.labels)

    def _examples(self, confidence: np.ndarray) -> list[tuple[confusion.Cell, np.ndarray]]:
        """Of cells those images that it is most sure of, of the largest confusions first, as far as a page has room."""
        room = min(max(len(self.labels) // 15, _FEWEST_EXAMPLES), _MOST_EXAMPLES)
        by_cell = np.lexsort((-confidence, self.predicted, self.labels))  # in the order of the cells
        starts = np.cumsum([0, *(cell.n for cell in self.cells)])
        found = []
        for k in sorted(range(len(self.cells)), key=lambda k: (len(set(self.cells[k][:2])) == 1, -self.cells[k].n)):
            rows = by_cell[starts[k] : starts[k + 1]][: min(_EXAMPLES, room)]
            room -= len(rows)
            if len(rows):
                found.append((self.cells[k], rows))
        return found

    def rows(self) -> np.ndarray:
        """All rows whose cards name the nearest training image."""
        return np.unique(np.concatenate([self.mistakes, self.uncertain, self.suspects.images[:_SUSPECTS]]).astype(int))


def _spread_over_classes(rows: np.ndarray, labels: np.ndarray, most: int) -> np.ndarray:
    """Some rows, of as many classes as there are."""
    rng = np.random.default_rng(0)
    shuffled = rng.permutation(rows)
    turn = np.zeros(len(shuffled), int)  # how many of its class come before each
    seen: dict[int, int] = {}
    for place, row in enumerate(shuffled):
        turn[place] = seen.get(int(labels[row]), 0)
        seen[int(labels[row])] = turn[place] + 1
    return shuffled[np.argsort(turn, kind="stable")][:most]


def rates(choice: Choice) -> dict[str, Any]:
    """Top-1, top-5 and loss with their intervals."""
    n = len(choice.labels)
    top5 = statistics.ranks(choice.predictions.log_probabilities, choice.labels) < 5
    found: dict[str, Any] = {}
    for name, right in (("top1", choice.right), ("top5", top5)):
        low, high = statistics.wilson(int(right.sum()), n)
        found[name] = {"value": float(right.mean()), "low": float(low), "high": float(high)}
    return found | {"loss": statistics.mean_interval(choice.losses)._asdict()}


def classes(choice: Choice) -> list[dict[str, Any]]:
    """A row a class."""
    rows = statistics.by_class(choice.probabilities, choice.labels)
    return [{"class": row.label} | {name: row._asdict()[name] for name in CLASS_COLUMNS} for row in rows]


def confusions(choice: Choice, cards: Cards) -> dict[str, Any]:
    """The matrix, the pairs that are confused most, and examples of cells as [true, predicted, cards]."""
    pairs = [{"true": p.true, "predicted": p.predicted, "count": p.n, "share": p.share} for p in choice.pairs]
    examples = [[cell.true, cell.predicted, cards.all(rows)] for cell, rows in choice.examples]
    order = confusion.class_order(choice.cells, choice.probabilities.shape[1])
    return {"order": order, "counts": [list(cell) for cell in choice.cells], "pairs": pairs, "examples": examples}


def suspicious(choice: Choice, cards: Cards) -> list[dict[str, Any]]:
    """Labels that look wrong."""
    found = zip(choice.suspects.images, choice.suspects.suggested, choice.suspects.score, strict=True)
    return [cards(int(row), suggested=int(to), score=float(score)) for row, to, score in list(found)[:_SUSPECTS]]


def calibrations(choice: Choice) -> dict[str, Any]:
    """Before and after a temperature that was fitted on every second image, on the others."""
    logs, labels = choice.predictions.log_probabilities, choice.labels
    fitted, measured = slice(0, None, 2), slice(1, None, 2)
    if len(labels) < 2:
        measured = fitted
    temperature = calibration.fit_temperature(logs[fitted], labels[fitted])
    after = calibration.tempered(logs[measured], temperature)
    np.exp(after, out=after)
    return {
        "before": _calibration(choice.probabilities[measured], labels[measured]),
        "after": _calibration(after, labels[measured]),
        "temperature": temperature,
        "fitted_on": len(labels[fitted]),
        "measured_on": len(labels[measured]),
    }


def _calibration(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    found = calibration.calibration(probabilities, labels)
    return found._asdict() | {"bins": [each._asdict() for each in found.bins]}


def against(choice: Choice, other: Choice, cards: Cards) -> dict[str, Any]:
    """This network beside another on the same images: McNemar's test, and the images that flipped.

    Args:
      choice: of this network.
      other: of the baseline, on the same source.
      cards: of this network's images.

    Returns:
      The numbers, and "gained" and "lost", cards with the baseline's class.
    """
    common, mine, theirs = np.intersect1d(choice.predictions.places, other.predictions.places, return_indices=True)
    right, before = choice.right[mine], other.right[theirs]
    paired = statistics.mcnemar(right, before)
    flips: dict[str, Sequence[dict[str, Any]]] = {}
    for name, rows in (("gained", np.flatnonzero(right & ~before)), ("lost", np.flatnonzero(~right & before))):
        chosen = _spread_over_classes(rows, choice.labels[mine], _FLIPS)
        flips[name] = [cards(int(mine[i]), baseline=int(other.predicted[theirs[i]])) for i in chosen]
    names = ("only_this", "only_baseline", "both", "neither", "p")
    return {"images": len(common)} | dict(zip(names, paired, strict=True)) | flips
