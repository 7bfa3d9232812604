"""GoogLeNet (Szegedy et al., "Going Deeper with Convolutions", arXiv 1409.4842): the one network of all families."""

import functools
import itertools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from googlenet_jax.models.inception import AuxiliaryHead, Inception, Widths
from googlenet_jax.models.layers import ConvUnit, Dropout
from googlenet_jax.models.normalization import local_response_norm
from googlenet_jax.models.pooling import Pool, max_pool
from googlenet_jax.models.variants import PRESETS, Variant

# Table 1 of the paper: #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj.
TABLE_1 = {
    "3a": Widths(64, 96, 128, 16, 32, 32),
    "3b": Widths(128, 128, 192, 32, 96, 64),
    "4a": Widths(192, 96, 208, 16, 48, 64),
    "4b": Widths(160, 112, 224, 24, 64, 64),
    "4c": Widths(128, 128, 256, 24, 64, 64),
    "4d": Widths(112, 144, 288, 32, 64, 64),
    "4e": Widths(256, 160, 320, 32, 128, 128),
    "5a": Widths(256, 160, 320, 32, 128, 128),
    "5b": Widths(384, 192, 384, 48, 128, 128),
}

AUX_AFTER = {"4a": 1, "4d": 2}  # after which blocks the auxiliary heads stand, and their numbers (section 5)


class GoogLeNet(nn.Module):
    """The network; parameter names follow Table 1.

    Attributes:
      num_classes: width of the logits.
      variant: the family, one of `PRESETS` or made by `get_variant`.
      aux_heads: whether to train auxiliary heads after 4a and 4d, if the family has them.
      dtype: of convolutions and products; parameters, statistics and logits stay float32.
      axis_name: the mapped axis that splits the batch in training, None where there is none.
      sync_batch_norm: batch statistics over the whole batch rather than each device's part.
      blocks: keys of `TABLE_1`, in its order; all of them in the paper. Pools stand before the stages that are left.
    """

    num_classes: int = 1000
    variant: Variant = PRESETS["paper"]
    aux_heads: bool = True
    dtype: Any = jnp.float32
    axis_name: str | None = None
    sync_batch_norm: bool = True
    blocks: tuple[str, ...] = tuple(TABLE_1)

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False, aux: bool | None = None) -> Any:
        """Classifies a batch.

        Args:
          x: (n, h, w, 3) float array, normalised and in the channel order that the variant says.
          train: batch statistics and dropout (stream "dropout") as in training.
          aux: whether to return the auxiliary heads' logits too; None: in training.

        Returns:
          Logits (n, num_classes), float32; with auxiliary heads a tuple of the main, the 4a and the 4d head's.
        """
        v = self.variant
        unit = functools.partial(
            ConvUnit, v, dtype=self.dtype, bn_axis=self.axis_name if self.sync_batch_norm else None
        )
        head = functools.partial(AuxiliaryHead, self.num_classes, v, unit, dtype=self.dtype, axis_name=self.axis_name)
        has_aux = self.aux_heads and v.aux_heads
        with_aux = has_aux and (train if aux is None else aux)
        run_aux = with_aux or (has_aux and self.is_initializing())

        def pool(stride: int = 2, window: int = 3) -> Pool:
            return Pool(window, stride, v.pool_rounding)

        conv1_stride, *pool_strides = v.stem_strides
        pool1, pool2 = (pool(stride) if stride > 1 else None for stride in pool_strides)
        lrn = v.norm == "lrn"
        x = unit(3, 64, 7, conv1_stride, v.conv1_padding == "same", pool=pool1, name="conv1")(x, train)
        x = local_response_norm(x) if lrn else x
        x = unit(64, 64, name="conv2_reduce")(x, train)
        x = unit(64, 192, 3, pool=None if lrn else pool2, name="conv2")(x, train)
        x = local_response_norm(x) if lrn else x
        x = max_pool(x, pool2) if lrn and pool2 else x
        heads, before = [], {"4": pool(), "5": pool(window=v.pool4_window)}
        x = max_pool(x, before[self.blocks[0][0]]) if self.blocks[0][0] in before else x
        for block, following in itertools.pairwise((*self.blocks, "")):
            last = before[following[0]] if following and following[0] != block[0] else None
            has_head = block in AUX_AFTER and run_aux
            x = Inception(TABLE_1[block], v, unit, None if has_head else last, name=f"inception_{block}")(x, train)
            if has_head:
                number = AUX_AFTER[block]
                heads.append(head(hidden_relu=v.aux_relu[number], name=f"aux{number}")(x, train))
                x = x if last is None else max_pool(x, last)
        x = x.mean((1, 2))
        x = Dropout(v.dropout, v.dropout_scales, self.axis_name)(x, train)
        logits = nn.Dense(self.num_classes, kernel_init=v.dense_init, bias_init=v.dense_bias_init, name="classifier")(x)
        return (logits, *heads) if with_aux else logits
