"""MINDIR: MindSpore's graph for inference, written node by node without MindSpore, by the paper's names.

Only operations that MindSpore 2.7 and 2.10 were seen to compute on a CPU; the numbers of layouts and types are its own.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from googlenet_jax.export.layers import INPUT, Graph, Layer, graph_of
from googlenet_jax.export.target import Options, Target
from googlenet_jax.exported.description import KEY, Description
from googlenet_jax.formats.mindir import CONSTANT, VALUE, Attribute, Info, Node, Program, write_mindir
from googlenet_jax.models.normalization import LRN
from googlenet_jax.models.pooling import pool_padding
from googlenet_jax.net import Net

_NCHW, _FLOAT32 = 0, 43  # mindspore::Format, mindspore::TypeId


def write(net: Net, path: Path, options: Options, description: Description) -> None:
    """Writes a .mindir; see `Target.write`."""
    graph = graph_of(net, description.preprocess.image_size, rgb=options.input == "uint8")
    path.write_bytes(write_mindir(_Writer(graph, description).program(), KEY))


class _Writer:
    """Nodes and parameters of one graph."""

    def __init__(self, graph: Graph, description: Description):
        self.graph, self.description = graph, description
        self.nodes: list[Node] = []
        self.parameters: dict[str, np.ndarray] = {}
        self.constants: dict[object, str] = {}
        self.shapes = {layer.name: layer.shape for layer in graph.layers}

    def program(self) -> Program:
        description, size = self.description, self.graph.size
        batch = -1 if description.batch is None else description.batch
        as_bytes = description.input == "uint8"
        images = Info("images", np.dtype(np.uint8 if as_bytes else np.float32), (batch, size, size, 3))
        self.input_nodes(as_bytes)
        for layer in self.graph.layers:
            getattr(self, layer.kind)(layer)
        (output,) = self.graph.outputs
        if description.output == "probabilities":
            output = self.node("Softmax", [output, self.constant((-1,))], description.output)
        outputs = [Info(output, np.dtype(np.float32), (batch, len(description.labels)))]
        facts = {KEY: description.to_json()}
        return Program("GoogLeNet", [images], outputs, self.parameters, self.nodes, facts)

    def node(self, kind: str, inputs: Sequence[str], name: str, **attributes: Attribute) -> str:
        self.nodes.append(Node(name, kind, tuple(inputs), attributes))
        return name

    def constant(self, value: Attribute) -> str:
        """A node of that value, one for all who take it."""
        key = (value.shape, value.tobytes()) if isinstance(value, np.ndarray) else repr(value)
        if key not in self.constants:
            self.constants[key] = self.node(CONSTANT, [], f"constant_{len(self.constants)}", **{VALUE: value})
        return self.constants[key]

    def parameter(self, name: str, array: np.ndarray) -> str:
        self.parameters[name] = np.ascontiguousarray(array)
        return name

    def input_nodes(self, as_bytes: bool) -> None:
        to_planes = self.constant((0, 3, 1, 2))
        if not as_bytes:
            self.node("Transpose", ["images", to_planes], INPUT)
            return
        mean, std = self.description.preprocess.of_rgb
        by_channel = (1, 3, 1, 1)
        self.node("Transpose", ["images", to_planes], "planes")
        self.node("Cast", ["planes", self.constant(_FLOAT32)], "pixels")
        self.node("Sub", ["pixels", self.constant(mean.reshape(by_channel))], "centred")
        self.node("Mul", ["centred", self.constant((1 / std).reshape(by_channel))], INPUT)

    def convolution(self, x: str, weights: str, name: str, layer: Layer, window: int) -> str:
        """A Conv2D without bias, with a layer's channels, stride and padding."""
        sides = tuple(side for pair in layer.padding for side in pair)
        return self.node(
            "Conv2D",
            [x, weights],
            name,
            out_channel=layer.shape[-1],
            kernel_size=(window, window),
            mode=1,
            pad_mode="pad",
            pad=sides,
            pad_list=sides,
            stride=(1, 1, layer.stride, layer.stride),
            dilation=(1, 1, 1, 1),
            group=1,
            groups=1,
            format="NCHW",
        )

    def conv(self, layer: Layer) -> None:
        assert layer.kernel is not None
        kernel = self.parameter(f"{layer.name}/kernel", layer.kernel.transpose(3, 2, 0, 1))
        product = self.convolution(layer.inputs[0], kernel, f"{layer.name}/product", layer, layer.window)
        self.bias(layer, product)

    def bias(self, layer: Layer, product: str) -> None:
        assert layer.bias is not None
        bias = self.parameter(f"{layer.name}/bias", layer.bias)
        self.node("BiasAdd", [product, bias, self.constant(_NCHW)], layer.name)

    def relu(self, layer: Layer) -> None:
        self.node("ReLU", layer.inputs, layer.name)

    def max_pool(self, layer: Layer) -> None:
        """MaxPool pads as SAME does, or not at all: enough at stride 2, but for maps of one pixel."""
        (x,), (rows, columns) = layer.inputs, layer.padding
        same = tuple(pool_padding(side, layer.window, layer.stride, "same") for side in self.shapes[x][:2])
        mode = "SAME" if any(rows + columns) and layer.padding == same else "VALID"
        if any(rows + columns) and mode == "VALID":
            lowest = self.constant(np.array(-np.inf, np.float32))
            operands = [x, self.constant((*columns, *rows)), lowest]
            x = self.node("PadV3", operands, f"{layer.name}/padded", mode="constant", paddings_contiguous=True)
        by_axis = {"kernel_size": (1, 1, layer.window, layer.window), "strides": (1, 1, layer.stride, layer.stride)}
        self.node("MaxPool", [x], layer.name, **by_axis, pad_mode=mode, format="NCHW")

    def lrn(self, layer: Layer) -> None:
        """From plain operations: MindSpore 2.10's own LRN fails on CPUs with 64 and 192 channels."""
        (x,), at, channel = layer.inputs, layer.name, np.arange(layer.shape[-1])
        near = np.abs(channel[:, None] - channel) <= LRN.size // 2
        band = (near * (LRN.alpha / LRN.size)).astype(np.float32)[:, :, None, None]
        self.node("Square", [x], f"{at}/squares")
        self.convolution(f"{at}/squares", self.constant(band), f"{at}/energy", layer, 1)
        # Of one element and not scalars, of which MindSpore's Pow infers nothing.
        k, power = (self.constant(np.array([value], np.float32)) for value in (LRN.k, -LRN.beta))
        self.node("Add", [f"{at}/energy", k], f"{at}/base")
        self.node("Pow", [f"{at}/base", power], f"{at}/factor")
        self.node("Mul", [x, f"{at}/factor"], at)

    def concat(self, layer: Layer) -> None:
        parts = self.node("MakeTuple", layer.inputs, f"{layer.name}/parts")
        self.node("Concat", [parts, self.constant(1)], layer.name)

    def mean(self, layer: Layer) -> None:
        self.node("ReduceMean", [*layer.inputs, self.constant((2, 3)), self.constant(False)], layer.name)

    def dense(self, layer: Layer) -> None:
        assert layer.kernel is not None
        kernel = self.parameter(f"{layer.name}/kernel", layer.kernel.T)
        transposed = [self.constant(False), self.constant(True)]
        product = self.node("MatMul", [*layer.inputs, kernel, *transposed], f"{layer.name}/product")
        self.bias(layer, product)


TARGET = Target(suffix=".mindir", write=write, takes=frozenset({"input", "output_kind", "image_size", "batch"}))
