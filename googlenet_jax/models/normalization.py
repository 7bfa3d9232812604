"""Local response normalisation, and batch normalisation with a gradient of few passes, with or without a max pool."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from googlenet_jax.models.backend import barrier, by_backend
from googlenet_jax.models.pooling import Pool, first_maximum, hand_back

_CUT = 255  # the index of a window whose maximum the ReLU makes 0: none of its elements takes a gradient


class ResponseNorm(NamedTuple):
    """The constants of local response normalisation: x / (k + alpha / size * sum of x^2 over size channels)^beta."""

    size: int
    alpha: float
    beta: float
    k: float


LRN = ResponseNorm(size=5, alpha=1e-4, beta=0.75, k=1.0)  # Caffe's bvlc_googlenet


def local_response_norm(x: jax.Array, constants: ResponseNorm = LRN) -> jax.Array:
    """Local response normalisation across channels.

    Args:
      x: (..., c) array.
      constants: as in Caffe's LRNLayer, whose formula this is; the channels are centred and clipped at the ends.

    Returns:
      Array like x; the arithmetic is float32.
    """
    size, alpha, beta, k = constants
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
    return _scaled(x, factor, shift - mean * factor, relu)


def _scaled(x: jax.Array, factor: jax.Array, offset: jax.Array, relu: bool) -> jax.Array:
    y = x * by_channel(factor) + by_channel(offset)
    return (jnp.maximum(y, 0) if relu else y).astype(x.dtype)


class Statistics(NamedTuple):
    """Of a batch: what batch norm does to a channel.

    Attributes:
      mean, inverse_std: (c,) float32 arrays.
      factor, offset: (c,) float32 arrays: x * factor + offset is normalised, scaled and shifted.
    """

    mean: jax.Array
    inverse_std: jax.Array
    factor: jax.Array
    offset: jax.Array


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
    stats, var = _observe(x, scale, shift, epsilon, axis_name)
    return (_scaled(x, stats.factor, stats.offset, relu), stats.mean, var), (x, stats)


def _batch_norm_backward(epsilon: float, relu: bool, axis_name: str | None, residuals: Any, cotangents: Any) -> Any:
    x, stats = residuals
    # On a GPU the barrier keeps XLA from storing the ReLU's mask in the forward pass: x says it again.
    x = barrier(x)
    wide, dy = x.astype(stats.mean.dtype), cotangents[0].astype(stats.mean.dtype)
    if relu:
        dy = jnp.where(wide * by_channel(stats.factor) + by_channel(stats.offset) > 0, dy, 0)
    d_shift, dy_x = _sums(dy, dy * wide)
    return _gradients(x, dy, stats, d_shift, dy_x, axis_name)


batch_norm.defvjp(_batch_norm_forward, _batch_norm_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4, 5))
def batch_norm_pool(
    x: jax.Array, scale: jax.Array, shift: jax.Array, epsilon: float, axis_name: str | None, pool: Pool
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Batch normalisation, ReLU and a max pool, of which the pool comes first.

    The greatest of normalised values is the normalised greatest value, or least where the channel's factor is negative.
    So neither the normalised map nor its gradient is ever in memory at full size.

    Args:
      x: (n, h, w, c) array.
      scale, shift, epsilon, axis_name: as in `batch_norm`.
      pool: the geometry.

    Returns:
      (y (n, h', w', c) of x's dtype, mean (c,), biased variance (c,)); no gradient flows through the statistics.
    """
    return _batch_norm_pool_forward(x, scale, shift, epsilon, axis_name, pool)[0]


def _batch_norm_pool_forward(
    x: jax.Array, scale: jax.Array, shift: jax.Array, epsilon: float, axis_name: str | None, pool: Pool
) -> tuple[Any, Any]:
    stats, var = _observe(x, scale, shift, epsilon, axis_name)
    sign = by_channel(jnp.where(stats.factor < 0, -1, 1).astype(x.dtype))
    greatest, index = first_maximum(x * sign, pool)
    chosen = greatest * sign
    y = jnp.maximum(chosen * by_channel(stats.factor) + by_channel(stats.offset), 0)
    index = jnp.where(y > 0, index, jnp.uint8(_CUT))
    return (y.astype(x.dtype), stats.mean, var), (x, chosen, index, stats)


def _batch_norm_pool_backward(
    epsilon: float, axis_name: str | None, pool: Pool, residuals: Any, cotangents: Any
) -> Any:
    x, chosen, index, stats = residuals
    dy = cotangents[0]
    passed = jnp.where(index == _CUT, 0, dy).astype(stats.mean.dtype)
    spread = hand_back(index, dy, pool, x.shape[1:3]).astype(stats.mean.dtype)
    d_shift, dy_x = _sums(passed, passed * chosen)  # over windows, not pixels
    return _gradients(x, spread, stats, d_shift, dy_x, axis_name)


batch_norm_pool.defvjp(_batch_norm_pool_forward, _batch_norm_pool_backward)


def _observe(
    x: jax.Array, scale: jax.Array, shift: jax.Array, epsilon: float, axis_name: str | None
) -> tuple[Statistics, jax.Array]:
    """A batch's statistics, and its biased variance."""
    wide = x.astype(scale.dtype)
    total, squares = _sums(wide, jnp.square(wide))
    mean, square = _means(total, squares, x, axis_name)
    var = jnp.maximum(square - jnp.square(mean), 0)
    inverse_std = lax.rsqrt(var + epsilon)
    factor = scale * inverse_std
    return Statistics(mean, inverse_std, factor, shift - mean * factor), var


def _gradients(
    x: jax.Array, dy: jax.Array, stats: Statistics, d_shift: jax.Array, dy_x: jax.Array, axis_name: str | None
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Of x, scale and shift, from the gradient of the normalised map, its sum, and that of its products with x."""
    d_scale = (dy_x - stats.mean * d_shift) * stats.inverse_std
    mean_dy, mean_dy_x = _means(d_shift, d_scale, x, axis_name)
    slope = stats.factor * stats.inverse_std * mean_dy_x
    level = stats.factor * mean_dy - stats.mean * slope
    dx = dy * by_channel(stats.factor) - x * by_channel(slope) - by_channel(level)
    return dx.astype(x.dtype), d_scale, d_shift


@jax.jit
def _sums(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Of two maps over all but the channels; on a GPU by one reduction of both."""

    def apart(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
        return a.sum((0, 1, 2)), b.sum((0, 1, 2))

    def together(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
        zero = jnp.zeros((), a.dtype)
        return lax.reduce((a, b), (zero, zero), lambda s, t: (s[0] + t[0], s[1] + t[1]), (0, 1, 2))

    return by_backend(a, b, cpu=apart, others=together)


def _means(a: jax.Array, b: jax.Array, x: jax.Array, axis_name: str | None) -> tuple[jax.Array, jax.Array]:
    """Two sums over a map x as means over it on all devices, which exchange one array."""
    count = x.size // x.shape[-1]
    if axis_name is None:
        return a / count, b / count
    both = lax.psum(jnp.stack([a, b]), axis_name) * (1 / (count * lax.axis_size(axis_name)))
    return both[0], both[1]
