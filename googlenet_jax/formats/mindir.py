"""MindSpore's MINDIR, a graph of operations with its weights: written and read without MindSpore.

Format: mindspore `core/proto/mind_ir.proto`, as far as an inference graph needs it; versions 2.7 and 2.10 load it.
"""

import math
import struct
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from googlenet_jax.formats import numbers, protobuf
from googlenet_jax.formats.protobuf import Messages, encode

# An attribute: a bool, int, float, str, float or integer array, or a tuple of such.
Attribute = Any

CONSTANT = "Constant"  # the operation of a node whose attribute `VALUE` is its value
VALUE = "value"
_DTYPES = {1: "<f4", 2: "|u1", 6: "<i4", 7: "<i8", 9: "|b1"}  # TensorProto.DataType
_NUMBERS = {np.dtype(dtype): number for number, dtype in _DTYPES.items()}
_FLOAT, _INT64, _STRING, _BOOL, _TENSORS, _TUPLE = 1, 7, 8, 9, 19, 20  # AttributeProto.AttributeType
# Where AttributeProto has a value: alone, and as an element of a tuple, which the loader seeks in the repeated fields.
_FIELDS = {_FLOAT: (2, 8), _INT64: (3, 10), _BOOL: (3, 10), _STRING: (5, 11)}
_REFERENCE = "REF::"
_DEEPEST = 4  # tuples within tuples
# The lowest version that MindSpore infers the types of these operations for; higher ones need a newer MindSpore.
_MIND_IR_VERSION = 2
_ATTRIBUTES, _FUNCTION = 1, 2  # PrimitiveProto.PrimType
_NO_FUNCTIONS = ("Conv2D", "MaxPool", "PadV3", "MakeTuple")


class Node(NamedTuple):
    """One operation.

    Attributes:
      name: of the node and of its result.
      kind: MindSpore's name of the operation, such as "Conv2D", or `CONSTANT`.
      inputs: names of inputs, parameters and nodes before it.
      attributes: by name; equal operations may share theirs.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    attributes: dict[str, Attribute]


class Info(NamedTuple):
    """An input or output of the graph.

    Attributes:
      name: of it; an output's is that of a node.
      dtype: numpy's.
      shape: of it; -1 where any size will do.
    """

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]


class Program(NamedTuple):
    """What a file holds.

    Attributes:
      name: of the graph.
      inputs, outputs: of the graph.
      parameters: weights by name.
      nodes: in order of computation.
      facts: texts by key, which MindSpore leaves alone (`user_info`).
    """

    name: str
    inputs: list[Info]
    outputs: list[Info]
    parameters: dict[str, np.ndarray]
    nodes: list[Node]
    facts: dict[str, str]


def write_mindir(program: Program, producer: str) -> bytes:
    """A file's bytes: a ModelProto of the program, written by the producer of that name."""
    primitives: dict[bytes, str] = {}
    graph = [encode(1, _node(node, primitives)) for node in program.nodes]
    graph.append(encode(2, program.name.encode()))
    graph += [encode(3, _tensor(array, name)) for name, array in program.parameters.items()]
    graph += [encode(5, _info(info)) for info in program.inputs]
    graph += [encode(6, _info(info)) for info in program.outputs]
    facts = [encode(1, key.encode()) + encode(2, text.encode()) for key, text in program.facts.items()]
    return b"".join(
        [
            encode(1, b"1.1"),  # ir_version
            encode(2, producer.encode()),
            encode(5, b"1"),  # model_version, which the loader wants and does not use
            encode(7, b"".join(graph)),
            encode(10, 1),  # little_endian
            *(encode(12, encode(1, name.encode()) + body) for body, name in primitives.items()),
            encode(13, _MIND_IR_VERSION),
            *(encode(14, fact) for fact in facts),
        ]
    )


def _node(node: Node, primitives: dict[bytes, str]) -> bytes:
    """A NodeProto; its operation is added to the primitives, or found there."""
    name, kind = node.name.encode(), node.kind.encode()
    head = b"".join(encode(1, x.encode()) for x in node.inputs) + encode(2, name) + encode(3, name)
    attributes = [encode(1, key.encode()) + _attribute(value, 0) for key, value in node.attributes.items()]
    if node.kind == CONSTANT:
        return head + encode(4, kind) + b"".join(encode(5, attribute) for attribute in attributes)
    body = encode(2, kind) + b"".join(encode(3, attribute) for attribute in attributes) + encode(4, kind)
    body += encode(5, _ATTRIBUTES if node.kind in _NO_FUNCTIONS else _FUNCTION)
    reference = primitives.setdefault(body, f"{node.kind}:{len(primitives)}")
    return head + encode(4, f"{_REFERENCE}{reference}".encode())


def _attribute(value: Attribute, place: int) -> bytes:
    """An AttributeProto without its name; `place`, in `_FIELDS`, is 1 for an element of a tuple."""
    if isinstance(value, tuple):
        return encode(16, _TUPLE) + b"".join(encode(17, _attribute(item, 1)) for item in value)
    if isinstance(value, np.ndarray):
        return encode(12, _tensor(value)) + encode(16, _TENSORS)
    if isinstance(value, bool):
        return encode(_FIELDS[_BOOL][place], int(value)) + encode(16, _BOOL)
    if isinstance(value, int):
        return encode(_FIELDS[_INT64][place], _unsigned(value)) + encode(16, _INT64)
    if isinstance(value, float):
        key = _FIELDS[_FLOAT][place] << 3 | protobuf.FIXED32
        return bytes([key]) + struct.pack("<f", value) + encode(16, _FLOAT)
    return encode(_FIELDS[_STRING][place], value.encode()) + encode(16, _STRING)


def _tensor(array: np.ndarray, name: str | None = None) -> bytes:
    named = b"" if name is None else encode(7, name.encode())
    data = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
    return _type(array.shape, array.dtype) + named + encode(9, data)


def _info(info: Info) -> bytes:
    return encode(1, info.name.encode()) + encode(2, _type(info.shape, info.dtype))


def _type(shape: Iterable[int], dtype: np.dtype) -> bytes:
    return b"".join(encode(1, _unsigned(size)) for size in shape) + encode(2, _NUMBERS[dtype])


def read_mindir(data: memoryview) -> Program:
    """Reads a file of which every name is known where it is used.

    Args:
      data: the file's bytes.

    Returns:
      Its `Program`; the arrays are views of `data`.

    Raises:
      ValueError: if it is none, or holds what `write_mindir` does not write.
    """
    return _Reader().program(data)


_Parts = dict[int, list[tuple[int, protobuf.Value]]]


class _Reader:
    """Reads the messages of one file."""

    def __init__(self) -> None:
        self.messages = Messages()
        self.primitives: dict[str, tuple[str, dict[str, Attribute]]] = {}

    def program(self, data: memoryview) -> Program:
        model = self.parts(data)
        for primitive in self.each(model, 12):
            self.primitives[_text(primitive, 1)] = _text(primitive, 2), self.attributes(primitive, 3)
        graph = self.parts(protobuf.message(_one(model, 7)))
        tensors = self.each(graph, 3)
        program = Program(
            name=_text(graph, 2),
            inputs=self.infos(graph, 5),
            outputs=self.infos(graph, 6),
            parameters={_text(tensor, 7): _array(tensor) for tensor in tensors},
            nodes=[self.node(node) for node in self.each(graph, 1)],
            facts={_text(fact, 1): _text(fact, 2) for fact in self.each(model, 14)},
        )
        _check_names(program, len(tensors))
        return program

    def parts(self, data: memoryview) -> _Parts:
        """A message's fields by number, as (wire type, value)."""
        found: _Parts = {}
        for number, wire, value in self.messages.fields(data):
            found.setdefault(number, []).append((wire, value))
        return found

    def each(self, parts: _Parts, number: int) -> list[_Parts]:
        """A repeated field of messages."""
        return [self.parts(protobuf.message(value)) for _, value in parts.get(number, [])]

    def infos(self, graph: _Parts, number: int) -> list[Info]:
        infos = self.each(graph, number)
        types = [self.parts(protobuf.message(_one(info, 2))) for info in infos]
        return [Info(_text(info, 1), _dtype(type_), _shape(type_)) for info, type_ in zip(infos, types, strict=True)]

    def node(self, parts: _Parts) -> Node:
        inputs = tuple(protobuf.text(value) for _, value in parts.get(1, []))
        name, operation = _text(parts, 2), _text(parts, 4)
        if operation == CONSTANT:
            attributes = self.attributes(parts, 5)
            if VALUE not in attributes:
                raise ValueError(f"constant {name!r} has no value")
            return Node(name, CONSTANT, inputs, attributes)
        reference = operation.removeprefix(_REFERENCE)
        if reference not in self.primitives:
            raise ValueError(f"node {name!r} refers to {operation!r}, which is not there")
        return Node(name, self.primitives[reference][0], inputs, self.primitives[reference][1])

    def attributes(self, parts: _Parts, number: int) -> dict[str, Attribute]:
        return {_text(attribute, 1): self.attribute(attribute) for attribute in self.each(parts, number)}

    def attribute(self, parts: _Parts, depth: int = 0) -> Attribute:
        kind = _integer(parts, 16)
        if kind == _TUPLE and depth < _DEEPEST:
            return tuple(self.attribute(element, depth + 1) for element in self.each(parts, 17))
        if kind == _TENSORS:
            return _array(self.parts(protobuf.message(_one(parts, 12))))
        if kind not in _FIELDS:
            raise ValueError(f"an attribute of type {kind}")
        number = _FIELDS[kind][1 if depth else 0]
        if kind == _STRING:
            return _text(parts, number)
        if kind == _FLOAT:
            return float(protobuf.floats(_one(parts, number), "<f4").item())
        return bool(_integer(parts, number)) if kind == _BOOL else _integer(parts, number)


def _one(parts: _Parts, number: int) -> protobuf.Value:
    if len(parts.get(number, [])) != 1:
        raise ValueError(f"field {number} occurs {len(parts.get(number, []))} times instead of once")
    return parts[number][0][1]


def _text(parts: _Parts, number: int) -> str:
    return protobuf.text(_one(parts, number))


def _integer(parts: _Parts, number: int) -> int:
    value = _one(parts, number)
    if not isinstance(value, int):
        raise ValueError("an integer field of the wrong wire type")
    return _signed(value)


def _unsigned(value: int) -> int:
    """As protobuf stores an int64: in two's complement."""
    return value & (1 << 64) - 1


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _dtype(tensor: _Parts) -> np.dtype:
    number = _integer(tensor, 2)
    if number not in _DTYPES:
        raise ValueError(f"a tensor of type {number}")
    return np.dtype(_DTYPES[number])


def _shape(tensor: _Parts) -> tuple[int, ...]:
    dims: list[int] = []
    for wire, value in tensor.get(1, []):
        dims = protobuf.dimensions(wire, value, dims)
    return tuple(_signed(size) for size in dims)


def _array(tensor: _Parts) -> np.ndarray:
    dtype, shape, data = _dtype(tensor), _shape(tensor), protobuf.message(_one(tensor, 9))
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"a tensor of shape {shape} and type {dtype} but {len(data)} bytes")
    return numbers.from_bytes(data, dtype.str, shape)


def _check_names(program: Program, parameters: int) -> None:
    """Raises ValueError if a name stands for two things, or for none where it is used; `parameters`: their number."""
    known = {*program.parameters, *(info.name for info in program.inputs)}
    if len(known) != parameters + len(program.inputs):
        raise ValueError("two inputs or parameters of one name")
    for node in program.nodes:
        if not known.issuperset(node.inputs):
            raise ValueError(f"node {node.name!r} takes {sorted(set(node.inputs) - known)[0]!r}, which is not there")
        if node.name in known:
            raise ValueError(f"{node.name!r} is the name of two things")
        known.add(node.name)
    if not program.outputs or not known.issuperset(info.name for info in program.outputs):
        raise ValueError("an output that no node computes")
