"""Average pooling, plain and adaptive."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Stretches = list[tuple[int, int]]


def average_pool(x: jax.Array, window: int, stride: int) -> jax.Array:
    """Average pooling without padding; a window larger than the map is clipped to it.

    Args:
      x: (n, h, w, c) float array.
      window, stride: in pixels.

    Returns:
      (n, h', w', c) array of x's dtype.
    """
    for axis in (1, 2):
        x = _averages(x, axis, windows(x.shape[axis], window, stride))
    return x


def adaptive_average_pool(x: jax.Array, size: int) -> jax.Array:
    """Torch's adaptive average pooling: output i averages the rows floor(i h / size) to ceil((i + 1) h / size).

    Args:
      x: (n, h, w, c) float array.
      size: side of the output, in pixels.

    Returns:
      (n, size, size, c) array of x's dtype.
    """
    for axis in (1, 2):
        x = _averages(x, axis, parts(x.shape[axis], size))
    return x


def averaging(stretches: Stretches, side: int) -> np.ndarray:
    """What averages these stretches of an axis of a side, as a float32 matrix (outputs, side)."""
    matrix = np.zeros((len(stretches), side), np.float32)
    for row, (start, stop) in zip(matrix, stretches, strict=True):
        row[start:stop] = 1 / (stop - start)
    return matrix


def windows(side: int, window: int, stride: int) -> Stretches:
    """Of an axis, (start, stop) of each window that `average_pool` averages."""
    window = min(window, side)
    return [(start, start + window) for start in range(0, side - window + 1, stride)]


def parts(side: int, size: int) -> Stretches:
    """Of an axis, (start, stop) of each part that `adaptive_average_pool` averages."""
    return [(i * side // size, -(-(i + 1) * side // size)) for i in range(size)]


def _averages(x: jax.Array, axis: int, stretches: Stretches) -> jax.Array:
    """They are few: slices are faster than a window, whose gradient is a window too."""
    return jnp.stack([lax.slice_in_dim(x, start, stop, 1, axis).mean(axis) for start, stop in stretches], axis)
