"""What each system calls the tensors that this network calls by the names of the paper's Table 1.

Each system is one `Naming`; `entries` spells it out, tensor by tensor, for reading and for writing alike.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np

from googlenet_jax.models.googlenet import TABLE_1

Path = tuple[str, ...]
UNITS = ("1x1", "3x3_reduce", "3x3", "5x5_reduce", "5x5", "pool_proj")


class Layout(NamedTuple):
    """How a tensor is stored elsewhere: to this project's layout, and back."""

    read: Callable[[np.ndarray], np.ndarray]
    write: Callable[[np.ndarray], np.ndarray]


LAYOUTS = {
    "kernel": Layout(lambda a: a.transpose(2, 3, 1, 0), lambda a: a.transpose(3, 2, 0, 1)),  # (out, in, h, w)
    "out_in": Layout(np.transpose, np.transpose),  # dense
    "as is": Layout(np.asarray, np.asarray),
}


class Entry(NamedTuple):
    """One tensor: its name there, its path in this network's variables, and a key of `LAYOUTS`."""

    name: str
    path: Path
    layout: str


@dataclasses.dataclass(frozen=True)
class Naming:
    """One system's names.

    Attributes:
      system: what `--format` calls it.
      variant: the family of its networks.
      stem: names of conv1, conv2_reduce and conv2.
      block: name of an inception block, by "3a" to "5b".
      units: of a block's convolutions, in the order of `UNITS`.
      aux: of the 4a and the 4d head: convolution, hidden layer, classifier; empty where the system has none.
      classifier: the main classifier's name.
      weight, bias: what follows a layer's name; conv: what goes between a convolution's name and those.
      norm: what follows a convolution's name for scale, shift, mean and variance; empty without batch norm.
      dense: layout of dense weights.
      training: what names of tensors that only training needs begin or end with.
    """

    system: Literal["caffe", "singa", "torchvision", "mindcv", "mindspore", "paddleclas"]
    variant: str
    stem: tuple[str, str, str]
    block: str
    units: tuple[str, ...]
    aux: tuple[tuple[str, str, str], ...]
    classifier: str
    weight: str = ".weight"
    bias: str = ".bias"
    conv: str = ""
    norm: tuple[str, ...] = ()
    conv_bias: bool = False
    dense: str = "out_in"
    training: tuple[str, ...] = ()


_TORCH_AUX = tuple((f"aux{i}.conv", f"aux{i}.fc1", f"aux{i}.fc2") for i in (1, 2))
_TORCH_UNITS = ("{}1", "{}2.0", "{}2.1", "{}3.0", "{}3.1", "{}4.1")
_MINDSPORE_TRAINING = (
    *("moments.", "momentum", "ema.", "global_step", "learning_rate", "loss_scale", "epoch_num", "step_num"),
    *("scale_sense", "current_iterator_step", "last_overflow_iterator_step"),
)
_CAFFE = Naming(
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
NAMINGS = (
    _CAFFE,
    dataclasses.replace(_CAFFE, system="singa", aux=()),
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
        training=(".num_batches_tracked",),
    ),
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
SYSTEMS = tuple(dict.fromkeys(naming.system for naming in NAMINGS))


def entries(naming: Naming, aux: bool) -> Iterator[Entry]:
    """Every tensor of a network, in network order.

    Args:
      naming: one of `NAMINGS`.
      aux: with those of the auxiliary heads.

    Yields:
      An `Entry` a tensor.
    """

    def conv(name: str, path: Path) -> Iterator[Entry]:
        yield Entry(f"{name}{naming.conv}{naming.weight}", ("params", *path, "kernel"), "kernel")
        if naming.conv_bias:
            yield Entry(f"{name}{naming.bias}", ("params", *path, "bias"), "as is")
        parts = (("params", "scale"), ("params", "bias"), ("batch_stats", "mean"), ("batch_stats", "var"))
        for suffix, (collection, part) in zip(naming.norm, parts, strict=False):
            yield Entry(f"{name}{suffix}", (collection, *path, "bn", part), "as is")

    def dense(name: str, path: Path) -> Iterator[Entry]:
        yield Entry(f"{name}{naming.weight}", ("params", *path, "kernel"), naming.dense)
        yield Entry(f"{name}{naming.bias}", ("params", *path, "bias"), "as is")

    for name, unit in zip(naming.stem, ("conv1", "conv2_reduce", "conv2"), strict=True):
        yield from conv(name, (unit,))
    for block, (name, unit) in itertools.product(TABLE_1, zip(naming.units, UNITS, strict=True)):
        yield from conv(naming.block.format(block) + name, (f"inception_{block}", unit))
        if aux and naming.aux and block in ("4a", "4d") and unit == UNITS[-1]:
            head = ("4a", "4d").index(block)
            for part, layer, kind in zip(
                ("conv", "fc", "classifier"), naming.aux[head], (conv, dense, dense), strict=True
            ):
                yield from kind(layer, (f"aux{head + 1}", part))
    yield from dense(naming.classifier, ("classifier",))
