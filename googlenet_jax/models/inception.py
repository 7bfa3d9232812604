"""The inception block (arXiv 1409.4842, Figure 2b) and the auxiliary head (its section 5)."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from googlenet_jax.models.averaging import adaptive_average_pool, average_pool
from googlenet_jax.models.backend import meeting
from googlenet_jax.models.layers import ConvUnit, Dropout, run_together
from googlenet_jax.models.pooling import Pool, max_pool
from googlenet_jax.models.variants import Variant


class Widths(NamedTuple):
    """Output channels of a block's six convolutions: a row of the paper's Table 1."""

    one: int
    three_reduce: int
    three: int
    five_reduce: int
    five: int
    pool_proj: int

    @property
    def total(self) -> int:
        """Channels of the block's output."""
        return self.one + self.three + self.five + self.pool_proj


class Inception(nn.Module):
    """Parallel 1x1, 3x3, 5x5 and pooled branches, concatenated.

    Attributes:
      widths: of the branches.
      variant: the family.
      unit: makes a `ConvUnit` from (in_features, features, ...), with the family and dtype filled in.
      pool: a max pool that comes last.
    """

    widths: Widths
    variant: Variant
    unit: Callable[..., ConvUnit]
    pool: Pool | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """(n, h, w, c) -> (n, h, w, widths.total), or what the pool makes of it."""
        w, width = self.widths, x.shape[-1]
        last = functools.partial(self.unit, pool=self.pool)  # each branch is pooled alone: a pool mixes no channels
        siblings = [
            last(width, w.one, name="1x1"),
            self.unit(width, w.three_reduce, name="3x3_reduce"),
            self.unit(width, w.five_reduce, name="5x5_reduce"),
        ]
        one, three, five = run_together(siblings, x, train)
        three = last(w.three_reduce, w.three, 3, name="3x3")(three, train)
        five = last(w.five_reduce, w.five, self.variant.window_5x5, name="5x5")(five, train)
        around = max_pool(x, Pool(3, 1, "same"))
        pooled = last(width, w.pool_proj, name="pool_proj")(around, train)
        y = meeting(jnp.concatenate([one, three, five, pooled], -1))
        return nn.relu(y) if self.variant.relu == "concat" else y


class AuxiliaryHead(nn.Module):
    """A small classifier on an intermediate feature map; trained with the network, left out at inference.

    Attributes:
      num_classes: width of the output.
      variant, unit: as in `Inception`.
      hidden_relu: whether a ReLU follows the hidden layer.
      dtype: of the products; axis_name: `Dropout.axis_name`.
    """

    num_classes: int
    variant: Variant
    unit: Callable[..., ConvUnit]
    hidden_relu: bool = True
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """(n, h, w, c) -> logits (n, num_classes), float32."""
        v = self.variant
        x = adaptive_average_pool(x, 4) if v.aux_pool == "adaptive" else average_pool(x, 5, 3)
        x = self.unit(x.shape[-1], 128, relu=v.aux_relu[0], name="conv")(x, train)
        # Hidden weights are ordered by channel, row, column, as in every published checkpoint.
        x = x.transpose(0, 3, 1, 2).reshape(x.shape[0], -1)
        x = nn.Dense(1024, dtype=self.dtype, kernel_init=v.hidden_init, bias_init=v.hidden_bias_init, name="fc")(x)
        x = nn.relu(x) if self.hidden_relu else x
        x = Dropout(v.aux_dropout, v.dropout_scales, self.axis_name)(x, train)
        return nn.Dense(self.num_classes, kernel_init=v.dense_init, bias_init=v.dense_bias_init, name="classifier")(x)
