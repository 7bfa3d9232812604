"""Intervals, tests and the table of classes, against scipy, scikit-learn and numbers worked out by hand."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from googlenet_jax.report.statistics import (
    by_class,
    in_chunks,
    map_correlation,
    mcnemar,
    mean_interval,
    ranks,
    wilson,
)


def test_wilsons_interval_is_scipys():
    for successes, n in [(0, 7), (1, 7), (7, 7), (390, 500), (39_000, 50_000)]:
        for level in (0.95, 0.99):
            expected = stats.binomtest(successes, n).proportion_ci(level, method="wilson")
            assert wilson(successes, n, level) == pytest.approx((expected.low, expected.high), abs=1e-12)
    low, high = wilson(np.array([0, 3, 5]), np.array([0, 5, 5]))
    assert (low[0], high[0]) == (0, 1)  # no images say nothing
    assert (high[2], wilson(0, 9)[0]) == (1, 0)  # exactly


def test_wilsons_interval_covers_what_it_should():
    found = np.random.default_rng(0).binomial(30, 0.9, 20_000)
    low, high = wilson(found, 30)
    assert np.mean((low <= 0.9) & (high >= 0.9)) == pytest.approx(0.95, abs=0.03)


def test_mean_interval_by_hand():
    assert mean_interval(np.array([1, 2, 3], np.float16)) == pytest.approx(
        (2, 2 - 1.96 / 3**0.5, 2 + 1.96 / 3**0.5), abs=1e-4
    )
    values = np.random.default_rng(0).exponential(size=500)
    assert mean_interval(values, 0.9)[1:] == pytest.approx(stats.norm.interval(0.9, values.mean(), stats.sem(values)))
    assert mean_interval(np.array([0.5])) == (0.5, None, None)
    assert mean_interval(np.array([])) == (None, None, None)


def test_mcnemar_by_hand():
    # Of 10 images that flip, 9 flip one way: 2 (1 + 10) / 2^10.
    a = np.array([1] * 9 + [0] + [1] * 20 + [0] * 5, bool)
    b = np.array([0] * 9 + [1] + [1] * 20 + [0] * 5, bool)
    assert mcnemar(a, b) == (9, 1, 20, 5, pytest.approx(22 / 1024))
    assert mcnemar(b, a) == (1, 9, 20, 5, pytest.approx(22 / 1024))
    assert mcnemar(a, a) == (0, 0, 29, 6, 1)  # the same network twice


def test_mcnemar_seldom_finds_a_difference_that_is_none():
    rng = np.random.default_rng(0)
    hard = rng.random(400) < 0.2  # images that flip at random, the others are right in both
    p = [mcnemar(~hard | (rng.random(400) < 0.5), ~hard | (rng.random(400) < 0.5)).p for _ in range(300)]
    assert np.mean(np.array(p) < 0.05) <= 0.05
    assert mcnemar(~hard, ~hard | (rng.random(400) < 0.5)).p < 1e-6


def softmax(logits):
    exps = np.exp(logits - logits.max(1, keepdims=True))
    return exps / exps.sum(1, keepdims=True)


def test_ranks_are_scikit_learns():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 20, 9000)  # more than one chunk
    probabilities = softmax(rng.normal(size=(9000, 20)) + 2 * np.eye(20)[labels])
    found = ranks(probabilities, labels)
    for k in (1, 5):
        expected = metrics.top_k_accuracy_score(labels, probabilities, k=k, labels=np.arange(20))
        assert np.mean(found < k) == pytest.approx(expected)
    assert sum(len(chunk) for _, chunk in in_chunks(probabilities)) == 9000


def test_the_zeros_of_float16_are_no_success():
    assert list(ranks(np.float16([[0, 0, 0, 0, 0, 0, 1]] * 2), np.array([0, 6]))) == [6, 0]
    assert list(ranks(np.float16([[0.5, 0.5, 0]] * 2), np.array([0, 1]))) == [0, 1]  # as argmax has it


def test_the_table_of_classes_by_hand():
    # Six classes; none of the images is of class 3, and none is classified as 4 or 5.
    probabilities = np.array(
        [
            [0.5, 0.3, 0.2, 0, 0, 0],
            [0.2, 0.6, 0.1, 0.1, 0, 0],
            [0.1, 0.7, 0.1, 0.1, 0, 0],
            [0.0, 0.1, 0.9, 0, 0, 0],
            [0.3, 0.2, 0.2, 0.2, 0, 0.1],
        ],
        np.float32,
    )
    rows = by_class(probabilities, np.array([0, 0, 1, 2, 4]))
    assert [row.label for row in rows] == list(range(6))
    assert [row.n for row in rows] == [2, 1, 1, 0, 1, 0]
    assert [row.top1 for row in rows] == [0.5, 1, 1, None, 0, None]
    assert [row.top5 for row in rows] == [1, 1, 1, None, 0, None]
    assert [row.precision for row in rows] == [0.5, 0.5, 1, None, None, None]
    assert rows[0].confidence == pytest.approx(0.55)
    assert (rows[0].low, rows[0].high) == pytest.approx(tuple(stats.binomtest(1, 2).proportion_ci(method="wilson")))
    assert (rows[3].low, rows[3].confidence) == (None, None)
    assert {row.outlier for row in rows} == {None}


def test_precision_and_recall_are_scikit_learns():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 7, 500)
    probabilities = softmax(rng.normal(size=(500, 7)) + np.eye(7)[labels])
    rows, predicted = by_class(probabilities, labels), probabilities.argmax(1)
    assert [row.precision for row in rows] == pytest.approx(metrics.precision_score(labels, predicted, average=None))
    assert [row.top1 for row in rows] == pytest.approx(metrics.recall_score(labels, predicted, average=None))


def outliers(right, n):
    """Of classes with so many images, of which so many are classified rightly, and the others as class 0 or 1."""
    labels = np.repeat(np.arange(len(n)), n)
    hit = np.concatenate([np.arange(total) < count for count, total in zip(right, n, strict=True)])
    return [row.outlier for row in by_class(np.eye(max(len(n), 2))[np.where(hit, labels, labels == 0)], labels)]


def test_outliers_are_those_that_differ_from_the_rest():
    assert outliers([70, 72, 40, 68, 99], [100] * 5) == [None, None, "low", None, "high"]
    # Fisher's test, one-sided and doubled, five classes: class 2 is just beyond, or just within.
    for right in (50, 51, 52, 53, 54, 55, 56):
        p = 2 * stats.fisher_exact([[right, 100 - right], [280, 120]], "less").pvalue
        assert outliers([70, 70, right, 70, 70], [100] * 5)[2] == ("low" if 5 * p < 0.05 else None)


def test_chance_makes_no_outliers():
    rng = np.random.default_rng(0)
    assert outliers(rng.binomial(50, 0.7, 300), [50] * 300) == [None] * 300
    assert outliers([3], [5]) == [None, None]  # there is no rest


def test_maps_correlate_as_scipy_says():
    rng = np.random.default_rng(0)
    maps, noise = rng.random((3, 7, 7)), rng.random((3, 7, 7))
    pairs = list(zip(maps.reshape(3, -1), noise.reshape(3, -1), strict=True))
    assert map_correlation(maps, noise) == pytest.approx(np.mean([stats.pearsonr(*pair).statistic for pair in pairs]))
    assert map_correlation(maps, -maps) == pytest.approx(-1)
    flat = np.concatenate([maps[:1], np.ones((2, 7, 7))])
    assert map_correlation(flat, maps) == pytest.approx(1)
    assert map_correlation(flat[1:], maps[1:]) is None
