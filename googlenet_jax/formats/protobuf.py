"""Reading protobuf's wire format, bounded: no length in a file is believed before it is checked.

Format: https://protobuf.dev/programming-guides/encoding.
"""

import struct
from collections.abc import Iterator

import numpy as np

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
Value = int | memoryview
_MAX_DIMENSIONS = 16


class Messages:
    """Reads the messages of one file, which may have so many fields in all, nested ones counted."""

    def __init__(self, most: int = 100_000):
        self.left = most

    def fields(self, data: memoryview) -> Iterator[tuple[int, int, Value]]:
        """As the function `fields`; raises ValueError also when there are too many."""
        for field in fields(data):
            self.left -= 1
            if self.left < 0:
                raise ValueError("more fields than a GoogLeNet has")
            yield field


def fields(data: memoryview) -> Iterator[tuple[int, int, Value]]:
    """The fields of one message.

    Args:
      data: the message's bytes.

    Yields:
      (field number, wire type, value): an int for varints, else the bytes, not copied.

    Raises:
      ValueError: where the bytes are no message.
    """
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value: Value
            value, at = _varint(data, at)
        elif wire in (FIXED64, BYTES, FIXED32):
            size = {FIXED64: 8, FIXED32: 4}.get(wire)
            if size is None:
                size, at = _varint(data, at)
            if size > len(data) - at:
                raise ValueError(f"a field of {size} bytes where only {len(data) - at} are left")
            value, at = data[at : at + size], at + size
        else:
            raise ValueError(f"wire type {wire} at byte {at}")
        if number == 0:
            raise ValueError(f"field number 0 at byte {at}")
        yield number, wire, value


def dimensions(wire: int, value: Value, known: list[int]) -> list[int]:
    """A shape's dimensions so far, with one more occurrence of their field, packed or not."""
    dims = known + _integers(wire, value)
    if len(dims) > _MAX_DIMENSIONS:
        raise ValueError(f"a shape of more than {_MAX_DIMENSIONS} dimensions")
    return dims


def _integers(wire: int, value: Value) -> list[int]:
    if isinstance(value, int):
        return [value]
    if wire != BYTES:
        raise ValueError("an integer field of the wrong wire type")
    at = 0
    numbers: list[int] = []
    while at < len(value) and len(numbers) <= _MAX_DIMENSIONS:
        number, at = _varint(value, at)
        numbers.append(number)
    return numbers


def floats(value: Value, dtype: str) -> np.ndarray:
    """One occurrence of a repeated float ("<f4") or double ("<f8") field, packed or not."""
    if isinstance(value, int) or len(value) % np.dtype(dtype).itemsize:
        raise ValueError("a field of numbers of the wrong size")
    return np.frombuffer(value, dtype)


def text(value: Value) -> str:
    """A string field."""
    if isinstance(value, int):
        raise ValueError("a string field of the wrong wire type")
    return bytes(value).decode()


def message(value: Value) -> memoryview:
    """A field that is itself a message."""
    if isinstance(value, int):
        raise ValueError("a message field of the wrong wire type")
    return value


def encode(number: int, value: int | bytes) -> bytes:
    """One field: a varint from an int, or a length and bytes."""
    if isinstance(value, int):
        return _encode_varint(number << 3 | VARINT) + _encode_varint(value)
    return _encode_varint(number << 3 | BYTES) + _encode_varint(len(value)) + value


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise ValueError("the bytes end within a number")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError(f"a number of more than ten bytes at byte {at}")


def _encode_varint(value: int) -> bytes:
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes(parts) + struct.pack("B", value)
