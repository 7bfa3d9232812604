"""The convolution: one mathematics, written as runs fastest for its shape and backend.

Kernels are (height, width, in, out), feature maps (n, h, w, c).
"""

import functools
import itertools
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from googlenet_jax.models.backend import by_backend

_FULL = 8  # channels below which cuDNN leaves its fast way
_CACHE = 2**20  # bytes that stay in a core's cache while others pass through


def convolve(x: jax.Array, kernel: jax.Array, stride: int = 1, same: bool = False) -> jax.Array:
    """A convolution, as the product that runs fastest for its shape.

    Args:
      x: (n, h, w, c) array.
      kernel: (k, k, c, d) array of the same dtype.
      stride: in pixels.
      same: pad as TensorFlow's SAME does, which differs from k // 2 zeros on every side at stride 2 and even sizes.

    Returns:
      (n, h', w', d) array.
    """
    k, h, w = kernel.shape[0], *x.shape[1:3]
    if stride == 1:
        reach = max(h, w) - 1
        if k // 2 > reach:  # the outer taps only ever see padding
            cut = k // 2 - reach
            return convolve(x, kernel[cut : k - cut, cut : k - cut])
        if k == 1:
            return _convolve_1x1(x, kernel[0, 0])
        if max(h, w) < k:
            return by_backend(x, kernel, cpu=_convolve_patches, others=functools.partial(_convolve, 1, same))
    plainly = functools.partial(_convolve, stride, same)
    if x.shape[-1] < _FULL:
        return by_backend(x, kernel, cpu=plainly, others=functools.partial(_convolve_few, stride, same))
    return plainly(x, kernel)


@jax.custom_vjp
def _convolve_1x1(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """A 1x1 convolution: each pixel's channels times a (c, d) kernel."""
    return x @ kernel


def _backward_1x1(saved: Any, dy: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    rows, d_rows = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])

    def turned(rows: jax.Array, d_rows: jax.Array) -> jax.Array:
        return lax.optimization_barrier(rows.T) @ d_rows

    # A product along the rows of both is slow on XLA's CPU backend, where turning one of them first is not.
    return dy @ kernel.T, by_backend(rows, d_rows, cpu=turned, others=lambda rows, d_rows: rows.T @ d_rows)


_convolve_1x1.defvjp(lambda x, kernel: (_convolve_1x1(x, kernel), (x, kernel)), _backward_1x1)


def _convolve_patches(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """A convolution at stride 1 as one product with all that the kernel sees from each place, side by side.

    XLA's CPU backend swaps operands when the map is smaller than the kernel, and leaves its fast way.
    """
    k, h, w = kernel.shape[0], *x.shape[1:3]
    padded = jnp.pad(x, ((0, 0), (k // 2, k // 2), (k // 2, k // 2), (0, 0)))
    patches = jnp.concatenate([padded[:, i : i + h, j : j + w] for i in range(k) for j in range(k)], -1)
    return convolve(patches, kernel.reshape(1, 1, -1, kernel.shape[-1]))


def _product(stride: int, same: bool, x: jax.Array, kernel: jax.Array) -> jax.Array:
    padding = [conv_padding(side, kernel.shape[0], stride, same) for side in x.shape[1:3]]
    return lax.conv_general_dilated(x, kernel, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


_convolve = jax.custom_vjp(_product, nondiff_argnums=(0, 1))


def _forward(stride: int, same: bool, x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, Any]:
    return _product(stride, same, x, kernel), (x, kernel)


def _backward(stride: int, same: bool, saved: Any, dy: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    (dx,) = jax.linear_transpose(lambda x: _product(stride, same, x, kernel), x)(dy)

    def at_once(x: jax.Array, dy: jax.Array) -> jax.Array:
        return jax.linear_transpose(lambda kernel: _product(stride, same, x, kernel), kernel)(dy)[0]

    # For every few of a kernel's elements XLA's CPU backend goes through all of dy, which is to be in the cache.
    parts = min(len(x), -(-dy.nbytes // _CACHE))
    if parts < 2:
        return dx, at_once(x, dy)
    ends = [len(x) * part // parts for part in range(parts + 1)]

    def by_parts(x: jax.Array, dy: jax.Array) -> jax.Array:
        return functools.reduce(jnp.add, [at_once(x[a:b], dy[a:b]) for a, b in itertools.pairwise(ends)])

    return dx, by_backend(x, dy, cpu=by_parts, others=at_once)


_convolve.defvjp(_forward, _backward)


def conv_padding(side: int, window: int, stride: int, same: bool) -> tuple[int, int]:
    """Padding of one axis before and after, in pixels; arguments as for `convolve`."""
    if not same:
        return window // 2, window // 2
    total = max((-(-side // stride) - 1) * stride + window - side, 0)
    return total // 2, total - total // 2


def _convolve_few(stride: int, same: bool, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """A convolution of an image's three channels with as many as matrix units want.

    An image is cut into squares of stride x stride pixels, and all squares in a row that a kernel covers lie side by
    side as channels: what is left is a convolution along the columns, at stride 1.
    """
    window, _, channels, features = kernel.shape
    sides = x.shape[1:3]
    around = [conv_padding(side, window, stride, same) for side in sides]
    fronts = [-before % stride for before, _ in around]  # so that every output begins with a whole square
    squares = -(-(max(fronts) + window) // stride)  # that the kernel covers
    squares += -squares % max(_FULL // stride**2, 1)
    pads, kernel_pads = [], []
    for side, (before, after), front in zip(sides, around, fronts, strict=True):
        outputs = (side + before + after - window) // stride + 1
        kernel_pads.append((front, squares * stride - window - front, 0))
        pads.append((before + front, stride * (outputs + squares - 1) - side - before - front, 0))
    zero = jnp.zeros((), x.dtype)
    x = lax.pad(lax.optimization_barrier(x), zero, ((0, 0, 0), *pads, (0, 0, 0)))
    kernel = lax.pad(kernel, zero, (*kernel_pads, (0, 0, 0), (0, 0, 0)))
    n, h, w, _ = x.shape
    x = x.reshape(n, h // stride, stride, w // stride, stride * channels).transpose(0, 1, 3, 2, 4)
    outputs = w // stride - squares + 1
    x = jnp.stack([x[:, :, i : i + outputs] for i in range(squares)], 3).reshape(n, h // stride, outputs, -1)
    kernel = kernel.reshape(squares, stride, squares, stride * channels, features).transpose(0, 2, 1, 3, 4)
    kernel = kernel.reshape(squares, 1, -1, features)
    return lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
