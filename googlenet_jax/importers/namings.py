"""The names that each system gives its tensors: a constant a system, which a row of `FORMATS` refers to.

Each is a tuple, as a system may have several ways to name the same network.
"""

import dataclasses

from googlenet_jax.importers.names import UNITS, Naming

_TORCH_AUX = tuple((f"aux{i}.conv", f"aux{i}.fc1", f"aux{i}.fc2") for i in (1, 2))
_TORCH_UNITS = ("{}1", "{}2.0", "{}2.1", "{}3.0", "{}3.1", "{}4.1")
_MINDSPORE_TRAINING = (
    *("moment", "accum.", "mean_square.", "mean_gradient.", "beta1_power", "beta2_power", "ema.", "global_step"),
    *("learning_rate", "loss_scale", "epoch_num", "step_num", "scale_sense", "current_iterator_step"),
    "last_overflow_iterator_step",
)

_BVLC = Naming(
    system="caffe",
    variant="paper",
    stem=("conv1/7x7_s2", "conv2/3x3_reduce", "conv2/3x3"),
    block="inception_{}/",
    units=UNITS,
    aux=tuple((f"loss{i}/conv", f"loss{i}/fc", f"loss{i}/classifier") for i in (1, 2)),
    classifier="loss3/classifier",
    weight="_weight",
    bias="_bias",
    conv_bias=True,
    resize="square",
)
CAFFE = (_BVLC,)

# Caffe's names; SINGA's serve.py subtracts other means.
SINGA = (
    dataclasses.replace(_BVLC, system="singa", aux=(), files=("a pickle", "a .tar.gz archive"), normalization="singa"),
)

TORCHVISION = (
    Naming(
        system="torchvision",
        variant="torchvision",
        stem=("conv1", "conv2", "conv3"),
        block="inception{}.",
        units=tuple(unit.format("branch") for unit in _TORCH_UNITS),
        aux=_TORCH_AUX,
        classifier="fc",
        conv=".conv",
        norm=(".bn.weight", ".bn.bias", ".bn.running_mean", ".bn.running_var"),
        training=(".num_batches_tracked", "n_averaged"),
    ),
)

MINDCV = (
    Naming(
        system="mindcv",
        variant="mindcv",
        stem=("conv1", "conv2", "conv3"),
        block="inception{}.",
        units=tuple(unit.format("b") for unit in _TORCH_UNITS),
        aux=_TORCH_AUX,
        classifier="classifier",
        conv=".conv",
        training=_MINDSPORE_TRAINING,
    ),
)

MINDSPORE = (
    Naming(
        system="mindspore",
        variant="mindspore",
        stem=("conv1", "conv2", "conv3"),
        block="block{}.",
        units=("b1", "b2.0", "b2.1", "b3.0", "b3.1", "b4"),
        aux=(),
        classifier="classifier",
        conv=".conv",
        norm=(".bn.gamma", ".bn.beta", ".bn.moving_mean", ".bn.moving_variance"),
        training=_MINDSPORE_TRAINING,
    ),
)

_PADDLE = Naming(
    system="paddleclas",
    variant="paddleclas",
    stem=("_conv", "_conv_1", "_conv_2"),
    block="_ince{}.",
    units=("_conv1", "_conv3r", "_conv3", "_conv5r", "_conv5", "_convprj"),
    aux=tuple((f"_conv_o{i}", f"_fc_o{i}", f"_out{i}") for i in (1, 2)),
    classifier="_fc_out",
    conv="._conv",
    dense="as is",
)
PADDLECLAS = (
    _PADDLE,
    # Paddle's static graphs name parameters rather than layers.
    dataclasses.replace(
        _PADDLE,
        stem=("conv1", "conv2_1x1", "conv2_3x3"),
        block="inception_ince{}_",
        units=(*UNITS[:5], "3x3_proj"),
        aux=tuple((f"conv_o{i}", f"fc_o{i}", f"out{i}") for i in (1, 2)),
        classifier="out",
        weight="_weights",
        bias="_offset",
        conv="",
    ),
)
