"""One train step pinned to numbers: a change of the mathematics is seen here, in seconds.

The parameters are drawn by numpy, so that neither JAX's initialisers nor their random numbers have a part. If the
mathematics is meant to change, take the new numbers from the failure's message, and say in the commit why they moved.
"""

import jax
import numpy as np
import pytest
from conftest import small_config

from googlenet_jax.train.setup import build_training

pytestmark = pytest.mark.slow

CHANGES = {
    "batchnorm": {
        "model__aux_heads": True,
        "augment__brightness": 0.4,
        "augment__cutout": 8,
        "augment__mixup": 0.2,
        "optimizer__clip_norm": 5.0,
    },
    "paper": {"model__variant": "paper", "optimizer__name": "rmsprop", "augment__policy": "trivial"},
    "torchvision": {"model__variant": "torchvision", "optimizer__accumulate_steps": 2, "model__dropout": 0.0},
}
GOLDEN = {
    "batchnorm": {
        "loss": 1.550054,
        "gradient": 13.58115,
        "conv1": 0.0009481668,
        "inception_3a/5x5": 0.0001785606,
        "inception_4a/pool_proj": 0.0001442669,
        "classifier": 0.001621085,
        "ema": 0.0002882468,
        "mean": 0.05452761,
        "var": 0.04184684,
    },
    "paper": {
        "loss": 48.04076,
        "gradient": 1124.361,
        "conv1": 0.06322709,
        "inception_3a/5x5": 0.05364163,
        "inception_4a/pool_proj": 0.04823603,
        "classifier": 0.06123944,
        "ema": 0.05099512,
    },
    "torchvision": {
        "loss": 1.286161,
        "gradient": 8.169368,
        "conv1": 0.001831193,
        "inception_3a/5x5": 0.0002953445,
        "inception_4a/pool_proj": 0.000218426,
        "classifier": 0.001498037,
        "ema": 0.0004964796,
        "mean": 0.08573214,
        "var": 0.0952509,
    },
}


def drawn(tree):
    """Variables of He's size in place of a tree's: the same on every machine."""
    random = np.random.RandomState(0)

    def draw(path, leaf):
        if leaf.ndim > 1:
            fan_in = np.prod(leaf.shape[:-1])
            return (random.standard_normal(leaf.shape) * np.sqrt(2 / fan_in)).astype(np.float32)
        kind = path[-1].key
        return (random.uniform(0.5, 1.5, leaf.shape) if kind in ("scale", "var") else np.zeros(leaf.shape)).astype(
            np.float32
        )

    return jax.tree_util.tree_map_with_path(draw, tree)


def statistics(name):
    """Loss, norm of the gradient, and of some layers the root mean square of what a step changed."""
    config = small_config(num_devices=2, model__blocks=("3a", "4a"), **CHANGES[name])
    training = build_training(config, 16, 4)
    state, measured = training.start()
    state = training.take(state)
    before = drawn(state.variables)
    state = training.place(state.replace(variables=before, ema=before))
    random = np.random.RandomState(1)
    batch = random.randint(0, 256, (16, 32, 32, 3)).astype(np.uint8), (np.arange(16) % 4).astype(np.int32)
    state, measured = training.step(state, measured, *training.split(batch))
    state, measured = jax.device_get((training.take(state), measured))
    changes = jax.tree.map(lambda new, old: np.sqrt(np.square(new - old).mean()), state.variables, before)
    params = changes["params"]
    found = {
        "loss": measured.metrics.compute()["loss"],
        "gradient": measured.norm,
        "conv1": params["conv1"]["kernel"],
        "inception_3a/5x5": params["inception_3a"]["5x5"]["kernel"],
        "inception_4a/pool_proj": params["inception_4a"]["pool_proj"]["kernel"],
        "classifier": params["classifier"]["bias"],
        "ema": np.sqrt(np.square(state.ema["params"]["conv2"]["kernel"] - before["params"]["conv2"]["kernel"]).mean()),
    }
    if "batch_stats" in changes:
        found |= {kind: changes["batch_stats"]["conv2"]["bn"][kind] for kind in ("mean", "var")}
    return {key: float(value) for key, value in found.items()}


@pytest.mark.parametrize("name", CHANGES)
def test_a_steps_numbers(name):
    found = statistics(name)
    moved = {
        key: f"{value:.7g}, not {GOLDEN[name].get(key)}"
        for key, value in found.items()
        if value != pytest.approx(GOLDEN[name].get(key), rel=1e-4)
    }
    if moved:
        pytest.fail(f"the mathematics of {name} moved: {moved}")
