"""Local response normalisation, and batch normalisation with a gradient of few passes."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax


def local_response_norm(
    x: jax.Array, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> jax.Array:
    """Local response normalisation across channels: x / (k + alpha / size * sum of x^2 over size channels)^beta.

    Args:
      x: (..., c) array.
      size: channels in the window, centred, clipped at the ends.
      alpha, beta, k: as in Caffe's LRNLayer, whose formula this is.

    Returns:
      Array like x; the arithmetic is float32.
    """
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    channel = jnp.arange(x.shape[-1])
    band = (jnp.abs(channel[:, None] - channel[None, :]) <= size // 2).astype(wide.dtype)
    # A product with a band matrix: sums along the innermost axis are slow as windows.
    energy = jnp.matmul(jnp.square(wide), band, precision=lax.Precision.HIGHEST)
    return (wide * (k + alpha / size * energy) ** -beta).astype(x.dtype)


def by_channel(values: jax.Array) -> jax.Array:
    """(c,) values as a (1, 1, 1, c) array, which goes with (n, h, w, c) maps."""
    return values[None, None, None]


def apply_norm(
    x: jax.Array, scale: jax.Array, shift: jax.Array, mean: jax.Array, inverse_std: jax.Array, relu: bool
) -> jax.Array:
    """(x - mean) * inverse_std * scale + shift, and ReLU if asked for.

    Args:
      x: (n, h, w, c) array.
      scale, shift, mean, inverse_std: (c,) float32 arrays.
      relu: whether a ReLU follows.

    Returns:
      Array like x; the arithmetic is float32.
    """
    factor = scale * inverse_std
    y = x * by_channel(factor) + by_channel(shift - mean * factor)
    return (jnp.maximum(y, 0) if relu else y).astype(x.dtype)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4, 5))
def batch_norm(
    x: jax.Array, scale: jax.Array, shift: jax.Array, epsilon: float, relu: bool, axis_name: str | None
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Batch normalisation by the batch's own statistics (arXiv 1502.03167, algorithm 1), and ReLU if asked for.

    The gradient is written out: it needs x and six vectors, where XLA would keep and read several maps.

    Args:
      x: (n, h, w, c) array.
      scale, shift: (c,) float32 arrays.
      epsilon: added to the variance.
      relu: whether a ReLU follows.
      axis_name: the mapped axis over which the statistics are those of the whole batch; None for this device's own.

    Returns:
      (y like x, mean (c,), biased variance (c,)); no gradient flows through the statistics.
    """
    return _batch_norm_forward(x, scale, shift, epsilon, relu, axis_name)[0]


def _batch_norm_forward(
    x: jax.Array, scale: jax.Array, shift: jax.Array, epsilon: float, relu: bool, axis_name: str | None
) -> tuple[Any, Any]:
    wide = x.astype(scale.dtype)
    mean, square = wide.mean((0, 1, 2)), jnp.square(wide).mean((0, 1, 2))
    if axis_name is not None:
        mean, square = lax.pmean((mean, square), axis_name)
    var = jnp.maximum(square - jnp.square(mean), 0)
    inverse_std = lax.rsqrt(var + epsilon)
    y = apply_norm(x, scale, shift, mean, inverse_std, relu)
    return (y, mean, var), (x, scale, shift, mean, inverse_std)


def _batch_norm_backward(epsilon: float, relu: bool, axis_name: str | None, residuals: Any, cotangents: Any) -> Any:
    x, scale, shift, mean, inverse_std = residuals
    wide, dy = x.astype(scale.dtype), cotangents[0].astype(scale.dtype)
    factor = scale * inverse_std
    if relu:
        dy = jnp.where(wide * by_channel(factor) + by_channel(shift - mean * factor) > 0, dy, 0)
    d_shift = dy.sum((0, 1, 2))
    d_scale = ((dy * wide).sum((0, 1, 2)) - mean * d_shift) * inverse_std
    count = x.size // x.shape[-1]
    mean_dy, mean_dy_x = d_shift / count, d_scale / count
    if axis_name is not None:
        mean_dy, mean_dy_x = lax.pmean((mean_dy, mean_dy_x), axis_name)
    slope = factor * inverse_std * mean_dy_x
    dx = dy * by_channel(factor) - wide * by_channel(slope) - by_channel(factor * mean_dy - mean * slope)
    return dx.astype(x.dtype), d_scale, d_shift


batch_norm.defvjp(_batch_norm_forward, _batch_norm_backward)
