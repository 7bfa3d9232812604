"""What differs between the GoogLeNet families, as data.

Every published GoogLeNet has the branch widths of the paper's Table 1; the families differ in the details
collected in `Variant`. `PRESETS` holds the ones that this project knows, `get_variant` looks them up.
"""

import dataclasses
from typing import Literal

from googlenet_jax.config.choices import FAMILIES, NORMALIZATIONS, STEMS, Normalization, chosen
from googlenet_jax.models.initializers import ONES, ZEROS, Initializer


@dataclasses.dataclass(frozen=True)
class Variant:
    """One family of GoogLeNets.

    Attributes:
      name: the preset's name.
      norm: local response normalisation after pool1 and conv2, batch norm after every convolution, or neither.
      conv_bias: whether convolutions have a bias.
      relu: after every convolution, or only after each inception block's concatenation.
      pool_rounding: how the stride-2 max pools treat a border that does not fill a window: "ceil" (Caffe, torch:
        the window is clipped at the end), "same" (TensorFlow, MindSpore: padding split over both ends), "floor"
        (the border is dropped).
      pool4_window: side of pool4's window, 3 or 2.
      window_5x5: side of the "5x5" branch's kernel, 5, or 3 in the families that never had a true 5x5.
      conv1_padding: "symmetric" (3, 3), or "same" (2, 3 at stride 2), which shifts conv1 by one pixel.
      stem_strides: strides of conv1, pool1 and pool2: (2, 2, 2) in the paper. A pool of stride 1 is left out.
      aux_heads: whether the family has auxiliary heads at all.
      aux_pool: 5x5 average pooling with stride 3, or an adaptive one to 4x4.
      aux_relu: ReLU after an auxiliary head's convolution, the 4a head's hidden layer, the 4d head's hidden layer.
      dropout, aux_dropout: probability that a feature is dropped before the classifiers.
      dropout_scales: "training" (inverted dropout), or "inference" (Paddle's downscale_in_infer: features are
        multiplied by 1 - p at inference instead).
      bn_epsilon: added to the variance; bn_momentum: weight of the old running statistic.
      bn_unbiased_variance: the running variance takes the batch's unbiased variance (torch, MindSpore).
      normalization: of the input.
      conv_init, conv_bias_init: initialisers of convolutions' kernels and biases.
      dense_init, dense_bias_init: of classifiers.
      hidden_init, hidden_bias_init: of the auxiliary heads' hidden layers.
    """

    name: str
    norm: Literal["lrn", "batchnorm", "none"]
    conv_bias: bool
    relu: Literal["conv", "concat"] = "conv"
    pool_rounding: Literal["ceil", "same", "floor"] = "ceil"
    pool4_window: int = 3
    window_5x5: int = 5
    conv1_padding: Literal["symmetric", "same"] = "symmetric"
    stem_strides: tuple[int, int, int] = (2, 2, 2)
    aux_heads: bool = True
    aux_pool: Literal["average", "adaptive"] = "average"
    aux_relu: tuple[bool, bool, bool] = (True, True, True)
    dropout: float = 0.4
    aux_dropout: float = 0.7
    dropout_scales: Literal["training", "inference"] = "training"
    bn_epsilon: float = 1e-3
    bn_momentum: float = 0.9
    bn_unbiased_variance: bool = True
    normalization: Normalization = NORMALIZATIONS["imagenet"]
    conv_init: Initializer = Initializer("truncated", 2.0, fan_in=True)
    conv_bias_init: Initializer = ZEROS
    dense_init: Initializer = Initializer("truncated", 1.0, fan_in=True)
    dense_bias_init: Initializer = ZEROS
    hidden_init: Initializer = Initializer("truncated", 1.0, fan_in=True)
    hidden_bias_init: Initializer = ZEROS

    def initializer(self, path: tuple[str, ...]) -> Initializer:
        """What a variable begins with, by its path, such as ("params", "conv1", "kernel")."""
        *_, layer, name = path
        if layer == "bn":
            return ONES if name in ("scale", "var") else ZEROS
        kind = {"classifier": "dense", "fc": "hidden"}.get(layer, "conv")
        return getattr(self, f"{kind}_init" if name == "kernel" else f"{kind}_bias_init")


_XAVIER_CAFFE = Initializer("uniform", 1.0, fan_in=True)
_UNIFORM_DENSE = Initializer("uniform", 1 / 3, fan_in=True)  # U(+-1/sqrt(fan_in)), torch's and MindSpore's default

PRESETS = {
    # Caffe's bvlc_googlenet, the public reproduction of the paper; fillers from its train_val.prototxt.
    "paper": Variant(
        name="paper",
        norm="lrn",
        conv_bias=True,
        normalization=NORMALIZATIONS["caffe"],
        conv_init=_XAVIER_CAFFE,
        conv_bias_init=Initializer("constant", 0.2),
        dense_init=_XAVIER_CAFFE,
        hidden_init=_XAVIER_CAFFE,
        hidden_bias_init=Initializer("constant", 0.2),
    ),
    # The paper's topology with a true 5x5, and batch norm (arXiv 1502.03167) in place of LRN and biases.
    "batchnorm": Variant(name="batchnorm", norm="batchnorm", conv_bias=False),
    "torchvision": Variant(
        name="torchvision",
        norm="batchnorm",
        conv_bias=False,
        pool4_window=2,
        window_5x5=3,
        aux_pool="adaptive",
        dropout=0.2,
        conv_init=Initializer("normal", 0.01),  # cut off at 200 deviations
        dense_init=Initializer("normal", 0.01),
        dense_bias_init=Initializer("uniform", 1024**-0.5),
        hidden_init=Initializer("normal", 0.01),
        hidden_bias_init=Initializer("uniform", 2048**-0.5),
    ),
    "mindcv": Variant(
        name="mindcv",
        norm="none",
        conv_bias=False,
        pool_rounding="same",
        pool4_window=2,
        conv1_padding="same",
        dropout=0.2,
        conv_init=Initializer("normal", 2.0, fan_in=True),
        dense_init=_UNIFORM_DENSE,
        hidden_init=_UNIFORM_DENSE,
    ),
    "mindspore": Variant(
        name="mindspore",
        norm="batchnorm",
        conv_bias=False,
        pool_rounding="same",
        pool4_window=2,
        window_5x5=3,
        conv1_padding="same",
        aux_heads=False,
        dropout=0.0,
        conv_init=Initializer("truncated", 0.02),
        dense_init=Initializer("truncated", 0.02),
        dense_bias_init=Initializer("truncated", 0.02),
    ),
    "paddleclas": Variant(
        name="paddleclas",
        norm="none",
        conv_bias=False,
        relu="concat",
        pool_rounding="floor",
        aux_relu=(False, True, False),
        dropout_scales="inference",
        conv_init=Initializer("normal", 2.0, fan_in=True),
        dense_init=_XAVIER_CAFFE,
        hidden_init=Initializer("uniform", (3 / 2048) ** 0.5),  # though its fan-in is 1152
    ),
}


def get_variant(name: str, stem: str = "paper") -> Variant:
    """The preset of that name, with the stem asked for.

    Args:
      name: a key of `PRESETS`.
      stem: a key of `STEMS`. With "small" a 64 px image reaches inception 3a at 32x32, where the paper has 28x28.
        Parameters keep their shapes.

    Returns:
      The `Variant`.

    Raises:
      UserError: for an unknown name or stem; the message names the nearest one.
    """
    chosen(FAMILIES, name, "the variant")
    return dataclasses.replace(PRESETS[name], stem_strides=chosen(STEMS, stem, "the stem").strides)
