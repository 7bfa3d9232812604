"""Max pooling against XLA's own, average pooling against slow loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from googlenet_jax.models.averaging import adaptive_average_pool, average_pool
from googlenet_jax.models.pooling import Pool, max_pool, pool_padding

CASES = [  # height, width, window, stride, rounding
    (32, 32, 3, 2, "ceil"),
    (7, 10, 3, 2, "ceil"),
    (7, 10, 3, 2, "same"),
    (9, 8, 3, 2, "floor"),
    (4, 4, 2, 2, "ceil"),
    (5, 5, 2, 2, "same"),
    (5, 4, 3, 1, "same"),
    (2, 2, 3, 1, "ceil"),
    (1, 1, 3, 1, "same"),
    (2, 2, 3, 2, "ceil"),
]


def reference(x, window, stride, padding):
    windows, strides = (1, window, window, 1), (1, stride, stride, 1)
    return lax.reduce_window(x, -jnp.inf, lax.max, windows, strides, ((0, 0), *padding, (0, 0)))


@pytest.mark.parametrize("backend", ["cpu", "others"])
@pytest.mark.parametrize(("height", "width", "window", "stride", "rounding"), CASES)
def test_max_pool_and_its_gradient_equal_xlas_with_many_ties(height, width, window, stride, rounding, backend, as_on):
    as_on(backend)
    rng = np.random.default_rng(0)
    x = np.maximum(rng.integers(-3, 4, (3, height, width, 5)), 0).astype(np.float32)  # after ReLU most values tie at 0
    padding = tuple(pool_padding(side, window, stride, rounding) for side in (height, width))
    y, pull = jax.vjp(lambda x: max_pool(x, Pool(window, stride, rounding)), x)
    y_reference, pull_reference = jax.vjp(lambda x: reference(x, window, stride, padding), x)
    np.testing.assert_array_equal(y, y_reference)
    dy = rng.standard_normal(y.shape).astype(np.float32)
    np.testing.assert_allclose(pull(dy)[0], pull_reference(dy)[0], atol=1e-6)


def test_max_pool_of_negative_maps_ignores_the_padding():
    x = -np.ones((1, 5, 5, 2), np.float32)
    np.testing.assert_array_equal(max_pool(x, Pool(3, 2, "same")), -np.ones((1, 3, 3, 2)))


def test_max_pool_gives_no_finite_gradient_for_a_nan():
    x = np.zeros((1, 4, 4, 1), np.float32)
    _, pull = jax.vjp(lambda x: max_pool(x, Pool(2, 2, "ceil")), x)
    assert not np.isfinite(pull(np.full((1, 2, 2, 1), np.nan, np.float32))[0]).all()


@pytest.mark.parametrize(
    ("size", "window", "stride", "rounding", "outputs"),
    [  # Caffe's and torch's ceil, TensorFlow's SAME, and floor, from the formulas in their documentation
        (112, 3, 2, "ceil", 56),
        (97, 3, 2, "ceil", 48),
        (98, 3, 2, "ceil", 49),
        (97, 3, 2, "same", 49),
        (14, 2, 2, "ceil", 7),
        (7, 2, 2, "ceil", 4),
        (112, 3, 2, "floor", 55),
        (55, 3, 2, "floor", 27),
        (28, 3, 1, "floor", 28),
    ],
)
def test_output_sizes(size, window, stride, rounding, outputs):
    before, after = pool_padding(size, window, stride, rounding)
    assert (size + before + after - window) // stride + 1 == outputs


def test_average_pool_clips_its_window_to_the_map():
    x = np.arange(2 * 14 * 14 * 3, dtype=np.float32).reshape(2, 14, 14, 3)
    y = average_pool(x, 5, 3)
    assert y.shape == (2, 4, 4, 3)
    np.testing.assert_allclose(y[1, 2, 3], x[1, 6:11, 9:14].mean((0, 1)), rtol=1e-6)
    np.testing.assert_allclose(average_pool(x[:, :2, :2], 5, 3)[:, 0, 0], x[:, :2, :2].mean((1, 2)), rtol=1e-6)
    np.testing.assert_allclose(
        jax.grad(lambda x: average_pool(x, 5, 3).sum())(x)[0, 3, 3], 4 / 25 * np.ones(3), rtol=1e-6
    )


@pytest.mark.parametrize("side", [14, 7, 2])
def test_adaptive_average_pool_takes_torchs_windows(side):
    x = np.random.default_rng(0).standard_normal((1, side, side, 2)).astype(np.float32)
    y = adaptive_average_pool(x, 4)
    for i in range(4):
        for j in range(4):
            rows = slice(int(np.floor(i * side / 4)), int(np.ceil((i + 1) * side / 4)))
            columns = slice(int(np.floor(j * side / 4)), int(np.ceil((j + 1) * side / 4)))
            np.testing.assert_allclose(y[0, i, j], x[0, rows, columns].mean((0, 1)), rtol=1e-5)
