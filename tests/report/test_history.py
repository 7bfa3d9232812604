"""The curves of runs: those of other seeds become one, with their mean and spread."""

import json

import pytest

from googlenet_jax.config import default_config, override, to_json
from googlenet_jax.report.history import curves


def a_run(folder, top1, **fields):
    """A run whose validation top-1 was this by epoch."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(to_json(override(default_config(), fields)))
    lines = [
        {"step": e, "epoch": float(e), "split": "val", "top1": value, "seconds": 1.0} for e, value in enumerate(top1, 1)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_seeds_become_one_curve_where_all_of_them_were_measured(tmp_path):
    seeds = [a_run(tmp_path / f"s{k}", top1, seed=k) for k, top1 in enumerate([(0.5, 0.7, 0.8), (0.6, 0.9)])]
    other = a_run(tmp_path / "other", (0.4, 0.5), seed=0, batch_size=32)
    together, alone = curves([*seeds, other])
    assert (together["run"], together["seeds"], together["split"]) == ("s0", 2, "val")
    assert together["points"] == [[1.0, *near(0.55, 0.0707107)], [2.0, *near(0.8, 0.141421)]]
    assert (alone["run"], alone["seeds"], alone["points"]) == ("other", 1, [[1.0, 0.4], [2.0, 0.5]])


def near(*values):
    return [pytest.approx(value) for value in values]


def test_a_baseline_stays_by_itself_and_names_differ(tmp_path):
    run, baseline = a_run(tmp_path / "a" / "run", (0.5,), seed=0), a_run(tmp_path / "b" / "run", (0.4,), seed=1)
    found = curves([run], baseline)
    assert [(one["run"], one["points"]) for one in found] == [
        (str(run), [[1.0, 0.5]]),
        (str(baseline), [[1.0, 0.4]]),
    ]
