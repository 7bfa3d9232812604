"""Layers against plain formulas."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from googlenet_jax.models import convolution
from googlenet_jax.models.convolution import convolve
from googlenet_jax.models.layers import ConvUnit, Dropout, run_together
from googlenet_jax.models.normalization import batch_norm, batch_norm_pool, by_channel, local_response_norm
from googlenet_jax.models.pooling import Pool, max_pool
from googlenet_jax.models.variants import PRESETS


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize(
    ("stride", "sides"),
    [(1, (12, 12)), (1, (7, 10)), (2, (12, 12)), (2, (7, 10)), (2, (9, 3)), (4, (7, 10)), (4, (9, 3))],
)
@pytest.mark.parametrize("window", [7, 3])
@pytest.mark.parametrize("backend", ["cpu", "others"])
def test_few_channels_are_the_same_convolution_on_every_backend(
    backend, window, sides, stride, same, as_on, monkeypatch
):
    monkeypatch.setattr(convolution, "_CACHE", 100)  # bytes: parts of the batch, as of a large one
    random = np.random.default_rng(0)
    x, kernel = random.standard_normal((2, *sides, 3)), random.standard_normal((window, window, 3, 5))
    padding = "SAME" if same else [(window // 2, window // 2)] * 2

    def plain(x, kernel):
        numbers = ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(x, kernel, (stride, stride), padding, dimension_numbers=numbers)

    with jax.enable_x64():
        as_on(backend)
        y, pull = jax.vjp(lambda x, kernel: convolve(x, kernel, stride, same), x, kernel)
        y_plain, pull_plain = jax.vjp(plain, x, kernel)
        np.testing.assert_allclose(y, y_plain, atol=1e-12)
        for ours, plains in zip(pull(np.ones_like(y) + y), pull_plain(np.ones_like(y) + y), strict=True):
            np.testing.assert_allclose(ours, plains, atol=1e-10)


@pytest.mark.parametrize("side", [1, 2, 3, 7])
@pytest.mark.parametrize("window", [1, 3, 5])
def test_every_shortcut_is_the_same_convolution(side, window, monkeypatch):
    monkeypatch.setattr(convolution, "_CACHE", 2000)  # the largest maps: three images, then two
    rng = np.random.default_rng(0)
    x = rng.standard_normal((5, side, max(side - 1, 1), 6)).astype(np.float32)
    kernel = rng.standard_normal((window, window, 6, 4)).astype(np.float32)

    def reference(x, kernel):
        return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    y, pull = jax.vjp(convolve, x, kernel)
    y_reference, pull_reference = jax.vjp(reference, x, kernel)
    np.testing.assert_allclose(y, y_reference, atol=1e-5)
    for got, expected in zip(pull(y), pull_reference(y), strict=True):
        np.testing.assert_allclose(got, expected, atol=2e-4, rtol=1e-5)


def test_local_response_norm_is_caffes_formula():
    x = np.random.default_rng(0).standard_normal((2, 3, 3, 9)).astype(np.float32) * 50
    expected = np.empty_like(x)
    for c in range(9):
        window = x[..., max(c - 2, 0) : c + 3]
        expected[..., c] = x[..., c] / (1 + 1e-4 / 5 * np.square(window).sum(-1)) ** 0.75
    np.testing.assert_allclose(local_response_norm(x), expected, rtol=1e-5)


@pytest.mark.parametrize("backend", ["cpu", "others"])
@pytest.mark.parametrize("pool", [None, Pool(3, 2, "ceil"), Pool(3, 2, "same"), Pool(2, 2, "floor")])
@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("devices", [1, 4])
def test_batch_norm_gradient_is_that_of_the_plain_formula(devices, relu, pool, backend, as_on):
    as_on(backend)
    with jax.enable_x64():
        rng = np.random.default_rng(0)
        x = rng.standard_normal((8, 6, 5, 5)) * 2 + 1
        scale, shift = rng.standard_normal((2, 5))
        assert (scale < 0).any() and (scale > 0).any()

        def plain(x, scale, shift):
            mean, var = x.mean((0, 1, 2), keepdims=True), x.var((0, 1, 2), keepdims=True)
            y = (x - mean) / jnp.sqrt(var + 1e-3) * by_channel(scale) + by_channel(shift)
            y = jnp.maximum(y, 0) if relu else y
            if pool is None:
                return y
            (window, stride, _), padding = pool, ((0, 0), *pool.padding(x.shape[1:3]), (0, 0))
            return lax.reduce_window(y, -jnp.inf, lax.max, (1, window, window, 1), (1, stride, stride, 1), padding)

        def ours(x, scale, shift):
            if pool is not None and relu:
                return batch_norm_pool(x, scale, shift, 1e-3, "batch", pool)
            y, mean, var = batch_norm(x, scale, shift, 1e-3, relu, "batch")
            return (y if pool is None else max_pool(y, pool)), mean, var

        def on_device(x, dy, scale, shift):
            (y, mean, var), pull = jax.vjp(ours, x, scale, shift)
            dx, d_scale, d_shift = pull((dy, jnp.zeros_like(mean), jnp.zeros_like(var)))
            return y, dx, lax.psum(d_scale, "batch"), lax.psum(d_shift, "batch"), mean, var

        y_plain, pull_plain = jax.vjp(plain, x, scale, shift)
        dy = rng.standard_normal(y_plain.shape)
        parts = (a.reshape(devices, -1, *a.shape[1:]) for a in (x, dy))
        y, dx, d_scale, d_shift, mean, var = jax.pmap(on_device, "batch", in_axes=(0, 0, None, None))(
            *parts, scale, shift
        )
        dx_plain, d_scale_plain, d_shift_plain = pull_plain(dy)
        np.testing.assert_allclose(y.reshape(y_plain.shape), y_plain, atol=1e-12)
        np.testing.assert_allclose(dx.reshape(x.shape), dx_plain, atol=1e-12)
        np.testing.assert_allclose(d_scale[0], d_scale_plain, atol=1e-12)
        np.testing.assert_allclose(d_shift[0], d_shift_plain, atol=1e-12)
        np.testing.assert_allclose(mean[0], x.mean((0, 1, 2)), atol=1e-12)
        np.testing.assert_allclose(var[0], x.var((0, 1, 2)), atol=1e-12)


class Siblings(nn.Module):
    """Three 1x1 units on one input, together or each for itself."""

    together: bool
    variant: str

    @nn.compact
    def __call__(self, x, train):
        units = [ConvUnit(PRESETS[self.variant], 6, width, name=f"u{width}") for width in (4, 2, 3)]
        return run_together(units, x, train) if self.together else [unit(x, train) for unit in units]


@pytest.mark.parametrize("variant", ["paper", "batchnorm", "mindcv"])
def test_siblings_run_together_as_they_do_alone(variant):
    x = np.random.default_rng(0).standard_normal((4, 3, 3, 6)).astype(np.float32)
    variables = Siblings(True, variant).init(jax.random.key(0), x, True)
    results = [Siblings(t, variant).apply(variables, x, True, mutable=["batch_stats"]) for t in (True, False)]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), *results)
    assert set(variables["params"]) == {"u4", "u2", "u3"}


def test_running_statistics_take_the_unbiased_variance():
    x = np.random.default_rng(0).standard_normal((4, 3, 3, 6)).astype(np.float32)
    unit = ConvUnit(PRESETS["batchnorm"], 6, 5)
    variables = unit.init(jax.random.key(0), x, True)
    products = np.asarray(convolve(x, variables["params"]["kernel"])).reshape(-1, 5)
    _, new = unit.apply(variables, x, True, mutable=["batch_stats"])
    stats = new["batch_stats"]["bn"]
    np.testing.assert_allclose(stats["mean"], 0.1 * products.mean(0), atol=1e-6)
    np.testing.assert_allclose(stats["var"], 0.9 + 0.1 * products.var(0, ddof=1), atol=1e-6)


def test_dropout_scales_in_training_or_at_inference():
    x = np.ones((64, 500), np.float32)
    key = {"dropout": jax.random.key(0)}
    inverted = Dropout(0.4).apply({}, x, True, rngs=key)
    assert set(np.unique(inverted)) == {np.float32(0), np.float32(1 / 0.6)}
    assert abs(float((inverted == 0).mean()) - 0.4) < 0.01
    np.testing.assert_array_equal(Dropout(0.4).apply({}, x, False), x)
    paddle = Dropout(0.4, "inference")
    assert set(np.unique(paddle.apply({}, x, True, rngs=key))) == {np.float32(0), np.float32(1)}
    np.testing.assert_allclose(paddle.apply({}, x, False), 0.6 * x)


def test_dropout_does_not_depend_on_how_devices_split_the_batch():
    x = np.ones((8, 20), np.float32)
    key = jax.random.key(3)
    whole = Dropout(0.5).apply({}, x, True, rngs={"dropout": key})

    def on_device(x):
        return Dropout(0.5, axis_name="batch").apply({}, x, True, rngs={"dropout": key})

    np.testing.assert_array_equal(jax.pmap(on_device, "batch")(x.reshape(4, 2, 20)).reshape(8, 20), whole)
