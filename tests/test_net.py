"""After training: gn.load, the googlenet command, the notebook."""

import io
import json
import shutil

import jax
import jax.numpy as jnp
import nbformat
import numpy as np
import pytest
from conftest import ROOT, small_config
from nbclient import NotebookClient
from PIL import Image

import googlenet_jax as gn
from googlenet_jax.config import to_json
from googlenet_jax.data.pictures.picture import Pixels
from googlenet_jax.data.preprocess import make_preprocess
from googlenet_jax.data.sources.opening import open_source
from googlenet_jax.errors import UserError
from googlenet_jax.evaluate.checkpoints import evaluate_checkpoints
from googlenet_jax.evaluate.metrics import measure
from googlenet_jax.evaluate.views import windows
from googlenet_jax.models.variants import PRESETS
from googlenet_jax.runs import checkpoint
from googlenet_jax.train.fine_tune import initialize
from googlenet_jax.train.setup import build_training
from googlenet_jax.train.start import with_input


@pytest.fixture
def run(finished_run):
    return finished_run


def test_loaded_network_predicts_as_flax_does(run):
    net = gn.load(run)
    images = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    logits = np.asarray(net.model.apply(net.variables, net.preprocess(images), train=False), np.float64)
    expected = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(net.probabilities(images), expected, atol=1e-5)
    for row, prediction in zip(expected, net.predict(images, top=3), strict=True):
        assert prediction.classes == list(np.argsort(-row)[:3])
        assert prediction.labels == [f"class {i}" for i in prediction.classes]
        assert sum(prediction.probabilities) <= 1 + 1e-6
    assert net.config.dataset.name == "synthetic"


def test_one_image_many_images_paths_and_none(run, tmp_path):
    net = gn.load(run / "checkpoints" / "9")
    image = np.random.default_rng(0).integers(0, 256, (50, 40, 3), dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / "a.png")
    (alone,) = net.predict(image)
    (path,) = net.predict(str(tmp_path / "a.png"))
    assert alone == path
    among_two = net.predict([tmp_path / "a.png", image])[1]
    assert among_two.labels == alone.labels
    assert among_two.probabilities == pytest.approx(alone.probabilities, abs=1e-6)
    assert net.predict([]) == []
    assert len(net.predict([image] * 70)) == 70
    for top in (0, -1):
        with pytest.raises(UserError, match=f"top={top}: at least 1"):
            net.predict(image, top=top)


def test_images_of_every_kind_may_stand_in_one_list(run, tmp_path):
    net = gn.load(run)
    grey = np.random.default_rng(0).integers(0, 256, (40, 50), dtype=np.uint8)
    rgb = np.stack([grey] * 3, -1)
    opaque = np.dstack([rgb, np.full_like(grey, 255)])
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "PNG")
    (tmp_path / "grey.png").write_bytes(file.getvalue())
    kinds = [
        rgb,
        grey,
        grey[..., None],
        opaque,
        grey.astype(np.uint16) << 8 | 77,
        jnp.asarray(rgb),
        Image.fromarray(grey),
        Image.fromarray(opaque),
        tmp_path / "grey.png",
        str(tmp_path / "grey.png"),
        file.getvalue(),
    ]
    alike = net.probabilities(kinds)
    np.testing.assert_allclose(alike, np.repeat(alike[:1], len(kinds), 0), atol=1e-6)
    for kind in kinds:
        assert net.probabilities(kind).shape == (1, 4)
    assert net.probabilities(np.stack([grey] * 2)[..., None]).shape == (2, 4)


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


def test_fine_tuning_takes_what_fits(run, caplog):
    config = small_config(init_from=str(run))
    training = build_training(config, 64, 7)  # seven classes, where the run has four
    state = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), training.abstract())
    with caplog.at_level("INFO", logger="googlenet_jax"):
        tuned = initialize(state, config, training.preprocess)
    theirs = gn.load(run).variables
    heads = tuned.variables["params"].pop("classifier")
    assert heads["kernel"].shape == (theirs["params"]["classifier"]["kernel"].shape[0], 7)
    assert not heads["kernel"].any()
    theirs["params"].pop("classifier")
    jax.tree.map(np.testing.assert_array_equal, tuned.variables, theirs)
    jax.tree.map(np.testing.assert_array_equal, tuned.ema["params"]["conv1"], theirs["params"]["conv1"])
    assert tuned.ema["params"]["classifier"]["kernel"] is not heads["kernel"]  # the step may overwrite both
    assert not any(leaf.any() for leaf in jax.tree.leaves(tuned.opt_state))


def test_fine_tuning_takes_the_input_normalisation(run, tmp_path):
    config = with_input(small_config(init_from=str(run), dataset__std=(1.0, 1.0, 1.0)), tmp_path)
    assert config.dataset.mean == gn.load(run).preprocess.mean
    assert config.dataset.std == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model__variant": "paper"}, "set config.model.variant=batchnorm"),
        ({"dataset__mean": (1.0, 2.0, 3.0)}, "leave config.dataset.mean unset"),
        ({"init_from": "nowhere"}, "no checkpoint there"),
    ],
)
def test_fine_tuning_refuses_another_network(run, changes, words):
    config = small_config(**{"init_from": str(run), **changes})
    with pytest.raises(UserError, match=words):
        initialize(None, config, make_preprocess(config))


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["predict", "--checkpoint", "RUN", "nowhere.png"], "nowhere.png"),
        (["predict", "--checkpoint", "nowhere", "README.md"], "nowhere"),
        (["evaluate", "--checkpoint", "RUN", "--dataset", "digits"], "10 classes"),
        (["evaluate", "--checkpoint", "configs"], "no checkpoint"),
        (["summary", "--variant", "papr"], "did you mean 'paper'"),
    ],
)
def test_mistakes_are_one_line_and_status_2(run, run_command, arguments, word):
    arguments = [str(run) if argument == "RUN" else argument for argument in arguments]
    result = run_command("-m", "googlenet_jax.cli", *arguments)
    assert result.returncode == 2
    assert word in result.stderr
    assert len(result.stderr.splitlines()) == 1, result.stderr


def test_summary_has_the_papers_total(run_command):
    result = run_command("-m", "googlenet_jax.cli", "summary", "--variant", "paper")
    assert "6,998,552" in result.stdout
    assert "13,378,280" in result.stdout


def test_damaged_checkpoint_says_so(run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    for data in copy.rglob("d/*"):
        data.write_bytes(b"")
    with pytest.raises(UserError, match="damaged"):
        gn.load(copy)


def test_a_constant_or_broken_output_is_no_success():
    for value in (0.0, np.nan):
        logits, labels = np.full((4, 4), value, np.float32), np.zeros(4, np.int32)
        assert float(measure(logits, labels, np.zeros(4), np.ones(4)).compute()["top1"]) == 0


def test_notebook_runs(run, tmp_path, monkeypatch):
    Image.new("RGB", (64, 48), "orange").save(tmp_path / "a.png")
    monkeypatch.setenv("CHECKPOINT", str(run))
    monkeypatch.setenv("IMAGES", str(tmp_path / "a.png"))
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(ROOT / "notebooks" / "googlenet_colab.ipynb", as_version=4)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "python3", "language": "python"}
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    text = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    assert "class " in text
    assert any("image/png" in o.get("data", {}) for c in notebook.cells for o in c.get("outputs", []))


def test_the_package_imports_without_jax(run_command):
    code = "import sys, googlenet_jax; sys.exit('jax' in sys.modules)"
    assert run_command("-c", code).returncode == 0
