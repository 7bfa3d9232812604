"""Calibration and temperature, against scikit-learn and against what was planted."""

import tracemalloc

import numpy as np
import pytest
from scipy import special, stats
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

from googlenet_jax.report import sections
from googlenet_jax.report.calibration import TEMPERATURES, calibration, equal_mass_bins, fit_temperature, tempered
from googlenet_jax.report.collect import Predictions


def planted(n, classes, temperature=1.0, seed=0):
    """Log-probabilities that are too sure by a temperature, and labels drawn from what they should be."""
    rng = np.random.default_rng(seed)
    true = special.log_softmax(2 * rng.normal(size=(n, classes)).astype(np.float32), axis=1)
    labels = (true + rng.gumbel(size=true.shape).astype(np.float32)).argmax(1)
    return special.log_softmax(true * temperature, axis=1), labels


def test_brier_and_nll_are_scikit_learns():
    log_probabilities, labels = planted(5000, 10, 1.7)
    probabilities = np.exp(log_probabilities)
    found = calibration(probabilities, labels)
    assert found.nll == pytest.approx(log_loss(labels, probabilities), rel=1e-5)
    expected = brier_score_loss(labels, probabilities, scale_by_half=False, labels=np.arange(10))
    assert found.brier == pytest.approx(expected, rel=1e-5)
    half = calibration(probabilities.astype(np.float16), labels)
    assert (half.nll, half.brier, half.ece) == pytest.approx((found.nll, found.brier, found.ece), abs=1e-3)


def test_bins_are_scikit_learns():
    log_probabilities, labels = planted(4096, 10, 1.7)
    probabilities = np.exp(log_probabilities).astype(np.float64)
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    bins = equal_mass_bins(confidence, right)
    assert len(bins) == 16  # the cube root of 4096
    accuracy, mean = calibration_curve(right, confidence, n_bins=16, strategy="quantile")
    assert [each.accuracy for each in bins] == pytest.approx(accuracy, abs=0.006)  # an image may change sides
    assert [each.confidence for each in bins] == pytest.approx(mean, abs=0.001)
    assert {each.n for each in bins} == {256}
    for each in bins:
        expected = stats.binomtest(round(each.accuracy * each.n), each.n).proportion_ci(method="wilson")
        assert (each.low, each.high) == pytest.approx((expected.low, expected.high))


def test_the_calibration_error_by_hand():
    confidence = np.repeat([0.3, 0.5, 0.6, 0.8, 0.9], 2)
    right = np.array([0, 0, 0, 1, 1, 1, 0, 1, 1, 1], bool)
    probabilities = np.stack([confidence, 1 - confidence - 0.05, np.full(10, 0.05)], 1)
    probabilities[:2] = [0.3, 0.29, 0.28]  # so that the first class is the likeliest
    found = calibration(probabilities, np.where(right, 0, 1))
    assert [each.accuracy for each in found.bins] == [0, 0.5, 1, 0.5, 1]
    assert found.ece == pytest.approx((0.3 + 0 + 0.4 + 0.3 + 0.1) / 5, abs=1e-6)


def test_equal_confidences_share_a_bin():
    confidence = np.array([1.0] * 900 + [0.5] * 60 + [0.25] * 40)
    right = np.arange(1000) % 2 == 0
    order = np.random.default_rng(0).permutation(1000)
    bins = equal_mass_bins(confidence, right)
    assert [(pytest.approx(each.confidence), each.n) for each in bins] == [(0.4, 100), (1.0, 900)]
    assert equal_mass_bins(confidence[order], right[order]) == bins
    assert equal_mass_bins(np.ones(8), np.ones(8, bool))[0][:2] == (1, 1)
    assert sum(each.n for each in equal_mass_bins(np.array([0.2, 0.9]), np.array([True, False]))) == 2


@pytest.mark.parametrize(("n", "count"), [(3, 3), (50, 5), (1000, 10), (100_000, 25)])
def test_there_are_as_many_bins_as_the_images_bear(n, count):
    assert len(equal_mass_bins(np.random.default_rng(0).random(n), np.ones(n, bool))) == count


def test_calibrated_probabilities_have_hardly_an_error():
    log_probabilities, labels = planted(200_000, 10)
    found = calibration(np.exp(log_probabilities), labels)
    assert found.ece < 0.008  # chance alone: 0.8 √(0.22 / 8000) = 0.0042
    # Of 25 intervals at 95 %, one or two miss.
    assert sum(not each.low <= each.confidence <= each.high for each in found.bins) <= 4
    log_probabilities, labels = planted(20_000, 10, 2.0)
    assert calibration(np.exp(log_probabilities), labels).ece > 0.1


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.8])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_the_planted_temperature_is_found(temperature, dtype):
    log_probabilities, labels = planted(20_000, 10, temperature)
    found = fit_temperature(log_probabilities.astype(dtype), labels)
    assert found == pytest.approx(temperature, rel=0.02)
    # Logits differ from log-probabilities by a number for each image.
    logits = log_probabilities + np.random.default_rng(1).normal(size=(len(labels), 1)).astype(np.float32)
    assert fit_temperature(logits, labels) == pytest.approx(found, rel=0.01)


def test_the_temperature_has_the_least_loss_and_calibrates_other_images():
    log_probabilities, labels = planted(20_000, 10, 1.8)
    temperature = fit_temperature(log_probabilities[::2], labels[::2])
    losses = [
        log_loss(labels[::2], np.exp(special.log_softmax(log_probabilities[::2].astype(float) / t, axis=1)))
        for t in (temperature / 1.02, temperature, temperature * 1.02)
    ]
    assert losses[1] == min(losses)
    after = tempered(log_probabilities[1::2], temperature)
    assert after == pytest.approx(special.log_softmax(log_probabilities[1::2] / temperature, axis=1), abs=1e-5)
    assert calibration(np.exp(after), labels[1::2]).ece < 0.025
    assert calibration(np.exp(log_probabilities[1::2]), labels[1::2]).ece > 0.08


def test_what_cannot_be_fitted_stays_within_bounds():
    right = np.log(np.float32([[0.8, 0.2], [0.3, 0.7]]))
    assert TEMPERATURES[0] <= fit_temperature(right, np.array([0, 1])) < 0.06  # any more certain would be better still
    assert 15 < fit_temperature(right, np.array([1, 0])) <= TEMPERATURES[1]
    assert fit_temperature(right[:0], np.zeros(0, int)) == 1
    with pytest.raises(ValueError, match="no images"):
        calibration(right[:0], np.zeros(0, int))


def test_probabilities_of_zero_leave_numbers():
    probabilities = np.float16([[1, 0, 0], [1, 0, 0], [0.5, 0.25, 0.25]])
    labels = np.array([0, 1, 0])
    found = calibration(probabilities, labels)
    assert found.nll == pytest.approx((-np.log(2.0**-24) + np.log(2)) / 3)
    with np.errstate(divide="ignore"):
        logs = np.log(probabilities)
    assert np.isfinite(fit_temperature(logs, labels))
    assert not np.isnan(tempered(logs, 2.0)).any()


def test_many_images_of_many_classes_fit_in_memory():
    """20,000 x 500 of float16 are 20 MB: 50,000 x 1000 are five times as much, as is what they take."""
    log_probabilities, labels = planted(20_000, 500, 1.5)
    log_probabilities = log_probabilities.astype(np.float16)
    tracemalloc.start()
    try:
        temperature = fit_temperature(log_probabilities, labels)
        after = tempered(log_probabilities, temperature)
        calibration(np.exp(after), labels)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert temperature == pytest.approx(1.5, rel=0.02)
    assert after.dtype == np.float16
    assert 5 * (peak + log_probabilities.nbytes) < 1e9


def test_a_report_measures_the_temperature_on_images_that_it_was_not_fitted_on():
    log_probabilities, labels = planted(4001, 10, 2.0)
    found = sections.calibrations(
        sections.Choice(Predictions(np.arange(4001), labels, log_probabilities, None, None, 0))
    )
    assert (found["fitted_on"], found["measured_on"]) == (2001, 2000)
    assert found["temperature"] == pytest.approx(fit_temperature(log_probabilities[::2], labels[::2]))
    expected = calibration(np.exp(tempered(log_probabilities[1::2], found["temperature"])), labels[1::2])
    assert found["after"]["nll"] == pytest.approx(expected.nll, rel=1e-5)
    for score in ("ece", "nll", "brier"):
        assert found["after"][score] < found["before"][score]
