"""ONNX: the graph written node by node, by the paper's names; for ONNX Runtime, TensorRT, OpenVINO, browsers.

Opset 17: from 22 on ONNX Runtime has kept quantisation around max pools apart (microsoft/onnxruntime#28770). Pools have
`pads` and never `ceil_mode`, about which runtimes disagree (onnx/onnx#5711).
"""

from pathlib import Path
from typing import Any

import numpy as np

from googlenet_jax.errors import UserError
from googlenet_jax.export.layers import INPUT, Graph, Layer, graph_of
from googlenet_jax.export.onnx_precision import write_int8
from googlenet_jax.export.target import Options, Target
from googlenet_jax.exported.description import KEY, Description
from googlenet_jax.models.normalization import LRN
from googlenet_jax.net import Net

_OPSET, _IR_VERSION = 17, 8


def write(net: Net, path: Path, options: Options, description: Description) -> None:
    """Writes an .onnx; see `Target.write`."""
    try:
        import onnx
    except ModuleNotFoundError:
        raise UserError("ONNX files are written with onnx: pip install 'googlenet-jax[onnx]'") from None

    graph = graph_of(net, description.preprocess.image_size, options.aux, options.input == "uint8")
    model = _Writer(graph, description, half=options.precision == "float16").model()
    onnx.checker.check_model(model, full_check=True)
    if options.precision == "int8":
        write_int8(net, model, path, options, description)
    else:
        onnx.save(model, path)


class _Writer:
    """Nodes and tensors of one graph; with half the layers are float16, its input's normalisation and outputs not."""

    def __init__(self, graph: Graph, description: Description, half: bool):
        from onnx import helper, numpy_helper

        self.graph, self.description, self.half = graph, description, half
        self.make, self.from_array = helper, numpy_helper.from_array
        self.nodes: list[Any] = []
        self.tensors: list[Any] = []

    def model(self) -> Any:
        description, make = self.description, self.make
        from onnx import TensorProto

        size, batch = self.graph.size, description.batch or "n"
        as_bytes = description.input == "uint8"
        kind = TensorProto.UINT8 if as_bytes else TensorProto.FLOAT
        images = make.make_tensor_value_info("images", kind, (batch, size, size, 3))
        self.input_nodes(as_bytes)
        for layer in self.graph.layers:
            getattr(self, layer.kind)(layer)
        outputs = []
        names = description.output_names(len(self.graph.outputs))
        for logits, name in zip(self.graph.outputs, names, strict=True):
            if self.half:
                self.node("Cast", [logits], f"{logits}/wide", to=TensorProto.FLOAT)
                logits = f"{logits}/wide"
            self.node("Softmax" if description.output == "probabilities" else "Identity", [logits], name, axis=-1)
            outputs.append(make.make_tensor_value_info(name, TensorProto.FLOAT, (batch, len(description.labels))))
        graph = make.make_graph(self.nodes, "GoogLeNet", [images], outputs, self.tensors)
        model = make.make_model(
            graph, opset_imports=[make.make_opsetid("", _OPSET)], ir_version=_IR_VERSION, producer_name=KEY
        )
        props = {KEY: description.to_json(), "classes": "\n".join(description.labels), "family": description.family}
        make.set_model_props(model, props | {"source": description.source, "weights_sha256": description.weights})
        return model

    def node(self, op: str, inputs: list[str], output: str, **attributes: Any) -> None:
        if op == "Identity":
            attributes = {}
        self.nodes.append(self.make.make_node(op, inputs, [output], name=output, **attributes))

    def tensor(self, name: str, array: np.ndarray, wide: bool = False) -> str:
        array = array if wide or not self.half else array.astype(np.float16)
        self.tensors.append(self.from_array(np.ascontiguousarray(array), name))
        return name

    def input_nodes(self, as_bytes: bool) -> None:
        from onnx import TensorProto

        normalised = "normalised" if self.half else INPUT
        planes = "planes" if as_bytes else normalised
        self.node("Transpose", ["images"], planes, perm=(0, 3, 1, 2))
        if as_bytes:
            mean, std = self.description.preprocess.of_rgb
            by_channel = (1, 3, 1, 1)
            self.node("Cast", [planes], "pixels", to=TensorProto.FLOAT)
            self.node("Sub", ["pixels", self.tensor("mean", mean.reshape(by_channel), wide=True)], "centred")
            self.node("Div", ["centred", self.tensor("std", std.reshape(by_channel), wide=True)], normalised)
        if self.half:
            self.node("Cast", [normalised], INPUT, to=TensorProto.FLOAT16)

    def conv(self, layer: Layer) -> None:
        assert layer.kernel is not None and layer.bias is not None
        (top, bottom), (left, right) = layer.padding
        kernel = self.tensor(f"{layer.name}/kernel", layer.kernel.transpose(3, 2, 0, 1))
        bias = self.tensor(f"{layer.name}/bias", layer.bias)
        sides = {"kernel_shape": (layer.window, layer.window), "strides": (layer.stride, layer.stride)}
        self.node("Conv", [*layer.inputs, kernel, bias], layer.name, pads=(top, left, bottom, right), **sides)

    def relu(self, layer: Layer) -> None:
        self.node("Relu", [*layer.inputs], layer.name)

    def max_pool(self, layer: Layer) -> None:
        (top, bottom), (left, right) = layer.padding
        sides = {"kernel_shape": (layer.window, layer.window), "strides": (layer.stride, layer.stride)}
        self.node("MaxPool", [*layer.inputs], layer.name, pads=(top, left, bottom, right), **sides)

    def lrn(self, layer: Layer) -> None:
        facts = {"size": LRN.size, "alpha": LRN.alpha, "beta": LRN.beta, "bias": LRN.k}
        self.node("LRN", [*layer.inputs], layer.name, **facts)

    def concat(self, layer: Layer) -> None:
        self.node("Concat", [*layer.inputs], layer.name, axis=1)

    def averages(self, layer: Layer) -> None:
        assert layer.matrices is not None
        rows, columns = layer.matrices
        names = [self.tensor(f"{layer.name}/{part}", m) for part, m in (("rows", rows), ("columns", columns.T))]
        self.node("MatMul", [names[0], *layer.inputs], f"{layer.name}/by_row")
        self.node("MatMul", [f"{layer.name}/by_row", names[1]], layer.name)

    def mean(self, layer: Layer) -> None:
        self.node("GlobalAveragePool", [*layer.inputs], f"{layer.name}/map")
        self.node("Flatten", [f"{layer.name}/map"], layer.name, axis=1)

    def flatten(self, layer: Layer) -> None:
        self.node("Flatten", [*layer.inputs], layer.name, axis=1)

    def dense(self, layer: Layer) -> None:
        assert layer.kernel is not None and layer.bias is not None
        kernel = self.tensor(f"{layer.name}/kernel", layer.kernel.T)
        bias = self.tensor(f"{layer.name}/bias", layer.bias)
        self.node("Gemm", [*layer.inputs, kernel, bias], layer.name, transB=1)


TARGET = Target(
    suffix=".onnx",
    write=write,
    takes=frozenset({"input", "output_kind", "image_size", "batch", "precision", "aux", "calibration"}),
    precisions=("float32", "float16", "int8"),
)
