"""Whether a network's probabilities are to be believed, and the temperature that makes them more so."""

import itertools
from typing import NamedTuple

import numpy as np
from scipy import optimize, special

from googlenet_jax.report.statistics import in_chunks, wilson

TEMPERATURES = (0.05, 20.0)
_FLOOR = np.float32(np.log(1e-30))  # what is less probable counts as this: the logarithm of 0 would decide alone


class Bin(NamedTuple):
    """Images of about the same confidence.

    Attributes:
      confidence: mean probability of the likeliest class, 0..1.
      accuracy: share for which it is the label, 0..1.
      low, high: Wilson's 95 % interval of the accuracy.
      n: images.
    """

    confidence: float
    accuracy: float
    low: float
    high: float
    n: int


class Calibration(NamedTuple):
    """How well probabilities agree with what happens.

    Attributes:
      ece: expected calibration error, Σ n_b / n · |accuracy_b - confidence_b|, 0..1 (arXiv 1706.04599, equation 3).
        Noise alone makes it a little larger than 0.
      brier: mean of Σ_classes (p - [class is the label])², 0..2 (Brier 1950).
      nll: mean of -ln p(label), in nats.
      bins: the least confident first.
    """

    ece: float
    brier: float
    nll: float
    bins: list[Bin]


def calibration(probabilities: np.ndarray, labels: np.ndarray) -> Calibration:
    """Calibration of the likeliest class, in bins of about equally many images.

    There are n^(1/3) bins, at least 5 and at most 25, fewer where many confidences are equal: equal ones are in one
    bin, so that the result does not depend on the images' order and confidence 1 has no bin of its own past the last.

    Args:
      probabilities: (n, classes) float16, float32 or float64, 0..1, n >= 1.
      labels: (n,) integers, 0..classes - 1.

    Returns:
      `Calibration`. A probability of 0 for the label counts as the smallest that the type can hold: 6e-8 for float16.

    Raises:
      ValueError: if there are no images.
    """
    n = len(labels)
    if not n:
        raise ValueError("no images")
    least = np.finfo(probabilities.dtype).smallest_subnormal
    confidence, right = np.empty(n), np.empty(n, bool)
    brier = nll = 0.0
    for rows, chunk in in_chunks(probabilities):
        predicted = chunk.argmax(1)
        confidence[rows] = np.take_along_axis(chunk, predicted[:, None], 1)[:, 0]
        right[rows] = predicted == labels[rows]
        own = np.take_along_axis(chunk, labels[rows, None], 1)[:, 0].astype(np.float64)
        brier += float((np.square(chunk).sum(1, dtype=np.float64) - 2 * own + 1).sum())
        nll -= float(np.log(np.maximum(own, least)).sum())
    bins = equal_mass_bins(confidence, right)
    ece = sum(each.n * abs(each.accuracy - each.confidence) for each in bins) / n
    return Calibration(ece, brier / n, nll / n, bins)


def equal_mass_bins(confidence: np.ndarray, right: np.ndarray) -> list[Bin]:
    """Images in bins of about equally many, by confidence; see `calibration`.

    Args:
      confidence: (n,) floats, 0..1, n >= 1.
      right: (n,) booleans.
    """
    order = np.argsort(confidence, kind="stable")
    confidence, right = np.asarray(confidence, np.float64)[order], np.asarray(right, bool)[order]
    n = len(order)
    count = min(max(round(n ** (1 / 3)), 5), 25)
    cuts = confidence[np.arange(count) * n // count]
    # From the first of the equal ones on: an edge between them would part them by the order of the images.
    edges = [*np.unique(np.searchsorted(confidence, cuts, "left")), n]
    found = []
    for start, end in itertools.pairwise(edges):
        low, high = wilson(right[start:end].sum(), end - start)
        accuracy = float(right[start:end].mean())
        found.append(Bin(float(confidence[start:end].mean()), accuracy, float(low), float(high), int(end - start)))
    return found


def fit_temperature(log_probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The temperature that makes the labels likeliest (arXiv 1706.04599, section 4.2).

    softmax(z / T) with the least mean of -ln p(label). Log-probabilities do as logits: they differ from them by the
    same number in all classes, which softmax does not see. 100 MB of float16 take 300 MB more.

    Args:
      log_probabilities: (n, classes) float16, float32 or float64, of a softmax at temperature 1; -inf counts as
        ln 1e-30.
      labels: (n,) integers, 0..classes - 1.

    Returns:
      T, within `TEMPERATURES`: above 1 the network was too sure; 1 without images.
    """
    if not len(labels):
        return 1.0
    parts = []
    for rows, chunk in in_chunks(log_probabilities):
        chunk -= chunk.max(1, keepdims=True)  # so that no sum of exponentials is 0 or overflows at any temperature
        np.maximum(chunk, _FLOOR, out=chunk)
        parts.append((chunk, np.take_along_axis(chunk, labels[rows, None], 1)[:, 0].astype(np.float64)))

    def loss(log_temperature: float) -> float:
        factor = float(np.exp(-log_temperature))
        total = 0.0
        for chunk, own in parts:
            scaled = chunk * np.float32(factor)
            np.exp(scaled, out=scaled)
            total += float((np.log(scaled.sum(1, dtype=np.float64)) - own * factor).sum())
        return total / len(labels)

    # The loss is convex in 1 / T, so that in ln T, too, it falls and then rises.
    bounds = tuple(np.log(TEMPERATURES))
    return float(np.exp(optimize.minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-3}).x))


def tempered(log_probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Log-probabilities at another temperature: log softmax(z / T).

    Args:
      log_probabilities: (n, classes) float16, float32 or float64, at temperature 1.
      temperature: T, above 0.

    Returns:
      An array of the same shape and type.
    """
    found = np.empty_like(log_probabilities)
    for rows, chunk in in_chunks(log_probabilities):
        found[rows] = special.log_softmax(chunk / np.float32(temperature), axis=1)
    return found
