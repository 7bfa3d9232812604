"""The train step: any number of devices, any number of parts, what is skipped, and that it learns."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import small_config

from googlenet_jax.evaluate.metrics import cross_entropy
from googlenet_jax.train.loss import total_loss
from googlenet_jax.train.packing import pack
from googlenet_jax.train.setup import build_training
from googlenet_jax.train.state import Measured

pytestmark = pytest.mark.slow


def run_steps(config, images, labels, steps=1):
    """State and metrics after some steps on one batch."""
    training = build_training(config, len(images), 4)
    state, measured = training.start()
    if config.precision.compute_dtype == "float64":
        # The types that the first step returns, so that the second is not compiled anew.
        state = jax.tree.map(lambda a: a.astype("float64") if a.dtype == "float32" else a, state)
        wide = {"float32": "float64", "int32": "int64"}
        measured = jax.tree.map(lambda a: a.astype(wide.get(str(a.dtype), a.dtype)), measured)
        state, measured = training.place((state, measured))
    for _ in range(steps):
        state, measured = training.step(state, measured, *training.split((images, labels)))
    return jax.device_get((state, measured.metrics.compute()))


def batch(n=16, size=32, classes=4):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (n, size, size, 3), dtype=np.uint8), (np.arange(n) % classes).astype(np.int32)


def difference(a, b):
    pairs = zip(jax.tree.leaves(a.variables), jax.tree.leaves(b.variables), strict=True)
    return max(float(np.abs(x - y).max()) for x, y in pairs)


def test_eight_devices_train_as_one_does():
    """With augmentation, mixing, dropout and synchronised batch norm; in float64, where rounding is no excuse."""
    with jax.enable_x64():
        changes = {"precision__compute_dtype": "float64", "augment__brightness": 0.4, "optimizer__weight_decay": 1e-4}
        changes |= {"augment__policy": "trivial", "augment__cutout": 8, "augment__mixup": 0.4, "augment__cutmix": 1.0}
        one, eight = (run_steps(small_config(num_devices=n, **changes), *batch(), steps=2) for n in (1, 8))
    assert one[1]["loss"] == pytest.approx(eight[1]["loss"], rel=1e-5)
    assert difference(one[0], eight[0]) < 1e-5


def after_one_step(config, step):
    """Variables before, and the state after the step of this number, from a new training's variables."""
    training = build_training(config, 16, 4)
    state, measured = training.start()
    before = training.take(state)
    state, _ = training.step(training.place(before.replace(step=jnp.int32(step))), measured, *training.split(batch()))
    return jax.device_get((before.variables, training.take(state)))


def test_a_later_step_has_its_own_rate_and_average():
    still = {"augment__crop": "none", "augment__flip": False, "model__dropout": 0.0}
    falling = {"schedule__name": "exponential", "schedule__warmup_epochs": 0.0, "schedule__decay_epochs": 100.0}
    config = small_config(num_devices=2, optimizer__ema_decay=0.9, schedule__decay_rate=0.5, **still, **falling)
    before, first = after_one_step(config, 0)
    _, late = after_one_step(config, 200)
    assert (first.step, late.step) == (1, 201)
    moved = jax.tree.map(np.subtract, first.variables["params"], before["params"])
    less = jax.tree.map(np.subtract, late.variables["params"], before["params"])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(b, a / 4, rtol=1e-3, atol=2e-7), moved, less)
    for state, kept in ((first, 1 / 10), (late, 0.9)):  # of the average, early on (1 + step) / (10 + step)
        wanted = jax.tree.map(lambda old, new, k=kept: k * old + (1 - k) * new, before, state.variables)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-6), wanted, state.ema)


def test_chance_is_another_at_each_step():
    config = small_config(num_devices=2)
    _, first = after_one_step(config, 0)
    _, again = after_one_step(config, 0)
    _, second = after_one_step(config, 1)
    assert difference(first, again) == 0
    gradients = [jax.tree.leaves(state.opt_state)[-1] for state in (first, second)]  # the momentum, whatever the rate
    assert np.abs(gradients[0] - gradients[1]).max() > 1e-3


def test_accumulated_parts_give_the_whole_batchs_gradient():
    """Without batch norm and dropout, whose results depend on the parts."""
    changes = {"model__variant": "mindcv", "model__dropout": 0.0, "num_devices": 2, "optimizer__learning_rate": 0.01}
    whole, parts = (run_steps(small_config(optimizer__accumulate_steps=k, **changes), *batch()) for k in (1, 4))
    assert difference(whole[0], parts[0]) < 1e-6
    assert whole[1]["loss"] == pytest.approx(parts[1]["loss"], rel=1e-5)


def test_trainings_that_differ_in_seed_and_rate_alone_compile_once():
    def program(**changes):
        training = build_training(small_config(num_devices=2, **changes), 16, 4)
        state = jax.eval_shape(lambda state: pack(state, *training.packings), training.abstract())
        given = (state, jax.eval_shape(Measured.empty), *training.split(batch()))
        return training.step.lower(*given).as_text()

    assert program() == program(seed=3, optimizer__learning_rate=0.7) != program(optimizer__weight_decay=0.1)


@pytest.mark.parametrize(
    "change",
    [
        {"model__sync_batch_norm": False},
        {"model__window_5x5": 3},
        {"model__aux_dropout": 0.1},
        {"loss__aux_weight": 0.7},
        {"loss__label_smoothing": 0.3},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_field_is_in_the_step(change):
    def program(**changes):
        config = small_config(num_devices=2, model__aux_heads=True, model__blocks=("3a", "4a"), **changes)
        training = build_training(config, 16, 4)
        state = jax.eval_shape(lambda state: pack(state, *training.packings), training.abstract())
        given = (state, jax.eval_shape(Measured.empty), *training.split(batch()))
        return training.step.lower(*given).as_text()

    assert program(**change) != program()


def test_a_mixed_images_loss_is_the_mixed_loss():
    rng = np.random.default_rng(0)
    logits, share = rng.standard_normal((6, 5)).astype(np.float32), rng.uniform(size=6)
    a, b = np.array([0, 1, 2, 3, 4, 4]), np.array([1, 1, 0, 4, 2, 4])
    targets = (share[:, None] * np.eye(5)[a] + (1 - share[:, None]) * np.eye(5)[b]).astype(np.float32)
    expected = share * cross_entropy(logits, a, 0.1) + (1 - share) * cross_entropy(logits, b, 0.1)
    np.testing.assert_allclose(cross_entropy(logits, targets, 0.1), expected, rtol=1e-5)
    both = total_loss((jnp.asarray(logits), jnp.asarray(2 * logits)), targets, 0.1, 0.3)
    head = share * cross_entropy(2 * logits, a, 0.1) + (1 - share) * cross_entropy(2 * logits, b, 0.1)
    assert float(both) == pytest.approx(float(expected.mean() + 0.3 * head.mean()), rel=1e-5)


def test_a_step_that_is_not_finite_is_skipped_and_counted():
    changes = {"precision__loss_scaling": "fixed", "precision__loss_scale": 1e30}
    config = small_config(precision__compute_dtype="float16", **changes)
    training = build_training(config, 16, 4)
    state, measured = training.start()
    before = jax.device_get(state)
    state, measured = training.step(state, measured, *training.split(batch()))
    after = jax.device_get(state)
    for kind in ("variables", "opt_state", "ema"):
        jax.tree.map(np.testing.assert_array_equal, getattr(before, kind), getattr(after, kind))
    assert (int(after.step), int(after.loss_scale.skipped), int(after.loss_scale.skipped_in_a_row)) == (1, 1, 1)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_one_batch_is_learnt_by_heart(dtype):
    changes = {"augment__crop": "none", "augment__flip": False, "model__dropout": 0.0, "optimizer__learning_rate": 0.01}
    changes |= {"loss__label_smoothing": 0.0, "optimizer__nesterov": False, "schedule__name": "constant"}
    training = build_training(small_config(precision__compute_dtype=dtype, **changes), 16, 4)
    state, measured = training.start()
    for step in range(25):
        if step == 20:
            measured = training.place(Measured.empty())
        state, measured = training.step(state, measured, *training.split(batch()))
    assert int(state.loss_scale.skipped) < 10
    assert measured.metrics.compute()["top1"] > 0.95
    assert {leaf.dtype for leaf in jax.tree.leaves(state.variables)} == {np.dtype("float32")}
