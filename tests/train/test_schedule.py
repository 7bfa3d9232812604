"""Schedules against plain arithmetic."""

import pytest
from conftest import small_config

from googlenet_jax.train.schedule import make_schedule

EPOCH = 12.5  # steps


def rate(epoch, num_epochs=100, **schedule):
    config = small_config(**{f"schedule__{name}": value for name, value in schedule.items()})
    return 0.4 * float(make_schedule(config.schedule, EPOCH, num_epochs)(round(epoch * EPOCH)))


def test_constant_and_warmup():
    assert rate(50, name="constant") == pytest.approx(0.4)
    assert rate(0, name="constant", warmup_epochs=4) == 0
    assert rate(2, name="constant", warmup_epochs=4) == pytest.approx(0.2)
    assert rate(4, name="constant", warmup_epochs=4) == pytest.approx(0.4)


def test_piecewise_multiplies_at_each_boundary():
    steps = {"name": "piecewise", "boundaries": (30.0, 60.0, 80.0), "factors": (0.1, 0.2, 0.5)}
    assert rate(29, **steps) == pytest.approx(0.4)
    assert rate(31, **steps) == pytest.approx(0.04)
    assert rate(70, **steps) == pytest.approx(0.008)
    assert rate(99, **steps) == pytest.approx(0.004)


def test_factors_of_boundaries_on_one_step_multiply():
    assert rate(50, name="piecewise", boundaries=(30.0, 30.01), factors=(0.1, 0.5)) == pytest.approx(0.02)


def test_piecewise_exponential_passes_through_the_same_points_smoothly():
    smooth = {"name": "piecewise_exponential", "boundaries": (40.0, 80.0), "factors": (0.25, 0.01)}
    assert rate(0, **smooth) == pytest.approx(0.4)
    assert rate(20, **smooth) == pytest.approx(0.2, rel=1e-5)
    assert rate(40, **smooth) == pytest.approx(0.1, rel=1e-5)
    assert rate(60, **smooth) == pytest.approx(0.01, rel=1e-5)
    assert rate(90, **smooth) == pytest.approx(0.001, rel=1e-5)
    warm = smooth | {"warmup_epochs": 4}
    assert rate(2, **warm) == pytest.approx(rate(4, **smooth) / 2, rel=1e-5)
    assert rate(40, **warm) == pytest.approx(0.1, rel=1e-5)


def test_exponential_falls_by_4_percent_every_8_epochs():
    assert rate(7.9, name="exponential") == pytest.approx(0.4)
    assert rate(16.1, name="exponential") == pytest.approx(0.4 * 0.96**2)
    assert rate(20, name="exponential", staircase=False) == pytest.approx(0.4 * 0.96**2.5, rel=1e-5)


def test_polynomial_is_caffes():
    assert rate(75, name="polynomial", power=0.5) == pytest.approx(0.4 * (1 - 0.75) ** 0.5, rel=1e-2)
    assert rate(100, name="polynomial", power=0.5, final_factor=0.1) == pytest.approx(0.04)


def test_cosine_starts_falling_after_warmup():
    assert rate(10, name="cosine", warmup_epochs=10) == pytest.approx(0.4)
    assert rate(55, name="cosine", warmup_epochs=10) == pytest.approx(0.2, rel=1e-2)
    assert rate(100, name="cosine", warmup_epochs=10) == pytest.approx(0, abs=1e-6)
