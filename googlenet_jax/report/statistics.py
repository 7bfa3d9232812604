"""How sure the numbers of a report are: intervals, tests, the table of classes, and how maps of pixels compare."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import special, stats

from googlenet_jax.evaluate.significance import SIGNIFICANT, holm

_ROWS = 4096  # of 1000 classes in float32: 16 MB


class Interval(NamedTuple):
    """A value and its confidence interval; None where there are too few images for it."""

    value: float | None
    low: float | None
    high: float | None


class Paired(NamedTuple):
    """Two networks on the same images.

    Attributes:
      only_a, only_b: images that one alone classifies rightly.
      both, neither: the others.
      p: McNemar's, that chance alone makes `only_a` and `only_b` differ as much or more, 0..1.
    """

    only_a: int
    only_b: int
    both: int
    neither: int
    p: float


class ClassRow(NamedTuple):
    """What became of the images of one class; None where there is nothing to divide by.

    Attributes:
      label: the class.
      n: its images.
      top1, top5: shares of them for which it is the likeliest, or among the five likeliest, 0..1.
      low, high: Wilson's 95 % interval of top1.
      precision: share of the images classified as it that are of it, 0..1.
      confidence: mean probability of the likeliest class, of its images, 0..1.
      outlier: "low" or "high" if its top1 surely differs from that of all other images; None if not.
    """

    label: int
    n: int
    top1: float | None
    low: float | None
    high: float | None
    top5: float | None
    precision: float | None
    confidence: float | None
    outlier: str | None


def in_chunks(array: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """A few thousand rows at a time, as float32: float16 is slow to compute with, and all at once need not fit.

    Args:
      array: (n, classes) array of floats.

    Yields:
      Which rows, and a (rows, classes) float32 array of their own that may be written to.
    """
    for start in range(0, len(array), _ROWS):
        rows = slice(start, min(start + _ROWS, len(array)))
        yield rows, array[rows].astype(np.float32)


def wilson(successes: np.ndarray | int, n: np.ndarray | int, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's score interval of a share (Wilson 1927): at 0 and 1, and for few images, still one that holds.

    (s + z²/2 ± z √(s (n - s) / n + z²/4)) / (n + z²), with z the normal quantile of (1 + level) / 2.

    Args:
      successes: integers, 0..n, of any shape.
      n: integers of a shape that broadcasts.
      level: of confidence, 0..1.

    Returns:
      low, high: float64 of the broadcast shape, 0..1; 0 and 1 where n is 0.
    """
    s, total = np.asarray(successes, np.float64), np.asarray(n, np.float64)
    z2 = float(special.ndtri((1 + level) / 2)) ** 2
    half = np.sqrt(z2 * (s * (total - s) / np.maximum(total, 1) + z2 / 4))
    low, high = (s + z2 / 2 - half) / (total + z2), (s + z2 / 2 + half) / (total + z2)
    # Rounding leaves 1e-17 where the formula has exactly 0 and 1.
    return np.where(s == 0, 0.0, low)[()], np.where(s == total, 1.0, high)[()]


def mean_interval(values: np.ndarray, level: float = 0.95) -> Interval:
    """A mean, as of the images' losses, with its normal interval: mean ± z · sd / √n.

    Args:
      values: (n,) finite floats.
      level: of confidence, 0..1.

    Returns:
      The mean with its interval, in the values' unit; no interval for n = 1, nothing for n = 0.
    """
    values = np.asarray(values, np.float64)
    if not len(values):
        return Interval(None, None, None)
    mean = float(values.mean())
    if len(values) == 1:
        return Interval(mean, None, None)
    half = float(special.ndtri((1 + level) / 2) * values.std(ddof=1) / np.sqrt(len(values)))
    return Interval(mean, mean - half, mean + half)


def mcnemar(right_a: np.ndarray, right_b: np.ndarray) -> Paired:
    """McNemar's test (1947) in its exact form: of the images that flip, as many one way as the other?

    Two-sided, binomial, not mid-p. Mid-p has more power where few images flip, but may find a difference that is none
    more often than its level says; here the answer reads "the other network is better", so it errs on the safe side.

    Args:
      right_a, right_b: (n,) booleans, whether each network classifies an image rightly; the same images in both.

    Returns:
      The counts and p, which is 1 where no image flips.
    """
    a, b = np.asarray(right_a, bool), np.asarray(right_b, bool)
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    flips = only_a + only_b
    p = float(stats.binomtest(only_a, flips).pvalue) if flips else 1.0
    return Paired(only_a, only_b, int((a & b).sum()), int((~a & ~b).sum()), p)


def ranks(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How many classes come before the label: 0 is a top-1 success, below 5 a top-5 success.

    Args:
      probabilities: (n, classes) floats, or anything that grows with them.
      labels: (n,) integers, 0..classes - 1.

    Returns:
      (n,) int64 array. 0 exactly where the label is the argmax. Otherwise it comes last among equals, as in
      `evaluate.metrics`: the many zeros of float16 are no success.
    """
    found = np.empty(len(labels), np.int64)
    for rows, chunk in in_chunks(probabilities):
        own = np.take_along_axis(chunk, labels[rows, None], 1)
        found[rows] = np.where(chunk.argmax(1) == labels[rows], 0, (~(chunk < own)).sum(1) - 1)
    return found


def by_class(probabilities: np.ndarray, labels: np.ndarray) -> list[ClassRow]:
    """The table of classes.

    A class is an outlier if its share of successes differs from that of all other images: Fisher's exact test, twice
    the smaller tail, with Holm's correction over the classes, at 5 %.

    Args:
      probabilities: (n, classes) floats, 0..1.
      labels: (n,) integers, 0..classes - 1.

    Returns:
      A row for each class, in order, also for those without images.
    """
    classes = probabilities.shape[1]
    rank, predicted = ranks(probabilities, labels), probabilities.argmax(1)
    n, chosen = np.bincount(labels, minlength=classes), np.bincount(predicted, minlength=classes)
    right = np.bincount(labels[rank == 0], minlength=classes)
    right5 = np.bincount(labels[rank < 5], minlength=classes)
    confidence = np.bincount(labels, probabilities.max(1).astype(np.float64), classes)
    low, high = wilson(right, n)
    outliers = _outliers(right, n)

    def share(count: np.ndarray, total: np.ndarray, i: int) -> float | None:
        return float(count[i] / total[i]) if total[i] else None

    return [
        ClassRow(
            label=i,
            n=int(n[i]),
            top1=share(right, n, i),
            low=float(low[i]) if n[i] else None,
            high=float(high[i]) if n[i] else None,
            top5=share(right5, n, i),
            precision=share(right, chosen, i),
            confidence=share(confidence, n, i),
            outlier=outliers[i],
        )
        for i in range(classes)
    ]


def _outliers(right: np.ndarray, n: np.ndarray) -> list[str | None]:
    found: list[str | None] = [None] * len(n)
    used = np.flatnonzero(n)
    if len(used) < 2:  # there are no other images
        return found
    # Given all successes, those of a class are hypergeometric if it is like the rest. `stats.fisher_exact` does the
    # same by class, 3 s for 1000.
    k, drawn, population = right[used], n[used], (int(n.sum()), int(right.sum()))
    below = stats.hypergeom.cdf(k, *population, drawn)
    above = stats.hypergeom.sf(k - 1, *population, drawn)
    p = holm(np.minimum(2 * np.minimum(below, above), 1))
    for i, corrected, is_low in zip(used, p, below < above, strict=True):
        if corrected < SIGNIFICANT:
            found[i] = "low" if is_low else "high"
    return found


def map_correlation(maps: np.ndarray, others: np.ndarray) -> float | None:
    """How alike maps are, as those of a trained network and of the same one with random weights (arXiv 1810.03292).

    Args:
      maps, others: (n, h, w) floats, of the same images in the same order.

    Returns:
      The mean of Pearson's n correlations, -1..1; maps that are the same everywhere have none and are left out. None if
      no pair is left.
    """
    found = []
    for one, other in zip(maps, others, strict=True):
        a, b = (np.asarray(each, np.float64).ravel() for each in (one, other))
        if np.ptp(a) and np.ptp(b):
            found.append(np.corrcoef(a, b)[0, 1])
    return float(np.mean(found)) if found else None
