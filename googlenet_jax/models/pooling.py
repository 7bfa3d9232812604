"""Max pooling that remembers where each maximum was.

XLA hands the gradient of a `reduce_window` maximum back by scatters: on a CPU they take most of a training step, on a
GPU they are atomic additions. Here the pool keeps which element of each window was the maximum (one byte), and the
gradient is elementwise. A tied window's goes to its first maximum in row-major order, as XLA's and torch's do.

Each is written as runs fastest on its backend, and tested against XLA's own:

|                          | CPU                         | elsewhere                                       |
| the maxima alone         | row by row                  | XLA's `reduce_window`                           |
| with their places        | all of a window at once, in | at stride 2 likewise, at stride 1 row by row    |
|                          | a computation of its own    |                                                 |
| the gradient             | by phases of the stride,    | by pixel, of the windows over it                |
|                          | likewise                    |                                                 |
"""

import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from googlenet_jax.models.backend import barrier, by_backend
from googlenet_jax.models.convolution import conv_padding

Rounding = Literal["ceil", "same", "floor"]
_NONE = 0, 0  # padding
NO_WINDOW, NO_ELEMENT = 254, 253  # beside a window's elements: of no window at all, of no element of this window


class Pool(NamedTuple):
    """The geometry of a max pool.

    Attributes:
      window, stride: side of the square window and its step, in pixels.
      rounding: see `Variant.pool_rounding`.
    """

    window: int
    stride: int
    rounding: Rounding

    def padding(self, sides: tuple[int, ...]) -> list[tuple[int, int]]:
        """Before and after each of these sides, in pixels; it never wins."""
        return [pool_padding(side, self.window, self.stride, self.rounding) for side in sides]


def pool_padding(size: int, window: int, stride: int, rounding: Rounding) -> tuple[int, int]:
    """Padding before and after one axis that gives a pool the output size of `rounding`.

    Args:
      size: length of the axis in pixels.
      window, stride: of the pool, in pixels. At stride 1 the size is kept, whatever the rounding.
      rounding: see `Variant.pool_rounding`.

    Returns:
      (before, after) in pixels.
    """
    if stride == 1 or rounding == "same":
        return conv_padding(size, window, stride, same=True)
    if rounding == "floor":
        return 0, max(window - size, 0)
    outputs = max(-(-(size - window) // stride), 0) + 1
    return 0, (outputs - 1) * stride + window - size


def max_pool(x: jax.Array, pool: Pool) -> jax.Array:
    """Max pooling.

    Args:
      x: (n, h, w, c) float array.
      pool: its geometry.

    Returns:
      (n, h', w', c) array of x's dtype, h' = (h + padding - window) // stride + 1.
    """
    return _max_pool(x, pool, x.shape[1:3])


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def _max_pool(x: jax.Array, pool: Pool, sides: tuple[int, int]) -> jax.Array:
    def row_by_row(x: jax.Array) -> jax.Array:
        rows, columns = pool.padding(sides)
        padded = _padded(x, rows, columns, -jnp.inf)
        for axis in (1, 2):  # a square's maximum is that of its rows' maxima
            padded = functools.reduce(jnp.maximum, _taps(padded, axis, pool))
        return padded

    def at_once(x: jax.Array) -> jax.Array:
        window, strides = (pool.window, pool.window), (pool.stride, pool.stride)
        return nn.max_pool(x, window_shape=window, strides=strides, padding=pool.padding(sides))

    return by_backend(x, cpu=row_by_row, others=at_once)


def _forward(x: jax.Array, pool: Pool, sides: tuple[int, int]) -> tuple[jax.Array, jax.Array]:
    return first_maximum(barrier(x), pool)  # x may be made by a concatenation


def _backward(pool: Pool, sides: tuple[int, int], index: jax.Array, dy: jax.Array) -> tuple[jax.Array]:
    return (hand_back(index, dy, pool, sides),)


_max_pool.defvjp(_forward, _backward)


@functools.partial(jax.jit, static_argnums=1)
def first_maximum(x: jax.Array, pool: Pool) -> tuple[jax.Array, jax.Array]:
    """Each window's maximum, and which of the window's elements is the first that has it.

    Args:
      x: (n, h, w, c) float array.
      pool: the geometry.

    Returns:
      (n, h', w', c) array of x's dtype, and one of uint8: the element's place in the window, in row-major order.
    """
    rows, columns = pool.padding(x.shape[1:3])
    lowest = -jnp.inf

    def at_once(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        padded = _padded(x, rows, columns, lowest)
        return _first(_numbered([tap for row in _taps(padded, 1, pool) for tap in _taps(row, 2, pool)]))

    def row_by_row(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        found = _first(_numbered(_taps(_padded(x, _NONE, columns, lowest), 2, pool)))
        maxima, places = lax.optimization_barrier(found)
        maxima, places = _padded(maxima, rows, _NONE, lowest), _padded(places, rows, _NONE, 0)
        of_rows = zip(_taps(maxima, 1, pool), _taps(places, 1, pool), strict=True)
        return _first([(tap, place + jnp.uint8(row * pool.window)) for row, (tap, place) in enumerate(of_rows)])

    # At stride 1 a GPU gains by writing the rows' maxima down; at stride 2 they are more than the windows'.
    others = row_by_row if pool.stride == 1 else at_once
    return by_backend(x, cpu=lambda x: _in_own_computation(at_once, x), others=others)


def _padded(x: jax.Array, rows: tuple[int, int], columns: tuple[int, int], fill: float) -> jax.Array:
    return lax.pad(x, jnp.asarray(fill, x.dtype), ((0, 0, 0), (*rows, 0), (*columns, 0), (0, 0, 0)))


def _taps(padded: jax.Array, axis: int, pool: Pool) -> list[jax.Array]:
    """All windows' first elements along an axis, all second ones, and so on."""
    span = (padded.shape[axis] - pool.window) // pool.stride * pool.stride + 1
    return [lax.slice_in_dim(padded, i, i + span, pool.stride, axis) for i in range(pool.window)]


def _numbered(taps: list[jax.Array]) -> list[tuple[jax.Array, jax.Array]]:
    return [(tap, jnp.full(tap.shape, place, jnp.uint8)) for place, tap in enumerate(taps)]


def _first(candidates: list[tuple[jax.Array, jax.Array]]) -> tuple[jax.Array, jax.Array]:
    """The greatest of some values, and the first place that has it."""
    best, place = candidates[0]
    for value, at in candidates[1:]:
        place = jnp.where(value > best, at, place)
        best = jnp.maximum(best, value)
    return best, place


@functools.partial(jax.jit, static_argnums=(2, 3))
def hand_back(index: jax.Array, dy: jax.Array, pool: Pool, sides: tuple[int, int]) -> jax.Array:
    """The gradient of a pool.

    Args:
      index: (n, h', w', c) uint8 array, of `first_maximum`; values that are no element's take no gradient.
      dy: (n, h', w', c) float array, the gradient of the maxima.
      pool: the geometry.
      sides: h and w of what was pooled, in pixels.

    Returns:
      (n, h, w, c) array of dy's dtype.
    """
    phases, pixels = (functools.partial(way, pool=pool, sides=sides) for way in (_by_phase, _by_pixel))
    return by_backend(index, dy, cpu=lambda *args: _in_own_computation(phases, *args), others=pixels)


def _lengths(pool: Pool, sides: tuple[int, int]) -> list[int]:
    """Strides that cover the sides, and what is padded before them."""
    return [-(-(before + side) // pool.stride) for side, (before, _) in zip(sides, pool.padding(sides), strict=True)]


def _cropped(dx: jax.Array, pool: Pool, sides: tuple[int, int]) -> jax.Array:
    (top, _), (left, _) = pool.padding(sides)
    return dx[:, top : top + sides[0], left : left + sides[1]]


def _by_phase(index: jax.Array, dy: jax.Array, pool: Pool, sides: tuple[int, int]) -> jax.Array:
    """Pixels fall into stride x stride phases; within one, each element of the window is a plain shift of its dy."""
    lengths, stride = _lengths(pool, sides), pool.stride

    def phase(a: int, b: int) -> jax.Array:
        total = jnp.zeros((dy.shape[0], *lengths, dy.shape[3]), dy.dtype)
        for i in range(a, pool.window, stride):
            for j in range(b, pool.window, stride):
                share = jnp.where(index == jnp.uint8(i * pool.window + j), dy, 0)
                total += _shifted(share, 0, (i // stride, j // stride), lengths)
        return total

    stacked = jnp.stack([jnp.stack([phase(a, b) for b in range(stride)], 3) for a in range(stride)], 2)
    return _cropped(stacked.reshape(len(dy), lengths[0] * stride, lengths[1] * stride, dy.shape[3]), pool, sides)


def _by_pixel(index: jax.Array, dy: jax.Array, pool: Pool, sides: tuple[int, int]) -> jax.Array:
    """Every pixel asks the windows over it: four of a 3x3 pool at stride 2.

    It is elementwise on a view (n, rows, stride, columns, stride, c), so XLA fuses it into what reads it, where stacked
    phases are written out first.
    """
    lengths, stride = _lengths(pool, sides), pool.stride
    view = (len(dy), lengths[0], stride, lengths[1], stride, dy.shape[3])
    total = jnp.zeros(view, dy.dtype)
    reach = -(-pool.window // stride)  # windows over a pixel, along an axis
    for a in range(reach):
        for b in range(reach):
            near, share = (
                lax.broadcast_in_dim(_shifted(values, fill, (a, b), lengths), view, (0, 1, 3, 5))
                for values, fill in ((index, NO_WINDOW), (dy, 0))
            )
            # Which element of the window that begins a rows and b columns of windows earlier the pixel is.
            i, j = (
                lax.broadcasted_iota(jnp.int32, (1, 1, stride, 1, stride, 1), axis) + stride * strides
                for axis, strides in ((2, a), (4, b))
            )
            inside = (i < pool.window) & (j < pool.window)
            element = jnp.where(inside, i * pool.window + j, NO_ELEMENT).astype(jnp.uint8)
            total += jnp.where(near == element, share, 0)
    return _cropped(total.reshape(len(dy), lengths[0] * stride, lengths[1] * stride, dy.shape[3]), pool, sides)


def _shifted(values: jax.Array, fill: int, by: tuple[int, int], lengths: list[int]) -> jax.Array:
    """(n, h', w', c) values moved down and right by so many windows, on a map of so many rows and columns."""
    rows, columns = ((t, n - o - t) for t, n, o in zip(by, lengths, values.shape[1:3], strict=True))
    return _padded(values, rows, columns, fill)


def _in_own_computation(f: Callable[..., Any], *args: jax.Array) -> Any:
    """f(*args), kept by a branch from being fused into its neighbours, which costs XLA's CPU backend what f saves.

    The branch not taken answers for a NaN in the last argument's first element, with NaN (a diverged step).
    """
    poisoned = jnp.isnan(args[-1].reshape(-1)[0])
    shapes = jax.eval_shape(f, *args)

    def nan(like: jax.ShapeDtypeStruct) -> jax.Array:
        return jnp.full(like.shape, jnp.nan if jnp.issubdtype(like.dtype, jnp.floating) else 0, like.dtype)

    return lax.cond(poisoned, lambda *_: jax.tree.map(nan, shapes), f, *args)
