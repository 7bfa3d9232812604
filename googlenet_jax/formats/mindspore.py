"""MindSpore's .ckpt, as MindCV and the model zoo write it.

Format: mindspore `ccsrc/utils/checkpoint.proto`: one message, values of a tag and a tensor.
"""

import math
from collections.abc import Mapping

import numpy as np

from googlenet_jax.formats import numbers, protobuf
from googlenet_jax.formats.protobuf import Messages

_DTYPES = {
    "Float64": "<f8",
    "Float32": "<f4",
    "Float16": "<f2",
    "BFloat16": numbers.BFLOAT16,
    "Int64": "<i8",
    "Int32": "<i4",
    "Bool": "|b1",
}
_CRC_MARK, _CRC_TAIL = b"crc_num", 17  # what save_checkpoint(crc_check=True) appends: the mark and ten bytes


def read_ckpt(data: memoryview) -> dict[str, np.ndarray]:
    """Reads a Checkpoint.

    Args:
      data: the file's bytes.

    Returns:
      {name: array}; values that are no numbers, such as text, are left out.

    Raises:
      ValueError: if the bytes are no Checkpoint.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    dtypes: dict[str, str] = {}
    contents: dict[str, list[memoryview]] = {}
    messages = Messages()
    if data[-_CRC_TAIL:][: len(_CRC_MARK)] == _CRC_MARK:
        data = data[:-_CRC_TAIL]
    for number, _, value in messages.fields(data):
        if number != 1:
            raise ValueError(f"field {number} in a checkpoint that has only values")
        parts = {inner: part for inner, _, part in messages.fields(protobuf.message(value))}
        if 1 not in parts or 2 not in parts:
            raise ValueError("a value without a name or a tensor")
        name = protobuf.text(parts[1])
        dims: list[int] = []
        kind, content = "", memoryview(b"")
        for inner, wire, part in messages.fields(protobuf.message(parts[2])):
            if inner == 1:
                dims = protobuf.dimensions(wire, part, dims)
            elif inner == 2:
                kind = protobuf.text(part)
            elif inner == 3:
                content = protobuf.message(part)
        shapes[name], dtypes[name] = tuple(dims), kind
        contents.setdefault(name, []).append(content)  # large tensors come in pieces of the same name
    return {
        name: _array(name, b"".join(pieces) if len(pieces) > 1 else pieces[0], dtypes[name], shapes[name])
        for name, pieces in contents.items()
        if dtypes[name] in _DTYPES
    }


def write_ckpt(tensors: Mapping[str, np.ndarray]) -> bytes:
    """A Checkpoint that MindSpore's `load_checkpoint` reads.

    Args:
      tensors: float32 arrays by name.

    Returns:
      The file's bytes.
    """
    parts = []
    for name, array in tensors.items():
        dims = b"".join(protobuf.encode(1, n) for n in array.shape)
        content = np.ascontiguousarray(array, "<f4").tobytes()
        tensor = dims + protobuf.encode(2, b"Float32") + protobuf.encode(3, content)
        parts.append(protobuf.encode(1, protobuf.encode(1, name.encode()) + protobuf.encode(2, tensor)))
    return b"".join(parts)


def _array(name: str, content: bytes | memoryview, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    dtype = _DTYPES[kind]
    count, rest = divmod(len(content), numbers.item_size(dtype))
    if rest:
        raise ValueError(f"{name} has {len(content)} bytes, which is no array of {kind}")
    if count == 1 and shape in ((), (0,)):  # a scalar
        shape = ()
    if math.prod(shape) != count:
        raise ValueError(f"{name} has shape {shape} but {count} values")
    return numbers.from_bytes(content, dtype, shape)
