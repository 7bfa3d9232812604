"""Points lie within their ranges, are of the fields' types, and depend on nothing but what is known."""

import sys

import pytest
from conftest import small_config

from googlenet_jax.errors import UserError
from googlenet_jax.sweep.definition import make_definition
from googlenet_jax.sweep.search import Known, draw, parzen
from googlenet_jax.sweep.space import Range

RANGES = {
    "optimizer.learning_rate": Range("log", 0.00123456, 0.9),
    "batch_size": Range("int", 3, 5),
    "optimizer.momentum": Range("choice", choices=(0.5, 0.9)),
    "model.dropout": Range("choice", choices=(None, 0.25)),
    "schedule.boundaries": Range("choice", choices=((1.0, 2.0), (3.0,))),
    "augment.flip": Range("choice", choices=(True, False)),
}


def test_a_search_that_is_not_installed_is_told_before_anything_starts(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError, match="--search tpe needs optuna: pip install"):
        ranges = ["model.dropout=uniform(0,0.5)"]
        make_definition("configs/digits.py", small_config().lock(), ranges, 3, "tpe", None, None, None)


@pytest.mark.parametrize("search", [draw, parzen])
def test_points_lie_within_their_ranges(search):
    if search is parzen:
        pytest.importorskip("optuna")
    known, seen = [], {name: set() for name in RANGES}
    for number in range(30):
        point = search(RANGES, number, known, True)
        assert point == search(RANGES, number, known, True)
        assert 0.00123456 <= point["optimizer.learning_rate"] <= 0.9
        assert point["batch_size"] in (3, 4, 5)
        assert type(point["batch_size"]) is int
        for name, value in point.items():
            seen[name].add(value)
        known.append(Known(point, {1.0: number / 30} if number % 3 else {}, number % 2 == 0 and number % 3 > 0))
    assert all(len(values) > 1 for values in seen.values()), seen
