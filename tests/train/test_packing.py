"""Parameters in vectors: the same training as with trees, and the same checkpoints."""

import jax
import numpy as np
import pytest
from conftest import small_config
from readback import final_bytes

from googlenet_jax.train import setup
from googlenet_jax.train.loop import train_and_evaluate
from googlenet_jax.train.optimizer import decayed
from googlenet_jax.train.packing import Packing, pack, unpack
from googlenet_jax.train.setup import build_training, make_packings


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    monkeypatch.setattr(setup, "make_packings", lambda model, config, _: make_packings(model, config, "gpu"))


@pytest.mark.parametrize("features_first", [False, True])
def test_a_tree_comes_back_from_its_vectors(features_first):
    random = np.random.default_rng(0)
    tree = {
        "a": {"kernel": random.random((3, 3, 2, 4)), "bias": random.random(4)},
        "b": {"kernel": random.random((5, 2)), "bn": {"scale": random.random(3), "bias": random.random(3)}},
        "c": {"kernel": random.random((1, 1, 2, 2))},
    }
    packing = Packing.of(tree, lambda path: "norm" if "bn" in path else path[-1], features_first)
    state = {"params": tree, "moments": (tree, None), "step": np.zeros(())}
    packed = pack(state, packing)
    assert {name: len(vector) for name, vector in packed["params"].vectors.items()} == {
        "kernel": 72 + 10 + 4,
        "bias": 4,
        "norm": 6,
    }
    kernel = tree["a"]["kernel"].astype(np.float32)
    stored = kernel.transpose(3, 0, 1, 2) if features_first else kernel
    np.testing.assert_array_equal(packed["params"].vectors["kernel"][:72], stored.reshape(-1))
    jax.tree.map(np.testing.assert_array_equal, unpack(packed), jax.tree.map(np.float32, state))
    assert decayed(packed["params"], ("norm", "bias")).vectors == {"kernel": True, "bias": False, "norm": False}
    assert decayed(packed["params"], ("norm",)).vectors == {"kernel": True, "bias": True, "norm": False}


@pytest.mark.slow
def test_training_is_the_same_in_vectors(as_on_a_gpu):
    changes = {"optimizer__name": "adamw", "optimizer__weight_decay": 0.01, "optimizer__clip_norm": 1.0}
    config = small_config(num_devices=1, model__blocks=("3a",), precision__compute_dtype="float64", **changes)
    images = np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3), dtype=np.uint8)
    labels = (np.arange(16) % 4).astype(np.int32)

    def trained():
        training = build_training(config, 16, 4)
        state, measured = jax.tree.map(
            lambda a: a.astype("float64") if a.dtype == "float32" else a, jax.device_get(training.start())
        )
        state, measured = training.place((training.take(state), measured))
        for _ in range(3):
            state, measured = training.step(state, measured, *training.split((images, labels)))
        return training, state

    with jax.enable_x64():
        training, state = trained()
        assert training.packings and len(jax.tree.leaves(state.variables)) == 4  # kernels, biases, norms, statistics
        vectors = jax.device_get(training.take(state))
        config.optimizer.lr_factors = ("*=1",)  # single parameters apart: no vectors
        training, state = trained()
        assert not training.packings
    for a, b in zip(jax.tree.leaves(vectors.variables), jax.tree.leaves(state.variables), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
def test_a_run_in_vectors_resumes_to_the_bit(tmp_path, as_on_a_gpu):
    config = small_config()
    train_and_evaluate(config, tmp_path / "whole")
    train_and_evaluate(config, tmp_path / "parts", until=1)
    train_and_evaluate(config, tmp_path / "parts")
    assert final_bytes(tmp_path / "whole") == final_bytes(tmp_path / "parts")
