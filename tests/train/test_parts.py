"""Schedule, optimizer, loss and loss scale against plain arithmetic."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import small_config

from googlenet_jax.errors import UserError
from googlenet_jax.evaluate.metrics import cross_entropy
from googlenet_jax.train.loss import total_loss
from googlenet_jax.train.optimizer import decayed, make_optimizer
from googlenet_jax.train.precision import make_loss_scale
from googlenet_jax.train.schedule import make_schedule

EPOCH = 12.5  # steps


def rate(epoch, num_epochs=100, **schedule):
    config = small_config(**{f"schedule__{name}": value for name, value in schedule.items()})
    return float(make_schedule(config.schedule, 0.4, EPOCH, num_epochs)(round(epoch * EPOCH)))


def test_constant_and_warmup():
    assert rate(50, name="constant") == pytest.approx(0.4)
    assert rate(0, name="constant", warmup_epochs=4) == 0
    assert rate(2, name="constant", warmup_epochs=4) == pytest.approx(0.2)
    assert rate(4, name="constant", warmup_epochs=4) == pytest.approx(0.4)


def test_piecewise_multiplies_at_each_boundary():
    steps = {"name": "piecewise", "boundaries": (30.0, 60.0, 80.0), "factors": (0.1, 0.2, 0.5)}
    assert rate(29, **steps) == pytest.approx(0.4)
    assert rate(31, **steps) == pytest.approx(0.04)
    assert rate(70, **steps) == pytest.approx(0.008)
    assert rate(99, **steps) == pytest.approx(0.004)


def test_piecewise_exponential_passes_through_the_same_points_smoothly():
    smooth = {"name": "piecewise_exponential", "boundaries": (40.0, 80.0), "factors": (0.25, 0.01)}
    assert rate(0, **smooth) == pytest.approx(0.4)
    assert rate(20, **smooth) == pytest.approx(0.2, rel=1e-5)
    assert rate(40, **smooth) == pytest.approx(0.1, rel=1e-5)
    assert rate(60, **smooth) == pytest.approx(0.01, rel=1e-5)
    assert rate(90, **smooth) == pytest.approx(0.001, rel=1e-5)
    warm = smooth | {"warmup_epochs": 4}
    assert rate(2, **warm) == pytest.approx(rate(4, **smooth) / 2, rel=1e-5)
    assert rate(40, **warm) == pytest.approx(0.1, rel=1e-5)


def test_exponential_falls_by_4_percent_every_8_epochs():
    assert rate(7.9, name="exponential") == pytest.approx(0.4)
    assert rate(16.1, name="exponential") == pytest.approx(0.4 * 0.96**2)
    assert rate(20, name="exponential", staircase=False) == pytest.approx(0.4 * 0.96**2.5, rel=1e-5)


def test_polynomial_is_caffes():
    assert rate(75, name="polynomial", power=0.5) == pytest.approx(0.4 * (1 - 0.75) ** 0.5, rel=1e-2)
    assert rate(100, name="polynomial", power=0.5, final_factor=0.1) == pytest.approx(0.04)


def test_cosine_starts_falling_after_warmup():
    assert rate(10, name="cosine", warmup_epochs=10) == pytest.approx(0.4)
    assert rate(55, name="cosine", warmup_epochs=10) == pytest.approx(0.2, rel=1e-2)
    assert rate(100, name="cosine", warmup_epochs=10) == pytest.approx(0, abs=1e-6)


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


@pytest.mark.parametrize("name", ["rmsprop", "adamw"])
def test_other_optimizers_give_finite_updates(name):
    optimizer = make_optimizer(small_config(optimizer__name=name, optimizer__weight_decay=0.1).optimizer)
    updates, _ = optimizer.update(PARAMS, optimizer.init(PARAMS), PARAMS)
    assert all(np.isfinite(leaf).all() and np.any(leaf) for leaf in jax.tree.leaves(updates))


def test_loss_is_smoothed_cross_entropy_plus_weighted_auxiliary_heads():
    rng = np.random.default_rng(0)
    heads = rng.standard_normal((3, 5, 4)).astype(np.float32)
    labels = np.array([0, 1, 2, 3, 1])
    targets = np.eye(4)[labels] * 0.9 + 0.1 / 4
    expected = [-(targets * (h - np.log(np.exp(h).sum(-1, keepdims=True)))).sum(-1) for h in heads]
    np.testing.assert_allclose(cross_entropy(heads[0], labels, 0.1), expected[0], rtol=1e-5)
    means = [e.mean() for e in expected]
    total = total_loss(tuple(map(jnp.asarray, heads)), labels, 0.1, 0.3)
    assert float(total) == pytest.approx(means[0] + 0.3 * (means[1] + means[2]), rel=1e-5)
    assert float(total_loss(jnp.asarray(heads[0]), labels, 0.1, 0.3)) == pytest.approx(means[0], rel=1e-5)


def test_dynamic_loss_scale_halves_and_doubles():
    config = small_config(
        precision__compute_dtype="float16", precision__loss_scale=8.0, precision__growth_steps=2
    ).precision
    scale = make_loss_scale(config)
    seen = []
    for finite in (False, True, True, True, False, False):
        scale = scale.update(jnp.asarray(finite))
        seen.append((float(scale.scale), int(scale.skipped), int(scale.skipped_in_a_row)))
    assert seen == [(4, 1, 1), (4, 1, 0), (8, 1, 0), (8, 1, 0), (4, 2, 1), (2, 3, 2)]


def test_fixed_and_no_loss_scale_stay():
    for scaling, expected in (("fixed", 1024.0), ("none", 1.0), ("auto", 1.0)):
        scale = make_loss_scale(small_config(precision__loss_scaling=scaling, precision__loss_scale=1024.0).precision)
        assert float(scale.update(jnp.asarray(False)).update(jnp.asarray(True)).scale) == expected
