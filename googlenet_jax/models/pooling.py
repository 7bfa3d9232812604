"""Max pooling whose gradient is fast on a CPU, and average pooling.

XLA's CPU backend turns the gradient of a `reduce_window` maximum into scatters, which take most of a training step.
There, `max_pool` keeps which element of each window was the maximum (one byte) and hands gradients back by shifts.
Elsewhere it is XLA's own. Both send a tied window's gradient to its first maximum in row-major order.
"""

import functools
from collections.abc import Callable
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

Padding = tuple[tuple[int, int], tuple[int, int]]


def pool_padding(size: int, window: int, stride: int, rounding: Literal["ceil", "same", "floor"]) -> tuple[int, int]:
    """Padding before and after one axis that gives a pool the output size of `rounding`.

    Args:
      size: length of the axis in pixels.
      window, stride: of the pool, in pixels. At stride 1 the size is kept, whatever the rounding.
      rounding: see `Variant.pool_rounding`.

    Returns:
      (before, after) in pixels.
    """
    if stride == 1 or rounding == "same":
        total = max((-(-size // stride) - 1) * stride + window - size, 0)
        return total // 2, total - total // 2
    if rounding == "floor":
        return 0, max(window - size, 0)
    outputs = max(-(-(size - window) // stride), 0) + 1
    return 0, (outputs - 1) * stride + window - size


def max_pool(x: jax.Array, window: int, stride: int, padding: Padding) -> jax.Array:
    """Max pooling; padding never wins.

    Args:
      x: (n, h, w, c) float array.
      window, stride: side of the square window and its step, in pixels.
      padding: (before, after) of the height and of the width, in pixels.

    Returns:
      (n, h', w', c) array of x's dtype, h' = (h + padding - window) // stride + 1.
    """
    if jax.default_backend() == "cpu":
        return _indexed_max_pool(x, window, stride, padding, x.shape[1:3])
    return nn.max_pool(x, window_shape=(window, window), strides=(stride, stride), padding=padding)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3, 4))
def _indexed_max_pool(x: jax.Array, window: int, stride: int, padding: Padding, sides: tuple[int, int]) -> jax.Array:
    for axis in (1, 2):  # the maximum of a square is that of its rows' maxima
        pads = [(0, 0, 0)] * 4
        pads[axis] = (*padding[axis - 1], 0)
        padded = lax.pad(x, jnp.asarray(-jnp.inf, x.dtype), pads)
        outputs = (padded.shape[axis] - window) // stride + 1
        span = (outputs - 1) * stride + 1
        x = functools.reduce(jnp.maximum, [lax.slice_in_dim(padded, i, i + span, stride, axis) for i in range(window)])
    return x


def _forward(
    x: jax.Array, window: int, stride: int, padding: Padding, sides: tuple[int, int]
) -> tuple[jax.Array, jax.Array]:
    def first_maximum(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        padded = lax.pad(x, jnp.asarray(-jnp.inf, x.dtype), ((0, 0, 0), (*padding[0], 0), (*padding[1], 0), (0, 0, 0)))
        rows, columns = ((side - window) // stride * stride + 1 for side in padded.shape[1:3])
        maximum = index = None
        for tap in range(window * window):
            i, j = divmod(tap, window)
            value = padded[:, i : i + rows : stride, j : j + columns : stride]
            if maximum is None or index is None:
                maximum, index = value, jnp.zeros(value.shape, jnp.uint8)
            else:
                index = jnp.where(value > maximum, jnp.uint8(tap), index)
                maximum = jnp.maximum(maximum, value)
        assert maximum is not None and index is not None
        return maximum, index

    return _in_own_computation(first_maximum, x)


def _backward(
    window: int, stride: int, padding: Padding, sides: tuple[int, int], index: jax.Array, dy: jax.Array
) -> tuple[jax.Array]:
    def hand_back(index: jax.Array, dy: jax.Array) -> jax.Array:
        # Input pixels fall into stride x stride phases; within one, each tap is a plain shift of its share of dy.
        lengths = [-(-(before + side) // stride) for side, (before, _) in zip(sides, padding, strict=True)]

        def phase(a: int, b: int) -> jax.Array:
            total = jnp.zeros((dy.shape[0], *lengths, dy.shape[3]), dy.dtype)
            for i in range(a, window, stride):
                for j in range(b, window, stride):
                    share = jnp.where(index == jnp.uint8(i * window + j), dy, 0)
                    shifts = [
                        (t // stride, n - o - t // stride, 0)
                        for t, n, o in zip((i, j), lengths, dy.shape[1:3], strict=True)
                    ]
                    total += lax.pad(share, jnp.zeros((), dy.dtype), ((0, 0, 0), *shifts, (0, 0, 0)))
            return total

        phases = jnp.stack([jnp.stack([phase(a, b) for b in range(stride)], 3) for a in range(stride)], 2)
        dx = phases.reshape(dy.shape[0], lengths[0] * stride, lengths[1] * stride, dy.shape[3])
        (top, _), (left, _) = padding
        return dx[:, top : top + sides[0], left : left + sides[1]]

    return (_in_own_computation(hand_back, index, dy),)


_indexed_max_pool.defvjp(_forward, _backward)


def _in_own_computation(f: Callable[..., Any], *args: jax.Array) -> Any:
    """f(*args), kept by a branch from being fused into its neighbours, which costs XLA's CPU backend what f saves.

    The branch not taken answers for a NaN in the last argument's first element, with NaN (a diverged step).
    """
    poisoned = jnp.isnan(args[-1].reshape(-1)[0])
    shapes = jax.eval_shape(f, *args)

    def nan(like: jax.ShapeDtypeStruct) -> jax.Array:
        return jnp.full(like.shape, jnp.nan if jnp.issubdtype(like.dtype, jnp.floating) else 0, like.dtype)

    return lax.cond(poisoned, lambda *_: jax.tree.map(nan, shapes), f, *args)


def average_pool(x: jax.Array, window: int, stride: int) -> jax.Array:
    """Average pooling without padding; a window larger than the map is clipped to it.

    Args:
      x: (n, h, w, c) float array.
      window, stride: in pixels.

    Returns:
      (n, h', w', c) array of x's dtype.
    """
    sides = min(window, x.shape[1]), min(window, x.shape[2])
    return nn.avg_pool(x, window_shape=sides, strides=(stride, stride))


def adaptive_average_pool(x: jax.Array, size: int) -> jax.Array:
    """Torch's adaptive average pooling: output i averages the rows floor(i h / size) to ceil((i + 1) h / size).

    Args:
      x: (n, h, w, c) float array.
      size: side of the output, in pixels.

    Returns:
      (n, size, size, c) array of x's dtype.
    """
    for axis in (1, 2):
        side = x.shape[axis]
        ends = [(i * side // size, -(-(i + 1) * side // size)) for i in range(size)]
        x = jnp.stack([lax.slice_in_dim(x, start, stop, 1, axis).mean(axis) for start, stop in ends], axis)
    return x
