"""SavedModel directories in TensorFlow."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from googlenet_jax.exported.description import FILE, Description
from googlenet_jax.exported.opening import Run
from googlenet_jax.exported.tensorflow import (
    IMAGES,
    SIGNATURE,
    check_input,
    quiet,
    tensorflow,
)

EXTRA = "assets.extra"  # TensorFlow's name for what a SavedModel has for others
_MOST = 1 << 30  # bytes of a file
_LARGEST = 16  # bytes of a number
# What is run of a file that anybody may have written: nothing that reads or writes.
_OPERATIONS = {
    *("BatchMatMulV2", "BiasAdd", "Cast", "ConcatV2", "Const", "Conv2D", "Identity", "LRN", "MatMul", "MaxPool"),
    *("Mean", "Pad", "PartitionedCall", "Placeholder", "RealDiv", "Relu", "Reshape", "Softmax"),
    *("StatefulPartitionedCall", "Sub", "Transpose"),
}


def open_savedmodel(path: Path) -> tuple[Description, Run]:
    """Loads a directory; its description, and what runs it on a CPU."""
    description = Description.from_json(_read(path / EXTRA / FILE))
    stored = _read(path / "saved_model.pb")
    tf = tensorflow("SavedModel")
    from tensorflow.core.protobuf import saved_model_pb2

    (meta,) = saved_model_pb2.SavedModel.FromString(stored).meta_graphs
    signature = meta.signature_def[SIGNATURE]
    taken = signature.inputs[IMAGES]
    shape = tuple(dimension.size for dimension in taken.tensor_shape.dim)
    check_input(description, shape[1:], tf.dtypes.as_dtype(taken.dtype).name)
    names = description.output_names(len(signature.outputs))
    tensors = [taken.name, *(signature.outputs[name].name for name in names)]
    needed = _needed(meta.graph_def, tensors)
    _check([*needed.node, *(node for function in needed.library.function for node in function.node_def)])
    # Not `tf.saved_model.load`, which runs what the file says is to be run at the beginning; and in a session, whose
    # functions are its own: two files may have different ones of the same name.
    graph = tf.Graph()
    with quiet(), graph.as_default():
        tf.import_graph_def(needed, name="")
        session = tf.compat.v1.Session(graph=graph)
    images, *outputs = tensors

    def run(batch: np.ndarray) -> list[np.ndarray]:
        return session.run(outputs, {images: batch})

    return description, run


def _read(path: Path) -> bytes:
    if path.stat().st_size > _MOST:
        raise ValueError(f"{path.name} of more than 1 GiB")
    return path.read_bytes()


def _check(nodes: list[Any]) -> None:
    unknown = sorted({node.op for node in nodes} - _OPERATIONS)
    if unknown:
        raise ValueError(f"operations that no export has: {', '.join(unknown)}")
    # A constant of one value throughout takes a few bytes of the file, whatever its shape.
    shapes = [node.attr["value"].tensor.tensor_shape.dim for node in nodes if node.op == "Const"]
    if sum(math.prod(dimension.size for dimension in shape) for shape in shapes) > _MOST // _LARGEST:
        raise ValueError("its constants would take more than 1 GiB")


def _needed(graph: Any, tensors: list[str]) -> Any:
    """The nodes of a graph that tensors depend on, and the functions that these call, as a graph of their own."""
    nodes = {node.name: node for node in graph.node}
    functions = {function.signature.name: function for function in graph.library.function}
    needed = type(graph)(versions=graph.versions)
    waiting = {_producer(name) for name in tensors}
    seen = set(waiting)
    while waiting:
        node = nodes[waiting.pop()]
        needed.node.append(node)
        before = {_producer(name) for name in node.input}
        waiting |= before - seen
        seen |= before
    called = _called(needed.node)
    known = set(called)
    while called:
        function = functions[called.pop()]
        needed.library.function.append(function)
        further = _called(function.node_def)
        called |= further - known
        known |= further
    return needed


def _called(nodes: Iterable[Any]) -> set[str]:
    """Names of the functions that nodes call."""
    return {value.func.name for node in nodes for value in node.attr.values() if value.func.name}


def _producer(tensor: str) -> str:
    """The name of the node that gives a tensor, or goes before: "^name", "name", "name:0"."""
    return tensor.removeprefix("^").partition(":")[0]
