"""SavedModel directories in TensorFlow."""

from pathlib import Path
from typing import Any

import numpy as np

from googlenet_jax.exported.description import Description
from googlenet_jax.exported.opening import Run
from googlenet_jax.exported.tensorflow import DESCRIPTION, IMAGES, SIGNATURE, quiet, tensorflow

EXTRA = "assets.extra"  # TensorFlow's name for what a SavedModel has for others
_MOST = 1 << 30  # bytes of a file
# What is run of a file that anybody may have written: nothing that reads or writes.
_OPERATIONS = frozenset(
    "AvgPool BatchMatMulV2 BiasAdd Cast ConcatV2 Const Conv2D Identity LRN MatMul MaxPool Mean MirrorPad Pack Pad "
    "PartitionedCall Placeholder RealDiv Relu Reshape Shape Softmax StatefulPartitionedCall StridedSlice Sub "
    "Transpose".split()
)


def open_savedmodel(path: Path) -> tuple[Description, Run]:
    """Loads a directory; its description, and what runs it on a CPU."""
    description = Description.from_json(_read(path / EXTRA / DESCRIPTION))
    stored = _read(path / "saved_model.pb")
    tf = tensorflow("SavedModel")
    from tensorflow.core.protobuf import saved_model_pb2

    (meta,) = saved_model_pb2.SavedModel.FromString(stored).meta_graphs
    signature = meta.signature_def[SIGNATURE]
    names = [description.output, *(f"{description.output}_{i}" for i in range(1, len(signature.outputs)))]
    tensors = [signature.inputs[IMAGES].name, *(signature.outputs[name].name for name in names)]
    unknown = sorted(_operations(meta.graph_def, tensors) - _OPERATIONS)
    if unknown:
        raise ValueError(f"operations that no export has: {', '.join(unknown)}")
    # Not `tf.saved_model.load`, which runs what the file says is to be run at the beginning; and in a session, whose
    # functions are its own: two files may have different ones of the same name.
    graph = tf.Graph()
    with quiet(), graph.as_default():
        tf.import_graph_def(meta.graph_def, name="")
        session = tf.compat.v1.Session(graph=graph)
    images, *outputs = tensors

    def run(batch: np.ndarray) -> list[np.ndarray]:
        return session.run(outputs, {images: batch})

    return description, run


def _read(path: Path) -> bytes:
    if path.stat().st_size > _MOST:
        raise ValueError(f"{path.name} of more than 1 GiB")
    return path.read_bytes()


def _operations(graph: Any, tensors: list[str]) -> set[str]:
    """Kinds of all operations that tensors of a graph depend on, those within functions too."""
    nodes = {node.name: node for node in graph.node}
    functions = {function.signature.name: function.node_def for function in graph.library.function}
    kinds: set[str] = set()
    seen: set[str] = set()
    waiting = [nodes[name.partition(":")[0]] for name in tensors]
    while waiting:
        node = waiting.pop()
        kinds.add(node.op)
        before = [name.removeprefix("^").partition(":")[0] for name in node.input]
        called = [attribute.func.name for attribute in node.attr.values() if attribute.func.name]
        for name in before:
            if name in nodes and name not in seen:
                waiting.append(nodes[name])
        seen.update(before)
        for name in called:
            if name not in seen:
                waiting.extend(functions.get(name, ()))
        seen.update(called)
    return kinds
