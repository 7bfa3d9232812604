"""Update rules against plain arithmetic."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import small_config

from googlenet_jax.errors import UserError
from googlenet_jax.train.optimizer import decayed, make_optimizer

PARAMS = {"conv1": {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2), "bn": {"scale": jnp.ones(2), "bias": jnp.ones(2)}}}


@pytest.mark.parametrize(
    ("exclude", "kernel", "bias", "norm"),
    [((), 1, 1, 1), (("bias",), 1, 0, 1), (("norm",), 1, 1, 0), (("norm", "bias"), 1, 0, 0)],
)
def test_weight_decay_leaves_out_what_it_is_told(exclude, kernel, bias, norm):
    mask = decayed(PARAMS, exclude)["conv1"]
    assert (mask["kernel"], mask["bias"], mask["bn"]["scale"], mask["bn"]["bias"]) == (kernel, bias, norm, norm)


def plain(**changes):
    return small_config(**{"optimizer__nesterov": False, "optimizer__weight_decay": 0.0, **changes})


def test_learning_rate_factors_and_freezing():
    changes = {"optimizer__freeze": ("conv1/bn/*",), "optimizer__lr_factors": ("*/bias=2", "conv1/kernel=0.5")}
    optimizer = make_optimizer(plain(optimizer__momentum=0.0, optimizer__clip_norm=1.0, **changes).optimizer)
    updates, _ = optimizer.update(PARAMS, optimizer.init(PARAMS), PARAMS)
    clipped = 1 / np.sqrt(6)  # six thawed elements of gradient one, of norm one in all
    np.testing.assert_allclose(updates["conv1"]["kernel"], 0.5 * clipped, rtol=1e-6)
    np.testing.assert_allclose(updates["conv1"]["bias"], 2 * clipped, rtol=1e-6)
    assert not np.any(updates["conv1"]["bn"]["scale"])
    assert not np.any(updates["conv1"]["bn"]["bias"])


def test_a_pattern_that_fits_nothing_is_an_error():
    optimizer = make_optimizer(plain(optimizer__freeze=("conv2/*",)).optimizer)
    with pytest.raises(UserError, match=r"'conv2/\*'; one is called 'conv1"):
        optimizer.update(PARAMS, optimizer.init(PARAMS), PARAMS)


def test_sgd_is_momentum_on_gradient_plus_decay():
    optimizer = make_optimizer(plain(optimizer__momentum=0.9, optimizer__weight_decay=0.1).optimizer)
    state = optimizer.init(PARAMS)
    gradient = jax.tree.map(lambda p: 2 * p, PARAMS)
    _, state = optimizer.update(gradient, state, PARAMS)
    updates, _ = optimizer.update(gradient, state, PARAMS)
    np.testing.assert_allclose(updates["conv1"]["kernel"], 0.9 * 2.1 + 2.1, rtol=1e-6)
    np.testing.assert_allclose(updates["conv1"]["bn"]["scale"], 0.9 * 2 + 2, rtol=1e-6)


def test_clipping_bounds_the_global_norm():
    config = plain(optimizer__clip_norm=0.5, optimizer__momentum=0.0)
    optimizer = make_optimizer(config.optimizer)
    updates, _ = optimizer.update(PARAMS, optimizer.init(PARAMS), PARAMS)
    assert float(optax.tree.norm(updates)) == pytest.approx(0.5, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "decayed_too", "alone"),
    [
        ("adamw", 1 + 0.1, 1.0),  # Adam's first step is the gradient's sign; decay stands beside it
        ("rmsprop", 1.1 / (0.1 * 1.1**2) ** 0.5, 1 / 0.1**0.5),  # by the root of a tenth of the squared gradient
    ],
)
def test_the_first_step_of_other_optimizers(name, decayed_too, alone):
    exclude = {"optimizer__weight_decay_exclude": ("norm", "bias")}
    optimizer = make_optimizer(small_config(optimizer__name=name, optimizer__weight_decay=0.1, **exclude).optimizer)
    updates, _ = optimizer.update(PARAMS, optimizer.init(PARAMS), PARAMS)
    np.testing.assert_allclose(updates["conv1"]["kernel"], decayed_too, rtol=1e-4)
    np.testing.assert_allclose(updates["conv1"]["bias"], alone, rtol=1e-4)
    np.testing.assert_allclose(updates["conv1"]["bn"]["scale"], alone, rtol=1e-4)
