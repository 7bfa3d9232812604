"""The layers that GoogLeNet is made of: convolution with what follows it, normalisation, dropout.

Kernels are (height, width, in, out), feature maps (n, h, w, c). Parameters and statistics are float32; products run in
the module's `dtype`.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from googlenet_jax.models.variants import Variant


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
        if max(h, w) < 3:
            # XLA's CPU backend swaps operands when the map is smaller than the kernel and leaves its fast path.
            padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
            patches = jnp.concatenate([padded[:, i : i + h, j : j + w] for i in range(3) for j in range(3)], -1)
            return convolve(patches, kernel.reshape(1, 1, -1, kernel.shape[-1]))
    padding = "SAME" if same else ((k // 2, k // 2), (k // 2, k // 2))
    return lax.conv_general_dilated(x, kernel, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def local_response_norm(x: jax.Array, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> jax.Array:
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
    band = (jnp.abs(channel[:, None] - channel) <= size // 2).astype(wide.dtype)
    # A product with a band matrix: sums along the innermost axis are slow as windows.
    energy = jnp.matmul(jnp.square(wide), band, precision=lax.Precision.HIGHEST)
    return (wide * (k + alpha / size * energy) ** -beta).astype(x.dtype)


class BatchNorm(nn.Module):
    """Batch normalisation (arXiv 1502.03167), statistics in float32.

    Attributes:
      variant: gives epsilon, momentum and the running variance's convention.
      axis_name: the mapped axis over which statistics are those of the whole batch; None for this device's own.
    """

    variant: Variant
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Normalises x (n, h, w, c) by the batch's statistics in training, by the running ones otherwise."""
        features = x.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (features,))
        shift = self.param("bias", nn.initializers.zeros, (features,))
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, (features,), jnp.float32)
        running_var = self.variable("batch_stats", "var", jnp.ones, (features,), jnp.float32)
        if train:
            wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
            mean, square = wide.mean((0, 1, 2)), jnp.square(wide).mean((0, 1, 2))
            count = x.size // features
            if self.axis_name is not None and not self.is_initializing():
                mean, square = lax.pmean((mean, square), self.axis_name)
                count *= lax.axis_size(self.axis_name)
            var = jnp.maximum(square - jnp.square(mean), 0)
            if not self.is_initializing():
                keep = self.variant.bn_momentum
                correction = count / max(count - 1, 1) if self.variant.bn_unbiased_variance else 1.0
                running_mean.value = keep * running_mean.value + (1 - keep) * mean
                running_var.value = keep * running_var.value + (1 - keep) * correction * var
        else:
            mean, var = running_mean.value, running_var.value
        factor = scale * lax.rsqrt(var + self.variant.bn_epsilon)
        return (x * factor + (shift - mean * factor)).astype(x.dtype)


class ConvUnit(nn.Module):
    """A convolution with the family's bias or batch norm, and ReLU.

    Attributes:
      variant: the family.
      in_features, features: channels in and out.
      window, stride: side of the kernel and step, in pixels.
      same: as in `convolve`.
      relu: overrides whether a ReLU follows; None as the family has it.
      dtype: of the product; bn_axis: `BatchNorm.axis_name`.
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

    def setup(self) -> None:
        shape = (self.window, self.window, self.in_features, self.features)
        self.kernel = self.param("kernel", self.variant.conv_init, shape)
        if self.variant.conv_bias:
            self.bias = self.param("bias", self.variant.conv_bias_init, (self.features,))
        if self.variant.norm == "batchnorm":
            self.bn = BatchNorm(self.variant, self.bn_axis)

    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """(n, h, w, in_features) -> (n, h', w', features)."""
        return self.finish(convolve(x.astype(self.dtype), self.kernel.astype(self.dtype), self.stride, self.same), train)

    def finish(self, product: jax.Array, train: bool) -> jax.Array:
        """What follows the product: bias or batch norm, and ReLU."""
        if self.variant.conv_bias:
            product = product + self.bias.astype(product.dtype)
        if self.variant.norm == "batchnorm":
            product = self.bn(product, train)
        relu = self.variant.relu == "conv" if self.relu is None else self.relu
        return nn.relu(product) if relu else product


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
