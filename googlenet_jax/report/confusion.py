"""What is taken for what: confusions, an order of the classes in which they show, and labels that look wrong."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from googlenet_jax.report.statistics import in_chunks


class Cell(NamedTuple):
    """How many images of one class, n, were classified as another, or as itself."""

    true: int
    predicted: int
    n: int


class Pair(NamedTuple):
    """A confusion: a `Cell` off the diagonal, and its share of the images of the true class, 0..1."""

    true: int
    predicted: int
    n: int
    share: float


class Suspects(NamedTuple):
    """Images whose label looks wrong, the likeliest error first.

    Attributes:
      images: (k,) int64 array of their places.
      suggested: (k,) int64 array of the classes that they look like.
      score: (k,) float32 array, 0..1: how much more probable that class is than the label.
    """

    images: np.ndarray
    suggested: np.ndarray
    score: np.ndarray


def confusion(labels: np.ndarray, predicted: np.ndarray) -> list[Cell]:
    """The cells of the confusion matrix that are not 0, by row and column.

    Args:
      labels, predicted: (n,) integers, classes.
    """
    if not len(labels):
        return []
    places, counts = np.unique(np.stack([labels, predicted], 1), axis=0, return_counts=True)
    return [Cell(int(true), int(other), int(count)) for (true, other), count in zip(places, counts, strict=True)]


def confused_pairs(cells: Sequence[Cell], limit: int = 20) -> list[Pair]:
    """The confusions with the most images, of equal ones those with the larger share first.

    Args:
      cells: from `confusion`.
      limit: at most so many.
    """
    totals: dict[int, int] = {}
    for cell in cells:
        totals[cell.true] = totals.get(cell.true, 0) + cell.n
    pairs = [Pair(*cell, cell.n / totals[cell.true]) for cell in cells if cell.true != cell.predicted]
    return sorted(pairs, key=lambda pair: (-pair.n, -pair.share, pair.true, pair.predicted))[:limit]


def class_order(cells: Sequence[Cell], classes: int) -> list[int]:
    """An order of the classes in which those that are confused lie together.

    Average linkage, with 1 - (share of a's images taken for b + share of b's for a) / 2 as the distance of a and b. In
    its tree, from the leaves up, each two branches are turned so that the ends which meet are the closest of the four
    that can (Gruvaeus and Wainer 1972). 1000 classes take a tenth of a second.

    Args:
      cells: from `confusion`.
      classes: how many there are.

    Returns:
      Each class once.
    """
    if classes < 3:
        return list(range(classes))
    shares = np.zeros((classes, classes))
    for cell in cells:
        shares[cell.true, cell.predicted] = cell.n
    shares /= np.maximum(shares.sum(1, keepdims=True), 1)
    distances = 1 - (shares + shares.T) / 2
    np.fill_diagonal(distances, 0)
    tree = hierarchy.linkage(squareform(distances, checks=False), "average")
    # Not `hierarchy.optimal_leaf_ordering`: what it returns is not optimal (scipy#11227) but worse than this, and takes
    # seconds for 1000 classes.
    branches = {i: [i] for i in range(classes)}
    for number, (a, b) in enumerate(tree[:, :2].astype(int), classes):
        left, right = branches.pop(a), branches.pop(b)
        turns = [(one, other) for one in (left, left[::-1]) for other in (right, right[::-1])]
        one, other = min(turns, key=lambda turn: distances[turn[0][-1], turn[1][0]])
        branches[number] = one + other
    return next(iter(branches.values()))


def suspects(probabilities: np.ndarray, labels: np.ndarray) -> Suspects:
    """Labels that look wrong, by confident learning (arXiv 1911.00068, equations 1 and 2).

    A class's threshold is its mean probability among the images labelled as it. An image counts as the likeliest of
    those classes whose threshold it reaches. It is a suspect if that is not its label, and more probable than it.

    Args:
      probabilities: (n, classes) floats, 0..1, of images that the network was not trained on.
      labels: (n,) integers, 0..classes - 1.

    Returns:
      The suspects by normalised margin, p(suggested) - p(label). A class without images has no threshold and is never
      suggested.
    """
    n, classes = probabilities.shape
    own = np.take_along_axis(probabilities, labels[:, None], 1)[:, 0].astype(np.float32)
    counts = np.bincount(labels, minlength=classes)
    means = np.bincount(labels, own.astype(np.float64), classes) / np.maximum(counts, 1)
    # In float32 a probability that all of a class's images share must reach its own mean.
    thresholds = np.where(counts > 0, means * (1 - 1e-6), np.inf).astype(np.float32)
    suggested, score = np.empty(n, np.int64), np.empty(n, np.float32)
    for rows, chunk in in_chunks(probabilities):
        chunk[chunk < thresholds] = -1
        suggested[rows] = chunk.argmax(1)
        score[rows] = chunk.max(1) - own[rows]
    images = np.flatnonzero((score > 0) & (suggested != labels))
    images = images[np.argsort(-score[images], kind="stable")]
    return Suspects(images, suggested[images], score[images])
