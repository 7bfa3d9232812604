"""Trained networks over validation images: what training said, and crops and ensembles by hand."""

import json

import jax
import numpy as np
import pytest
from PIL import Image

import googlenet_jax as gn
from googlenet_jax.config import to_json
from googlenet_jax.data.bad_images import BadImageLog
from googlenet_jax.data.loader import eval_batches
from googlenet_jax.data.pictures.picture import Pixels
from googlenet_jax.data.preprocess import make_preprocess
from googlenet_jax.data.sources.opening import open_source
from googlenet_jax.errors import UserError
from googlenet_jax.evaluate.checkpoints import evaluate_checkpoints
from googlenet_jax.evaluate.evaluator import Evaluator, Member, windows_of
from googlenet_jax.evaluate.metrics import beyond_use
from googlenet_jax.evaluate.views import windows
from googlenet_jax.models.variants import PRESETS
from googlenet_jax.report.report import make_report
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


def test_numbers_that_are_not_finite_are_no_result(run, tmp_path):
    meta, variables = checkpoint.read(run)
    variables["params"]["classifier"]["bias"] = np.full(4, np.nan, np.float32)
    checkpoint.write(tmp_path / "nan", variables, meta)
    net, image = gn.load(tmp_path / "nan"), np.zeros((32, 32, 3), np.uint8)
    for use in (
        lambda: net.predict(image),
        lambda: net.explain(image),
        lambda: evaluate_checkpoints([tmp_path / "nan"]),
        lambda: make_report(str(tmp_path / "nan"), tmp_path / "index.html"),
    ):
        with pytest.raises(UserError, match="numbers that are not finite: it diverged"):
            use()


def test_one_image_too_much_leaves_the_others_results(run, monkeypatch):
    """As of float16: no NaN in JSON, and it is of no class."""
    assert not beyond_use({"top1": 0.7}, 4) and beyond_use({"loss": np.nan, "top1": 0.25}, 4)
    assert not beyond_use({"loss": np.nan, "top1": np.nan}, 4)  # of no image
    net, seen = gn.load(run), []

    def classify(crops):
        found = np.array(net.classify(crops))
        found[: 1 - len(seen)] = np.nan  # of the first batch the first
        seen.append(crops)
        return found

    member = Member(None, net.preprocess, 4, classify=classify)
    source, config = open_source(net.config)[1], net.config
    batches = eval_batches(source, config, windows_of([net.preprocess]), BadImageLog("skip"), 8)
    result = Evaluator([member], jax.devices()[:1]).run([{}], batches)
    assert np.isnan(result.values["loss"]) and 0 < result.values["top1"] <= 1
    assert result.right.sum() / result.seen.sum() == pytest.approx(result.values["top1"])


def test_some_classes_alone_are_found_by_name(run, tmp_path):
    """A folder of validation images alone, with two of the four classes."""
    source = open_source(gn.load(run).config)[1]
    right = []
    for i in range(len(source)):
        picture, label = source[i]
        if label in (1, 3):
            path = tmp_path / "val" / source.labels[label] / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture.pixels()).save(path)
            right.append(gn.load(run).predict(str(path))[0].classes[0] == label)
    for place in (tmp_path, tmp_path / "val"):
        found = evaluate_checkpoints([run], f"folder:{place}")
        assert (found["images"], found["top1"]) == (len(right), pytest.approx(np.mean(right)))
    assert [row["images"] > 0 for row in found["per_class"].values()] == [False, True, False, True]


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
