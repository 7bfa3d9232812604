"""The layers that GoogLeNet is made of: convolution with what follows it, and dropout.

Kernels are (height, width, in, out), feature maps (n, h, w, c). Parameters and statistics are float32; products run in
the module's `dtype`.
"""

import functools
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from googlenet_jax.models.backend import by_backend
from googlenet_jax.models.normalization import apply_norm, batch_norm, batch_norm_pool, by_channel
from googlenet_jax.models.pooling import Pool, max_pool
from googlenet_jax.models.variants import Variant

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
            return lax.dot_general(x, kernel[0, 0], (((3,), (0,)), ((), ())))
    small = stride == 1 and max(h, w) < k
    on_cpu = _convolve_patches if small else functools.partial(_convolve_by_parts, stride, same)
    on_others = functools.partial(_convolve_few if x.shape[-1] < _FULL else _convolve, stride=stride, same=same)
    return by_backend(x, kernel, cpu=on_cpu, others=on_others)


def _convolve_patches(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """A convolution at stride 1 as one product with all that the kernel sees from each place, side by side.

    XLA's CPU backend swaps operands when the map is smaller than the kernel, and leaves its fast way.
    """
    k, h, w = kernel.shape[0], *x.shape[1:3]
    padded = jnp.pad(x, ((0, 0), (k // 2, k // 2), (k // 2, k // 2), (0, 0)))
    patches = jnp.concatenate([padded[:, i : i + h, j : j + w] for i in range(k) for j in range(k)], -1)
    return convolve(patches, kernel.reshape(1, 1, -1, kernel.shape[-1]))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _convolve_by_parts(stride: int, same: bool, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """A convolution whose kernel's gradient is the sum over parts of the batch that a core's cache holds.

    XLA's CPU backend goes through all of the output's gradient again for a few of the kernel's elements at a time.
    """
    return _convolve(x, kernel, stride, same)


def _by_parts_forward(stride: int, same: bool, x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, Any]:
    return _convolve(x, kernel, stride, same), (x, kernel)


def _by_parts_backward(stride: int, same: bool, saved: Any, dy: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    (dx,) = jax.linear_transpose(lambda x: _convolve(x, kernel, stride, same), x)(dy)
    parts = min(len(x), -(-dy.nbytes // _CACHE))
    ends = [len(x) * part // parts for part in range(parts + 1)]

    def gradient(x: jax.Array, dy: jax.Array) -> jax.Array:
        return jax.linear_transpose(lambda kernel: _convolve(x, kernel, stride, same), kernel)(dy)[0]

    return dx, functools.reduce(jnp.add, [gradient(x[a:b], dy[a:b]) for a, b in itertools.pairwise(ends)])


_convolve_by_parts.defvjp(_by_parts_forward, _by_parts_backward)


def _convolve(x: jax.Array, kernel: jax.Array, stride: int, same: bool) -> jax.Array:
    padding = [conv_padding(side, kernel.shape[0], stride, same) for side in x.shape[1:3]]
    return lax.conv_general_dilated(x, kernel, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def conv_padding(side: int, window: int, stride: int, same: bool) -> tuple[int, int]:
    """Padding of one axis before and after, in pixels; arguments as for `convolve`."""
    if not same:
        return window // 2, window // 2
    total = max((-(-side // stride) - 1) * stride + window - side, 0)
    return total // 2, total - total // 2


def _convolve_few(x: jax.Array, kernel: jax.Array, stride: int, same: bool) -> jax.Array:
    """A convolution of an image's three channels with as many as matrix units want.

    An image is cut into squares of stride x stride pixels, and all squares in a row that a kernel covers lie side by
    side as channels: what is left is a convolution along the columns, at stride 1.
    """
    (window, _, channels, features), pads, kernel_pads, squares = kernel.shape, [], [], 0
    for side in x.shape[1:3]:
        before, after = conv_padding(side, window, stride, same)
        outputs = (side + before + after - window) // stride + 1
        front = -before % stride  # so that every output begins with a whole square
        squares = -(-(front + window) // stride)  # that the kernel covers
        squares += -squares % (_FULL // stride**2)
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


class BatchNorm(nn.Module):
    """Scales, shifts and running statistics of `batch_norm`, float32.

    Attributes:
      features: channels.
      variant: gives momentum and the running variance's convention.
    """

    features: int
    variant: Variant

    def setup(self) -> None:
        self.scale = self.param("scale", nn.initializers.ones, (self.features,))
        self.bias = self.param("bias", nn.initializers.zeros, (self.features,))
        self.mean = self.variable("batch_stats", "mean", jnp.zeros, (self.features,), jnp.float32)
        self.var = self.variable("batch_stats", "var", jnp.ones, (self.features,), jnp.float32)

    def observe(self, mean: jax.Array, var: jax.Array, count: int) -> None:
        """Moves the running statistics towards a batch's: mean and biased variance (features,) of count values."""
        keep = self.variant.bn_momentum
        correction = count / max(count - 1, 1) if self.variant.bn_unbiased_variance else 1.0
        self.mean.value = keep * self.mean.value + (1 - keep) * mean
        self.var.value = keep * self.var.value + (1 - keep) * correction * var


class ConvUnit(nn.Module):
    """A convolution with the family's bias or batch norm, and ReLU.

    Attributes:
      variant: the family.
      in_features, features: channels in and out.
      window, stride: side of the kernel and step, in pixels.
      same: as in `convolve`.
      relu: overrides whether a ReLU follows; None as the family has it.
      dtype: of the product.
      bn_axis: the mapped axis over which batch statistics are those of the whole batch; None for this device's own.
      pool: a max pool that comes last.
    """

    variant: Variant
    in_features: int
    features: int
    window: int = 1
    stride: int = 1
    same: bool = False
    relu: bool | None = None
    dtype: Any = jnp.float32
    bn_axis: str | None = None
    pool: Pool | None = None

    def setup(self) -> None:
        shape = (self.window, self.window, self.in_features, self.features)
        self.kernel = self.param("kernel", self.variant.conv_init, shape)
        if self.variant.conv_bias:
            self.bias = self.param("bias", self.variant.conv_bias_init, (self.features,))
        if self.variant.norm == "batchnorm":
            self.bn = BatchNorm(self.features, self.variant)

    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """(n, h, w, in_features) -> (n, h', w', features)."""
        return run_together([self], x, train)[0]


def run_together(units: Sequence[ConvUnit], x: jax.Array, train: bool) -> list[jax.Array]:
    """Runs convolutions of the same input and geometry as one product; each keeps its own parameters.

    Args:
      units: alike but for their features, and pools after them.
      x: (n, h, w, c) array.
      train: normalise by the batch's statistics, and let the running ones follow.

    Returns:
      Each unit's (n, h', w', features) output.
    """
    first = units[0]
    kernel = _together(unit.kernel for unit in units).astype(first.dtype)
    y = convolve(x.astype(first.dtype), kernel, first.stride, first.same)
    for unit in units:
        unit.sow("intermediates", "product", y)  # for those who ask
    outputs, done = [], 0
    for pool, alike in itertools.groupby(units, lambda unit: unit.pool):
        group = list(alike)
        width = sum(unit.features for unit in group)
        outputs += _finish(group, y[..., done : done + width], pool, train)
        done += width
    return outputs


def _finish(units: Sequence[ConvUnit], y: jax.Array, pool: Pool | None, train: bool) -> list[jax.Array]:
    """Bias or batch norm, ReLU and pool of units whose convolutions gave y: each one's output."""
    first, cuts = units[0], np.cumsum([unit.features for unit in units])[:-1]
    relu = first.variant.relu == "conv" if first.relu is None else first.relu
    if first.variant.conv_bias:
        y = y + by_channel(_together(unit.bias for unit in units).astype(y.dtype))
    if first.variant.norm == "batchnorm":
        scale, shift = _together(unit.bn.scale for unit in units), _together(unit.bn.bias for unit in units)
        epsilon = first.variant.bn_epsilon
        if train:
            axis = None if first.is_initializing() else first.bn_axis
            count = y.size // y.shape[-1] * (lax.axis_size(axis) if axis else 1)
            if pool is not None and pool.stride > 1 and relu:
                y, mean, var = batch_norm_pool(y, scale, shift, epsilon, axis, pool)
                pool = None
            else:
                y, mean, var = batch_norm(y, scale, shift, epsilon, relu, axis)
            for unit, m, v in zip(units, jnp.split(mean, cuts), jnp.split(var, cuts), strict=True):
                if not unit.is_initializing():
                    unit.bn.observe(m, v, count)
        else:
            mean, var = _together(unit.bn.mean.value for unit in units), _together(unit.bn.var.value for unit in units)
            y = apply_norm(y, scale, shift, mean, lax.rsqrt(var + epsilon), relu)
    elif relu:
        y = nn.relu(y)
    return jnp.split(y if pool is None else max_pool(y, pool), cuts, -1)


def _together(arrays: Iterable[jax.Array]) -> jax.Array:
    return jnp.concatenate(list(arrays), -1)


class Dropout(nn.Module):
    """Dropout whose mask depends on an image's place in the whole batch, not on how devices split the batch.

    Attributes:
      rate: probability that a feature is dropped, 0 to 1.
      scales: see `Variant.dropout_scales`.
      axis_name: the mapped axis that splits the batch, None where there is none.
    """

    rate: float
    scales: str = "training"
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """(n, c) -> (n, c); in training by the random stream "dropout", without which nothing is dropped."""
        keep = 1.0 - self.rate
        if not train:
            return x * keep if self.scales == "inference" else x
        if self.rate == 0 or not self.has_rng("dropout"):
            return x
        n = x.shape[0]
        first = 0 if self.axis_name is None or self.is_initializing() else lax.axis_index(self.axis_name) * n
        keys = jax.vmap(jax.random.fold_in, (None, 0))(self.make_rng("dropout"), first + jnp.arange(n))
        mask = jax.vmap(lambda key: jax.random.bernoulli(key, keep, x.shape[1:]))(keys)
        return jnp.where(mask, x if self.scales == "inference" else x / keep, 0)
