"""The .safetensors of Hugging Face: a JSON header and the tensors' bytes.

Format: https://github.com/huggingface/safetensors#format.
"""

import json
import math
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from googlenet_jax.errors import shown
from googlenet_jax.formats import numbers
from googlenet_jax.formats.groups import Found

MAX_HEADER = 16 << 20
_MAX_DIMENSIONS = 16
_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": numbers.BFLOAT16,
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "<i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "<u1",
    "BOOL": "|b1",
}


class _Place(NamedTuple):
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def is_safetensors(start: bytes, size: int) -> bool:
    """Whether a file of that size that starts so could be one."""
    return _header_size(start) <= min(MAX_HEADER, size - 8) and start[8:9] == b"{" and start[9:].lstrip()[:1] in b'"}'


def read_safetensors(stream: BinaryIO) -> Found:
    """Reads such a file.

    Args:
      stream: the file.

    Returns:
      {name: array}; tensors of types that numpy lacks, bfloat16 apart, are left out.

    Raises:
      ValueError: if it is damaged.
    """
    size = _header_size(stream.read(8))
    header = json.loads(stream.read(size))
    data = memoryview(stream.read())
    if not isinstance(header, dict):
        raise ValueError("a header that lists no tensors")
    places = {name: _place(name, facts) for name, facts in header.items() if name != "__metadata__"}
    if sum(place.end - place.begin for place in places.values()) > len(data):
        raise ValueError("its tensors lie on top of each other, or beyond the file's end")
    known = {name: place for name, place in places.items() if place.dtype in _DTYPES}

    def read(places: Mapping[str, _Place]) -> dict[str, np.ndarray]:
        return {name: _array(name, place, data) for name, place in places.items()}

    return Found({"": known} if known else {}, read)


def read_metadata(stream: BinaryIO) -> dict[str, str]:
    """The texts by key in such a file's header; raises ValueError if it is damaged."""
    start = stream.read(9)
    size = _header_size(start) if len(start) == 9 else 0
    if not 0 < size <= MAX_HEADER:
        raise ValueError("no header of a safetensors file")
    header = json.loads(start[8:] + stream.read(size - 1))
    metadata = header.get("__metadata__", {}) if isinstance(header, dict) else None
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise ValueError("metadata that is no text")
    return metadata


def write_safetensors(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """A file of arrays by name.

    Args:
      tensors: float32 or int64 arrays.
      metadata: texts by key.

    Returns:
      The file's bytes.
    """
    kinds = {"float32": "F32", "int64": "I64"}
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    parts, end = [], 0
    for name, array in tensors.items():
        parts.append(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
        begin, end = end, end + len(parts[-1])
        header[name] = {"dtype": kinds[array.dtype.name], "shape": [*array.shape], "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # so that the arrays are aligned
    return struct.pack("<Q", len(text)) + text + b"".join(parts)


def _header_size(start: bytes) -> int:
    return struct.unpack("<Q", start[:8])[0]


def _place(name: str, facts: Any) -> _Place:
    if not isinstance(facts, dict):
        raise ValueError(f"{shown(name)} is no tensor")
    shape, offsets = facts.get("shape"), facts.get("data_offsets")
    if isinstance(shape, list) and len(shape) <= _MAX_DIMENSIONS and isinstance(offsets, list) and len(offsets) == 2:
        whole = all(type(number) is int and 0 <= number < 1 << 40 for number in (*shape, *offsets))
        if whole and offsets[0] <= offsets[1]:
            return _Place(str(facts.get("dtype")), tuple(shape), *offsets)
    raise ValueError(f"{shown(name)} has a shape or place that makes no sense")


def _array(name: str, place: _Place, data: memoryview) -> np.ndarray:
    dtype = _DTYPES[place.dtype]
    part = data[place.begin : place.end]
    if len(part) != place.end - place.begin or math.prod(place.shape) * numbers.item_size(dtype) != len(part):
        raise ValueError(f"{shown(name)} has shape {place.shape} but {len(part)} bytes")
    return numbers.from_bytes(part, dtype, place.shape)
