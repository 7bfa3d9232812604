"""The layers that GoogLeNet is made of: convolution with what follows it, and dropout.

Kernels are (height, width, in, out), feature maps (n, h, w, c). Parameters and statistics are float32; products run in
the module's `dtype`.
"""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from googlenet_jax.models.convolution import convolve
from googlenet_jax.models.normalization import apply_norm, batch_norm, batch_norm_pool, by_channel
from googlenet_jax.models.pooling import Pool, max_pool
from googlenet_jax.models.variants import Variant


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
