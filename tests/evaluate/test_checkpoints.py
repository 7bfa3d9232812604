"""Trained networks over validation images: what training said, and crops and ensembles by hand."""

import json

import jax
import numpy as np
import pytest

import googlenet_jax as gn
from googlenet_jax.config import to_json
from googlenet_jax.data.pictures.picture import Pixels
from googlenet_jax.data.preprocess import make_preprocess
from googlenet_jax.data.sources.opening import open_source
from googlenet_jax.evaluate.checkpoints import evaluate_checkpoints
from googlenet_jax.evaluate.views import windows
from googlenet_jax.models.variants import PRESETS
from googlenet_jax.runs import checkpoint


@pytest.fixture
def run(finished_run):
    return finished_run


def test_evaluate_repeats_the_trainings_best_line(run, run_command):
    result = run_command("-m", "googlenet_jax.cli", "evaluate", "--checkpoint", run, "--json")
    assert result.returncode == 0, result.stderr
    values = json.loads(result.stdout)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    best = max((line for line in lines if line["split"] == "val"), key=lambda line: line["top1"])
    assert values["images"] == 14
    assert values["top1"] == best["top1"]
    assert values["loss"] == pytest.approx(best["loss"], rel=1e-5)
    table = run_command("launch.py", "--mode", "evaluate", "--workdir", run)
    assert f"{best['top1']:.2%}" in table.stdout


def test_crops_and_ensembles_average_softmaxes(run, tmp_path):
    """Against one image, one view and one network at a time; the networks of different families."""
    first = gn.load(run)
    other = first.model.clone(variant=PRESETS["paper"])
    shapes = jax.eval_shape(other.init, jax.random.key(1), np.zeros((1, 32, 32, 3)))
    rng = np.random.default_rng(0)
    variables = jax.tree.map(lambda leaf: rng.normal(0, 0.05, leaf.shape).astype(np.float32), shapes)
    config = first.config.copy_and_resolve_references()
    config.model.variant = "paper"
    meta = {
        "config": to_json(config),
        "labels": first.labels,
        "preprocess": make_preprocess(config).to_dict(),
        "step": 0,
    }
    checkpoint.write(tmp_path / "paper", variables, meta)
    nets = [first, gn.load(tmp_path / "paper")]
    images, classes = open_source(first.config)[1].images, open_source(first.config)[1].classes

    probabilities = []
    for image in images:
        of_nets = []
        for net in nets:
            views = [w for window in windows(Pixels(image), 10, net.preprocess) for w in (window, window[:, ::-1])]
            of_nets.append(np.mean(net.probabilities(views), 0))  # which crops nothing of what has its size
        probabilities.append(np.mean(of_nets, 0))
    expected = -np.log([p[label] for p, label in zip(probabilities, classes, strict=True)]).mean()
    right = np.argmax(probabilities, -1) == classes

    got = evaluate_checkpoints([run, tmp_path / "paper"], crops=10)
    assert got["loss"] == pytest.approx(expected, rel=1e-4)
    assert got["top1"] == pytest.approx(right.mean())
    for i, row in enumerate(got["per_class"].values()):
        assert row == {"top1": pytest.approx(right[classes == i].mean()), "images": (classes == i).sum()}
