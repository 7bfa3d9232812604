"""Reading pickles without running them.

A pickle is a program for a small stack machine. This one has only the instructions that build plain values, and knows
by name the few functions that the frameworks' tensors are made with: numpy's arrays and torch's tensors. Everything
else that a pickle may ask for is refused by name, so that nothing from a file is ever called or imported.
Instructions: the standard library's `pickletools`.
"""

import codecs
import math
import pickletools
from typing import Any, BinaryIO

import numpy as np

from googlenet_jax.formats.pickle_values import Array, Dtype, Global, Storage, Tensor

_MAX_INSTRUCTIONS = 1_000_000
_MAX_DIMENSIONS = 16
_INSTRUCTIONS = {instruction.code: instruction for instruction in pickletools.opcodes}
_DTYPES = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"}
_TORCH_DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "|b1",
}


def decode(stream: BinaryIO, limit: int) -> Any:
    """Decodes one pickle and stops behind it.

    Args:
      stream: a seekable binary stream at the start of a pickle, of any protocol, also Python 2's.
      limit: bytes that what it makes of its own bytes may take.

    Returns:
      None, bool, int, float, str, bytes, list, tuple, dict (keys str or int), numpy arrays, and `Tensor`, `Storage`,
      `Global` where the pickle has them; Python 2's strings as str, one character a byte.

    Raises:
      ValueError: for anything else; the message names the refused function or instruction.
    """
    return decode_with_storages(stream, limit)[0]


def decode_with_storages(stream: BinaryIO, limit: int) -> tuple[Any, dict[str, Storage]]:
    """As `decode`, with the torch storages that the pickle refers to, by key."""
    machine = _Machine(stream, limit)
    try:
        return _finished(machine.run()), machine.storages
    except (IndexError, TypeError, AttributeError, KeyError, UnicodeError, OverflowError) as error:
        raise ValueError(f"a pickle that makes no sense ({error})") from None


class _Machine:
    def __init__(self, stream: BinaryIO, limit: int):
        self.stream = stream
        self.left = limit
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, Storage] = {}

    def run(self) -> Any:
        for _ in range(_MAX_INSTRUCTIONS):
            code = self.stream.read(1).decode("latin1")
            if code not in _INSTRUCTIONS:
                raise ValueError("the pickle ends too early" if not code else f"no pickle instruction: {code!r}")
            instruction = _INSTRUCTIONS[code]
            if instruction.name == "STOP":
                return self.stack.pop()
            if instruction.name == "STRING":  # pickletools takes no bytes above 127, which Python 2's arrays have
                argument: Any = _quoted(self.stream.readline())
            else:
                argument = instruction.arg.reader(self.stream) if instruction.arg else None
            self.step(instruction.name, argument)
        raise ValueError(f"a pickle of more than {_MAX_INSTRUCTIONS} instructions")

    def step(self, name: str, argument: Any) -> None:
        stack = self.stack
        match name:
            case "PROTO" | "FRAME":
                pass
            case "NONE":
                stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(name == "NEWTRUE")
            case "INT" | "BININT" | "BININT1" | "BININT2" | "LONG" | "LONG1" | "LONG4":
                if abs(argument) >= 1 << 80:  # torch's magic number has 77 bits
                    raise ValueError("an integer of more than 80 bits")
                stack.append(argument)
            case "FLOAT" | "BINFLOAT":
                stack.append(argument)
            case "STRING" | "BINSTRING" | "SHORT_BINSTRING":
                stack.append(argument)
            case "UNICODE" | "BINUNICODE" | "SHORT_BINUNICODE" | "BINUNICODE8":
                stack.append(argument)
            case "BINBYTES" | "SHORT_BINBYTES" | "BINBYTES8" | "BYTEARRAY8":
                stack.append(bytes(argument))
            case "MARK":
                self.marks.append(len(stack))
            case "POP":
                stack.pop()
            case "POP_MARK":
                self.popped()
            case "EMPTY_LIST" | "EMPTY_DICT" | "EMPTY_TUPLE":
                stack.append({"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_TUPLE": tuple}[name]())
            case "LIST" | "TUPLE":
                stack.append((list if name == "LIST" else tuple)(self.popped()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                count = int(name[-1])
                if len(stack) < count:
                    raise ValueError("a pickle that makes no sense (tuple of too few values)")
                stack[-count:] = [tuple(stack[-count:])]
            case "DICT":
                items = self.popped()
                stack.append({})
                self.set_items(items)
            case "APPEND":
                value = stack.pop()
                self.extend([value])
            case "APPENDS":
                values = self.popped()
                self.extend(values)
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                self.set_items([key, value])
            case "SETITEMS":
                items = self.popped()
                self.set_items(items)
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = stack[-1]
            case "MEMOIZE":
                self.memo[len(self.memo)] = stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(self.memo[argument])
            case "GLOBAL":
                stack.append(Global(*argument.split(" ", 1)))
            case "STACK_GLOBAL":
                qualified, module = stack.pop(), stack.pop()
                stack.append(Global(_as_text(module), _as_text(qualified)))
            case "REDUCE" | "NEWOBJ":
                arguments, function = stack.pop(), stack.pop()
                stack.append(self.call(function, arguments))
            case "BUILD":
                state = stack.pop()
                self.build(stack[-1], state)
            case "BINPERSID":
                storage = _storage(stack.pop())
                self.storages[storage.key] = storage
                stack.append(storage)
            case _:
                raise ValueError(f"the pickle instruction {name} is refused")

    def popped(self) -> list[Any]:
        """Everything above the last mark."""
        mark = self.marks.pop()
        values = self.stack[mark:]
        del self.stack[mark:]
        return values

    def extend(self, values: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise ValueError("a pickle that makes no sense (append to no list)")
        self.stack[-1].extend(values)

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise ValueError("a pickle that makes no sense (items for no dictionary)")
        target.update(_checked_items(zip(items[::2], items[1::2], strict=True)))

    def call(self, function: Any, arguments: Any) -> Any:
        """What REDUCE stands for, for the functions known here."""
        if not isinstance(function, Global) or not isinstance(arguments, tuple):
            raise ValueError("a call of no function")
        match str(function).replace("numpy._core.", "numpy.core."):
            case "numpy.core.multiarray._reconstruct":
                return Array()
            case "numpy.dtype":
                return Dtype(_as_text(arguments[0]))
            case "numpy.core.multiarray.scalar":
                return np.frombuffer(self.as_bytes(arguments[1]), _dtype(arguments[0]), 1).reshape(())
            case "_codecs.encode":
                return self.as_bytes(_as_text(arguments[0]))
            case "collections.OrderedDict":
                items = arguments[0] if arguments else []
                self.spend(64 * len(items))
                return _checked_items(items)
            case "torch._utils._rebuild_tensor_v2":
                storage, offset, shape, strides = arguments[:4]
                if not isinstance(storage, Storage) or len(shape) != len(strides):
                    raise ValueError("a tensor without storage")
                return Tensor(storage, _sizes((offset,))[0], _sizes(shape), _sizes(strides))
            case "torch._utils._rebuild_parameter":
                return arguments[0]
            case "argparse.Namespace":
                return {}
            case name:
                raise ValueError(f"it asks for {name}, which is refused: only arrays and plain values are read")

    def build(self, target: Any, state: Any) -> None:
        """What BUILD stands for: sets the state of what a call has made, which the memo may also refer to."""
        if isinstance(target, Dtype):
            if target.name[:1] not in "<>|=" and state[1] in ("<", ">", "|", "="):
                target.name = state[1] + target.name
        elif isinstance(target, Array):
            _, shape, dtype, in_columns, data = state
            values = np.frombuffer(self.as_bytes(data), _dtype(dtype))
            shape = _sizes(shape)
            if math.prod(shape) != values.size:
                raise ValueError(f"an array of shape {shape} with {values.size} values")
            target.values = values.reshape(shape, order="F" if in_columns else "C")
        elif isinstance(target, dict):
            if not target:  # a namespace; what an ordered dictionary has beside its items is of no use here
                self.spend(64 * len(state))
                target.update(_checked_items(state.items()))
        else:
            raise ValueError(f"a state for {type(target).__name__} is refused")

    def as_bytes(self, data: Any) -> bytes:
        """Bytes, or Python 2's string as bytes, which is a copy."""
        if isinstance(data, bytes):
            return data
        self.spend(len(_as_text(data)))
        return data.encode("latin1")

    def spend(self, size: int) -> None:
        """Takes note of memory that the file's own bytes do not pay for."""
        self.left -= size
        if self.left < 0:
            raise ValueError("it would take more memory than a GoogLeNet")


def _quoted(line: bytes) -> str:
    text = line.strip()
    if len(text) < 2 or text[:1] not in (b"'", b'"') or text[-1:] != text[:1]:
        raise ValueError("a string without quotes")
    return codecs.escape_decode(text[1:-1])[0].decode("latin1")


def _checked_items(items: Any) -> dict[Any, Any]:
    """A dictionary with keys whose hash costs nothing."""
    result = {}
    for key, value in items:
        if not (isinstance(key, str) or (isinstance(key, int) and abs(key) < 1 << 32)):
            raise ValueError(f"a dictionary key of type {type(key).__name__} is refused")
        result[key] = value
    return result


def _finished(value: Any) -> Any:
    """The value with finished arrays, also within its dictionaries."""
    if isinstance(value, Array):
        if value.values is None:
            raise ValueError("an array without values")
        return value.values
    if isinstance(value, dict):
        return {key: item if isinstance(item, dict) else _finished(item) for key, item in value.items()}
    if isinstance(value, tuple) and len(value) == 2:  # Paddle's (name, array)
        return tuple(item if isinstance(item, tuple) else _finished(item) for item in value)
    return value


def _dtype(built: Any) -> np.dtype:
    name = built.name if isinstance(built, Dtype) else ""
    if name.lstrip("<>|=") not in _DTYPES:
        raise ValueError(f"an array of type {name!r} is refused")
    return np.dtype(name)


def _as_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{type(value).__name__} where a string should be")
    return value


def _storage(reference: Any) -> Storage:
    _, storage, key, _, count = reference[:5]
    if not isinstance(storage, Global) or storage.name not in _TORCH_DTYPES:
        name = storage if isinstance(storage, Global) else type(storage).__name__
        raise ValueError(f"a tensor storage of kind {name} is refused")
    return Storage(_as_text(key), _TORCH_DTYPES[storage.name], _sizes((count,))[0])


def _sizes(values: Any) -> tuple[int, ...]:
    """Whole numbers that could be a shape."""
    if not isinstance(values, tuple | list) or len(values) > _MAX_DIMENSIONS:
        raise ValueError("a shape that makes no sense")
    if not all(isinstance(value, int) and 0 <= value < 1 << 40 for value in values):
        raise ValueError("a shape that makes no sense")
    return tuple(values)
