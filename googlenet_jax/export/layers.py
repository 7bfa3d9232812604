"""The network as a list of layers with their weights: what all targets that write a graph write it from.

Batch norm is folded into the convolutions, dropout's factor at inference into the dense layers. Names are the paper's.
"""

import itertools
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from googlenet_jax.errors import UserError
from googlenet_jax.models.averaging import averaging, parts, windows
from googlenet_jax.models.convolution import conv_padding
from googlenet_jax.models.folding import fold
from googlenet_jax.models.googlenet import AUX_AFTER, TABLE_1, GoogLeNet
from googlenet_jax.models.pooling import Pool
from googlenet_jax.net import Net

Kind = Literal["conv", "relu", "max_pool", "lrn", "concat", "averages", "mean", "flatten", "dense"]
Sides = tuple[tuple[int, int], tuple[int, int]]
INPUT = "input"  # the name of the normalised image


class Layer(NamedTuple):
    """One layer.

    Attributes:
      name: of the layer and its output, such as "conv1", "inception_3a/3x3" or "pool1"; a ReLU's is that of what it
        follows, with "/relu".
      kind: what it does. "averages" multiplies rows and columns by `matrices`; "flatten" orders by channel, row,
        column, as published auxiliary heads do; "lrn" is `local_response_norm`; "concat" joins channels.
      inputs: names of the layers before it.
      shape: of its output for one image: (h, w, c), or (c,).
      kernel, bias: of a convolution, (k, k, in, out) and (out,), or a dense layer, (in, out) and (out,); float32.
      window, stride: side and step of a convolution or pool, in pixels.
      padding: ((top, bottom), (left, right)) of them, in pixels; in a max pool it never wins.
      matrices: of "averages", (h', h) and (w', w), float32.
    """

    name: str
    kind: Kind
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    kernel: np.ndarray | None = None
    bias: np.ndarray | None = None
    window: int = 1
    stride: int = 1
    padding: Sides = ((0, 0), (0, 0))
    matrices: tuple[np.ndarray, np.ndarray] | None = None


class Graph(NamedTuple):
    """A network.

    Attributes:
      layers: in order of computation; the first takes `INPUT`.
      outputs: names of the layers that are the logits: the main head's, then those of the 4a and 4d heads.
      size: side of the input, pixels.
    """

    layers: Sequence[Layer]
    outputs: tuple[str, ...]
    size: int


def graph_of(net: Net, size: int, aux: bool = False, rgb: bool = True) -> Graph:
    """The layers of a network at inference.

    Args:
      net: the network.
      size: side of the input, pixels.
      aux: with the auxiliary heads, if it has them.
      rgb: the input's channels are red, green and blue, whatever order the network was trained with; else that order.

    Returns:
      Its `Graph`.
    """
    model, variables = fold(net.model, net.variables)
    params = variables["params"]
    if rgb and net.preprocess.channel_order == "bgr":
        params = {**params, "conv1": {**params["conv1"], "kernel": np.asarray(params["conv1"]["kernel"])[:, :, ::-1]}}
    return _Builder(model, params, size).build(aux and "aux1" in params)


class _Builder:
    """Follows `GoogLeNet.__call__`, and writes down what it would do."""

    def __init__(self, model: GoogLeNet, params: dict, size: int):
        self.model, self.variant, self.params = model, model.variant, params
        self.size = size
        self.layers: list[Layer] = []
        self.shapes: dict[str, tuple[int, ...]] = {INPUT: (size, size, 3)}

    def build(self, aux: bool) -> Graph:
        v, heads = self.variant, []
        conv1_stride, pool1_stride, pool2_stride = v.stem_strides
        x = self.unit(INPUT, "conv1", conv1_stride, v.conv1_padding == "same")
        x = self.pool(x, "pool1", pool1_stride) if pool1_stride > 1 else x
        x = self.add("norm1", "lrn", (x,), self.shapes[x]) if v.norm == "lrn" else x
        x = self.unit(x, "conv2_reduce")
        x = self.unit(x, "conv2")
        x = self.add("norm2", "lrn", (x,), self.shapes[x]) if v.norm == "lrn" else x
        x = self.pool(x, "pool2", pool2_stride) if pool2_stride > 1 else x
        for before, block in itertools.pairwise(("3", *self.model.blocks)):
            if block[0] != before[0]:
                window = v.pool4_window if block[0] == "5" else 3
                x = self.pool(x, f"pool{int(block[0]) - 1}", 2, window)
            x = self.inception(x, block)
            if aux and block in AUX_AFTER:
                heads.append(self.head(x, AUX_AFTER[block]))
        x = self.add("average", "mean", (x,), self.shapes[x][-1:])
        return Graph(self.layers, (self.dense(x, "classifier", v.dropout), *heads), self.size)

    def add(self, name: str, kind: Kind, inputs: tuple[str, ...], shape: tuple[int, ...], **more: object) -> str:
        self.layers.append(Layer(name, kind, inputs, tuple(shape), **more))  # type: ignore[arg-type]
        self.shapes[name] = tuple(shape)
        return name

    def at(self, name: str) -> dict:
        node = self.params
        for part in name.split("/"):
            node = node[part]
        return node

    def unit(self, x: str, name: str, stride: int = 1, same: bool = False, relu: bool | None = None) -> str:
        kernel = np.asarray(self.at(name)["kernel"], np.float32)
        bias = np.asarray(self.at(name).get("bias", np.zeros(kernel.shape[-1])), np.float32)
        window, (*sides, _) = kernel.shape[0], self.shapes[x]
        padding = tuple(conv_padding(side, window, stride, same) for side in sides)
        outputs = [(side + sum(pad) - window) // stride + 1 for side, pad in zip(sides, padding, strict=True)]
        shape = (*outputs, kernel.shape[-1])
        more = {"kernel": kernel, "bias": bias, "window": window, "stride": stride, "padding": padding}
        x = self.add(name, "conv", (x,), shape, **more)
        relu = self.variant.relu == "conv" if relu is None else relu
        return self.add(f"{name}/relu", "relu", (x,), shape) if relu else x

    def pool(self, x: str, name: str, stride: int, window: int = 3) -> str:
        *sides, channels = self.shapes[x]
        padding = tuple(Pool(window, stride, self.variant.pool_rounding).padding(tuple(sides)))
        outputs = [(side + sum(pad) - window) // stride + 1 for side, pad in zip(sides, padding, strict=True)]
        more = {"window": window, "stride": stride, "padding": padding}
        return self.add(name, "max_pool", (x,), (*outputs, channels), **more)

    def inception(self, x: str, block: str) -> str:
        at = f"inception_{block}"
        one = self.unit(x, f"{at}/1x1")
        three = self.unit(self.unit(x, f"{at}/3x3_reduce"), f"{at}/3x3")
        five = self.unit(self.unit(x, f"{at}/5x5_reduce"), f"{at}/5x5")
        pooled = self.unit(self.pool(x, f"{at}/pool", 1), f"{at}/pool_proj")
        shape = (*self.shapes[one][:2], TABLE_1[block].total)
        joined = self.add(at, "concat", (one, three, five, pooled), shape)
        return self.add(f"{at}/relu", "relu", (joined,), shape) if self.variant.relu == "concat" else joined

    def head(self, x: str, number: int) -> str:
        v, at = self.variant, f"aux{number}"
        *sides, channels = self.shapes[x]
        cut = [parts(side, 4) if v.aux_pool == "adaptive" else windows(side, 5, 3) for side in sides]
        matrices = tuple(averaging(stretches, side) for stretches, side in zip(cut, sides, strict=True))
        shape = (matrices[0].shape[0], matrices[1].shape[0], channels)
        x = self.add(f"{at}/average", "averages", (x,), shape, matrices=matrices)
        x = self.unit(x, f"{at}/conv", relu=v.aux_relu[0])
        x = self.add(f"{at}/flatten", "flatten", (x,), (int(np.prod(self.shapes[x])),))
        if self.shapes[x][0] != len(self.at(f"{at}/fc")["kernel"]):
            raise UserError(f"--aux: the auxiliary heads take images of one size, which is not {self.size} px")
        x = self.dense(x, f"{at}/fc", 0.0)
        x = self.add(f"{x}/relu", "relu", (x,), self.shapes[x]) if v.aux_relu[number] else x
        return self.dense(x, f"{at}/classifier", v.aux_dropout)

    def dense(self, x: str, name: str, dropout: float) -> str:
        keep = 1 - dropout if self.variant.dropout_scales == "inference" else 1.0
        kernel, bias = (np.asarray(self.at(name)[part], np.float32) for part in ("kernel", "bias"))
        return self.add(name, "dense", (x,), bias.shape, kernel=kernel * np.float32(keep), bias=bias)
