"""Groups and verdicts, against scipy's and textbook numbers."""

import pytest
from scipy import stats

from googlenet_jax.sweep.definition import Objective
from googlenet_jax.sweep.results import FINISHED, PAUSED, Row
from googlenet_jax.sweep.statistics import importance, judge, make_groups

TOP1, LOSS = Objective("val", "top1"), Objective("val", "loss")


def row(value, seed=0, state=FINISHED, **fields):
    about = {name.replace("__", "."): v for name, v in fields.items()} | {"seed": seed}
    return Row(f"{about}", about, state, 1.0, value, value, value, None, 1.0, 1, "", "", [])


def rows_of(**samples):
    return [row(v, seed, model__variant=name) for name, values in samples.items() for seed, v in enumerate(values)]


def test_a_group_is_what_differs_in_its_seed_alone():
    rows = [*rows_of(a=[0.5, 0.6, 0.7], b=[0.9, 0.8]), row(1.0, 9, PAUSED, model__variant="a")]
    best, other = make_groups(rows, TOP1)
    assert (best.name, best.n, best.mean) == ("variant=b", 2, pytest.approx(0.85))
    assert (other.n, other.mean, other.sd) == (3, pytest.approx(0.6), pytest.approx(0.1))
    low, high = stats.t.interval(0.95, 2, loc=0.6, scale=0.1 / 3**0.5)
    assert other.half == pytest.approx((high - low) / 2)
    assert make_groups(rows, LOSS)[0].name == "variant=a"


def verdict(objective=TOP1, **samples):
    rows = rows_of(**samples)
    return judge(make_groups(rows, objective), rows, objective)


def test_a_winner_is_named_only_if_it_separates():
    clear = verdict(a=[0.90, 0.91, 0.92], b=[0.50, 0.51, 0.52], c=[0.60, 0.61, 0.62])
    assert clear.winner.name == "variant=a"
    assert clear.text.startswith("best: variant=a: 91.00% ± 2.48%, n = 3")
    noisy = verdict(a=[0.90, 0.70, 0.80], b=[0.85, 0.65, 0.75], c=[0.1, 0.11, 0.12])
    assert noisy.winner is None
    assert [group.name for group in noisy.tied] == ["variant=a", "variant=b"]
    assert noisy.text.startswith("tied within noise: variant=a: 80.00%")
    assert verdict(LOSS, a=[0.2, 0.21], b=[2.0, 2.01]).winner.name == "variant=a"


def test_many_comparisons_ask_for_more():
    """What separates from one neighbour at 5 % does not from the best of twenty such."""
    samples = {f"v{i}": [0.5, 0.52, 0.54] for i in range(20)}
    best = [0.56, 0.575, 0.59]
    assert stats.ttest_ind(best, samples["v0"], equal_var=False).pvalue < 0.05
    assert verdict(best=best, v0=samples["v0"]).winner
    assert verdict(best=best, **samples).winner is None


def test_one_seed_tells_nothing_of_noise():
    found = verdict(a=[0.9], b=[0.1, 0.2])
    assert found.winner is None
    assert "variant=a was trained once: more seeds would tell" in found.text
    assert verdict().text == "no trial has finished yet"
    assert verdict(a=[0.5, 0.5], b=[0.25, 0.25]).winner is None  # no spread, and one of three ways to tell them apart
    assert verdict(a=[0.5] * 5, b=[0.25] * 5).winner.name == "variant=a"  # one of 126


def test_the_field_that_decides_is_the_important_one():
    rows = [row(0.1 * rate, seed, optimizer__learning_rate=rate) for rate in (1.0, 2.0, 3.0, 4.0) for seed in range(3)]
    shares = importance(rows)
    assert next(iter(shares)) == "optimizer.learning_rate"
    assert shares["optimizer.learning_rate"] > 0.9
    assert importance(rows[:4]) == {}
