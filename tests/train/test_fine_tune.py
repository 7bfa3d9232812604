"""Starting from another network's variables."""

import jax
import numpy as np
import pytest
from conftest import small_config

import googlenet_jax as gn
from googlenet_jax.data.preprocess import make_preprocess
from googlenet_jax.errors import UserError
from googlenet_jax.runs import checkpoint
from googlenet_jax.train.fine_tune import initialize
from googlenet_jax.train.setup import build_training
from googlenet_jax.train.start import with_input


@pytest.fixture
def run(finished_run):
    return finished_run


def test_fine_tuning_takes_what_fits(run, caplog):
    config = small_config(init_from=str(run))
    training = build_training(config, 64, 7)  # seven classes, where the run has four
    state = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), training.abstract())
    with caplog.at_level("INFO", logger="googlenet_jax"):
        tuned = initialize(state, config, training.preprocess, list("abcdefg"))
    theirs = gn.load(run).variables
    heads = tuned.variables["params"].pop("classifier")
    assert heads["kernel"].shape == (theirs["params"]["classifier"]["kernel"].shape[0], 7)
    assert not heads["kernel"].any()
    theirs["params"].pop("classifier")
    jax.tree.map(np.testing.assert_array_equal, tuned.variables, theirs)
    jax.tree.map(np.testing.assert_array_equal, tuned.ema["params"]["conv1"], theirs["params"]["conv1"])
    assert tuned.ema["params"]["classifier"]["kernel"] is not heads["kernel"]  # the step may overwrite both
    assert not any(leaf.any() for leaf in jax.tree.leaves(tuned.opt_state))


@pytest.mark.parametrize(
    ("ours", "columns"),
    [
        (["bee", "dog", "ant", "cat"], [1, 3, 0, 2]),
        (["ant", "bee", "cat", "eel"], None),
        (["w", "x", "y", "z"], None),
        (["class 0", "class 1", "class 2", "class 3"], [0, 1, 2, 3]),
    ],
)
def test_the_classifier_goes_along_with_its_classes(run, tmp_path, caplog, ours, columns):
    meta, variables = checkpoint.read(run)
    checkpoint.write(tmp_path / "pets", variables, meta | {"labels": ["ant", "bee", "cat", "dog"]})
    config = small_config(init_from=str(tmp_path / "pets"))
    training = build_training(config, 64, 4)
    state = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), training.abstract())
    with caplog.at_level("INFO", logger="googlenet_jax"):
        tuned = initialize(state, config, training.preprocess, ours).variables["params"]["classifier"]
    theirs = variables["params"]["classifier"]
    for name in ("kernel", "bias"):
        wanted = np.zeros_like(theirs[name]) if columns is None else theirs[name][..., columns]
        np.testing.assert_array_equal(tuned[name], wanted)
    assert ("made anew: classifier (other classes)" in caplog.text) == (columns is None)


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
        ({"init_from": "nowhere.onnx"}, "no such file"),
    ],
)
def test_fine_tuning_refuses_another_network(run, changes, words):
    config = small_config(**{"init_from": str(run), **changes})
    with pytest.raises(UserError, match=words):
        initialize(None, config, make_preprocess(config), ["a"])
