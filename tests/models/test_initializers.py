"""What parameters begin with: Flax's own initialisers, drawn by JAX and by numpy, and each in its place."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import small_config
from flax.linen import initializers as flax_initializers

from googlenet_jax.models.googlenet import GoogLeNet
from googlenet_jax.models.initializers import Initializer
from googlenet_jax.models.variants import PRESETS
from googlenet_jax.train.setup import build_training

PAIRS = [
    (Initializer("truncated", 2.0, fan_in=True), flax_initializers.variance_scaling(2.0, "fan_in", "truncated_normal")),
    (Initializer("normal", 2.0, fan_in=True), flax_initializers.variance_scaling(2.0, "fan_in", "normal")),
    (Initializer("uniform", 1.0, fan_in=True), flax_initializers.variance_scaling(1.0, "fan_in", "uniform")),
    (Initializer("normal", 0.01), flax_initializers.normal(0.01)),
    (Initializer("truncated", 0.02), flax_initializers.truncated_normal(0.02)),
    (Initializer("constant", 0.2), flax_initializers.constant(0.2)),
]


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_distributions_are_flaxs(ours, theirs):
    shape = (3, 3, 100, 200)
    expected = np.sort(np.asarray(theirs(jax.random.key(0), shape, jnp.float32)).ravel())
    quantiles = expected[[10, 20_000, 90_000, 160_000, -10]]
    for drawn in (ours(jax.random.key(1), shape), ours.draw(np.random.default_rng(1), shape)):
        assert (drawn.shape, drawn.dtype) == (shape, np.float32)
        values = np.sort(np.asarray(drawn).ravel())
        spread = expected[-1] - expected[0] + 0.1
        np.testing.assert_allclose(values[[10, 20_000, 90_000, 160_000, -10]], quantiles, atol=0.06 * spread)
        np.testing.assert_allclose(values.std(), expected.std(), rtol=0.01, atol=1e-6)
        assert abs(values.mean() - expected.mean()) < 0.01 * spread


@pytest.mark.parametrize("name", PRESETS)
def test_each_variable_begins_as_flax_would_begin_it(name, monkeypatch):
    """Flax's choice shows in the value: each distribution is made to give a number of its own."""
    known: list[Initializer] = []

    def number(self, key, shape, dtype=jnp.float32, **_):
        if self not in known:
            known.append(self)
        return jnp.full(shape, 2.0 + known.index(self))

    monkeypatch.setattr(Initializer, "__call__", number)
    model = GoogLeNet(10, PRESETS[name], blocks=("3a", "4a", "4d"))
    variables = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    for path, leaf in jax.tree_util.tree_leaves_with_path(variables):
        names = tuple(key.key for key in path)
        used = model.variant.initializer(names)
        if "bn" in names:
            assert leaf.ravel()[0] == used.scale
        else:
            assert used == known[int(leaf.ravel()[0]) - 2], names


def test_the_seed_decides_and_layers_do_not_depend_on_each_other():
    first, again, other = (build_training(small_config(seed=s), 72, 4).create().variables for s in (0, 0, 1))
    jax.tree.map(np.testing.assert_array_equal, first, again)
    kernel = ("params", "inception_3a", "3x3", "kernel")

    def at(tree):
        for key in kernel:
            tree = tree[key]
        return np.asarray(tree)

    assert (at(first) != at(other)).any()
    deeper = build_training(small_config(model__blocks=("3a", "4a", "5a")), 72, 4).create().variables
    np.testing.assert_array_equal(at(first), at(deeper))
