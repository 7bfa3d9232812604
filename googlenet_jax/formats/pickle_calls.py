"""What stands for the functions that a pickle asks for: a row for each that makes tensors.

None is ever called or imported.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from googlenet_jax.formats import numbers
from googlenet_jax.formats.pickle_values import Array, Dtype, Global, Opaque, Storage, Tensor

_MAX_DIMENSIONS = 16
_MAX_NAME = 400
_DTYPES = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"}
_TORCH_DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": numbers.BFLOAT16,
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "UntypedStorage": "<u1",
    "BoolStorage": "|b1",
    "ComplexFloatStorage": "<c8",
    "ComplexDoubleStorage": "<c16",
}
_TORCH_NAMES = {
    "float64": "<f8",
    "float32": "<f4",
    "float16": "<f2",
    "bfloat16": numbers.BFLOAT16,
    "int64": "<i8",
    "int32": "<i4",
    "int16": "<i2",
    "int8": "<i1",
    "uint8": "<u1",
    "uint16": "<u2",
    "uint32": "<u4",
    "uint64": "<u8",
    "bool": "|b1",
}

# A checkpoint has no use for these, an attack has. Nothing of the kind would run here, but who sends it means harm.
_REFUSED_MODULES = {
    *("os", "posix", "nt", "sys", "subprocess", "pty", "commands", "popen2", "shutil", "multiprocessing", "asyncio"),
    *("importlib", "imp", "runpy", "pkgutil", "ctypes", "_ctypes", "marshal", "pickle", "cPickle", "_pickle", "code"),
    *("codeop", "pdb", "bdb", "timeit", "trace", "profile", "cProfile", "pydoc", "doctest", "pip", "signal", "socket"),
    *("ssl", "webbrowser", "http", "urllib", "urllib2", "httplib", "requests", "ftplib", "smtplib", "telnetlib"),
}
_REFUSED_BUILTINS = {
    *("eval", "exec", "execfile", "compile", "__import__", "getattr", "setattr", "delattr", "open", "file", "input"),
    *("apply", "breakpoint", "globals", "locals", "vars", "print"),
}


class Memory:
    """What the values of one pickle may take beyond the file's own bytes, in bytes."""

    def __init__(self, limit: int):
        self.left = limit

    def spend(self, size: int) -> None:
        """Takes note of some more; raises ValueError if it is too much."""
        self.left -= size
        if self.left < 0:
            raise ValueError("it would take more memory than a GoogLeNet")

    def as_bytes(self, data: Any) -> bytes:
        """Bytes, or Python 2's string as bytes, which is a copy."""
        if isinstance(data, bytes):
            return data
        self.spend(len(as_text(data)))
        return data.encode("latin1")


def refer(module: str, name: str) -> Global:
    """A reference to that name; raises ValueError for one that can do harm."""
    builtin = module in ("builtins", "__builtin__")
    if module.partition(".")[0] in _REFUSED_MODULES or (builtin and name.partition(".")[0] in _REFUSED_BUILTINS):
        raise ValueError(f"it asks for {module}.{name}, which is refused: only arrays and plain values are read")
    if len(module) + len(name) > _MAX_NAME:  # it is copied for each call
        raise ValueError("a reference of a length that none has")
    return Global(module, name)


def call(function: Any, arguments: Any, memory: Memory) -> Any:
    """What a call stands for.

    Args:
      function: a `Global`, or an `Opaque` that could be called too.
      arguments: a tuple.
      memory: that it may take.

    Returns:
      What the rows below make; an `Opaque` for any other function.

    Raises:
      ValueError: if it is no call, or its arguments are not what the function takes.
    """
    if isinstance(function, Opaque):
        return function
    if not isinstance(function, Global) or not isinstance(arguments, tuple):
        raise ValueError("a call of no function")
    known = _CALLS.get(str(function).replace("numpy._core.", "numpy.core."))
    return known(arguments, memory) if known else Opaque(str(function))


def build(target: Any, state: Any, memory: Memory) -> None:
    """Sets the state of what a call has made, which the memo may also refer to.

    Args:
      target: an array or its type; anything else has no state of use here.
      state: as its pickle has it.
      memory: that it may take.

    Raises:
      ValueError: if it is no such state.
    """
    if isinstance(target, Dtype):
        if target.name[:1] not in "<>|=" and state[1] in ("<", ">", "|", "="):
            target.name = state[1] + target.name
    elif isinstance(target, Array):
        _, shape, dtype, in_columns, data = state
        if of_numbers(dtype):
            target.values = _shaped(memory.as_bytes(data), dtype, shape, "F" if in_columns else "C")
    elif not isinstance(target, dict | Opaque | Global | Tensor):
        raise ValueError(f"a state for {type(target).__name__} is refused")


def checked_items(items: Any) -> dict[Any, Any]:
    """A dictionary whose keys' hash costs nothing; what stands for other keys is equal to nothing else."""
    result = {}
    for key, value in items:
        cheap = isinstance(key, str | Global | Opaque) or (isinstance(key, int) and abs(key) < 1 << 32)
        result[key if cheap else Opaque(type(key).__name__)] = value
    return result


def storage(reference: Any) -> Any:
    """What a persistent id refers to: a `Storage`, or an `Opaque` for one of numbers unknown here."""
    if reference[0] == "module":  # in torch's older format: a class with its source code
        return reference[1]
    _, kind, key, _, count = reference[:5]
    if not isinstance(kind, Global):
        raise ValueError(f"a tensor storage of kind {type(kind).__name__} is refused")
    if kind.name not in _TORCH_DTYPES:
        return Opaque(str(kind))
    return Storage(as_text(key), _TORCH_DTYPES[kind.name], _sizes((count,))[0])


def as_text(value: Any) -> str:
    """The value, which must be a string."""
    if not isinstance(value, str):
        raise ValueError(f"{type(value).__name__} where a string should be")
    return value


def _names_a_type(name: Any) -> bool:
    """Whether this may be the name of a numbers' type, such as "<f4"."""
    return isinstance(name, str) and len(name) < 16


def of_numbers(dtype: Any) -> bool:
    """Whether arrays of this `Dtype` can be read."""
    return isinstance(dtype, Dtype) and dtype.name.lstrip("<>|=") in _DTYPES


def _shaped(data: bytes, dtype: Dtype, shape: Any, order: Any) -> np.ndarray:
    values = np.frombuffer(data, np.dtype(dtype.name))
    shape = _sizes(shape)
    if math.prod(shape) != values.size:
        raise ValueError(f"an array of shape {shape} with {values.size} values")
    return values.reshape(shape, order="F" if order == "F" else "C")


def _sizes(values: Any) -> tuple[int, ...]:
    """Whole numbers that could be a shape."""
    if not isinstance(values, tuple | list) or len(values) > _MAX_DIMENSIONS:
        raise ValueError("a shape that makes no sense")
    if not all(isinstance(value, int) and 0 <= value < 1 << 40 for value in values):
        raise ValueError("a shape that makes no sense")
    return tuple(values)


def _scalar(arguments: tuple[Any, ...], memory: Memory) -> Any:
    dtype, data = arguments
    if not of_numbers(dtype):
        return Opaque("numpy.core.multiarray.scalar")
    return np.frombuffer(memory.as_bytes(data), np.dtype(dtype.name), 1).reshape(())


def _from_buffer(arguments: tuple[Any, ...], memory: Memory) -> Array:
    """As numpy makes its arrays in protocol 5."""
    data, dtype, shape, order = arguments
    return Array(_shaped(memory.as_bytes(data), dtype, shape, order) if of_numbers(dtype) else None)


def _dictionary(arguments: tuple[Any, ...], memory: Memory) -> dict[Any, Any]:
    items = arguments[0] if arguments else []
    memory.spend(64 * len(items))
    return checked_items(items)


def _tensor(arguments: tuple[Any, ...], memory: Memory) -> Any:
    origin, offset, shape, strides = arguments[:4]
    if isinstance(origin, Opaque):
        return origin
    if not isinstance(origin, Storage) or len(shape) != len(strides):
        raise ValueError("a tensor without storage")
    return Tensor(origin, _sizes((offset,))[0], _sizes(shape), _sizes(strides))


def _typed_tensor(arguments: tuple[Any, ...], memory: Memory) -> Any:
    """Of a storage of bytes; the numbers' type stands beside it."""
    origin, dtype = arguments[0], arguments[6]
    known = _TORCH_NAMES.get(dtype.name) if isinstance(dtype, Global) else None
    if known is None or not isinstance(origin, Storage):
        return Opaque(str(dtype))
    typed = Storage(origin.key, known, origin.size // numbers.item_size(known))
    return _tensor((typed, *arguments[1:4]), memory)


def _of_type(arguments: tuple[Any, ...], memory: Memory) -> Any:
    """A tensor of a subclass: the function that makes it, the class, and the function's arguments."""
    function, _, inner = arguments[:3]
    rebuild = {"_rebuild_tensor_v2": _tensor, "_rebuild_tensor_v3": _typed_tensor}
    known = rebuild.get(function.name) if isinstance(function, Global) else None
    return known(inner, memory) if known else Opaque(str(function))


_CALLS: dict[str, Callable[[tuple[Any, ...], Memory], Any]] = {
    "numpy.core.multiarray._reconstruct": lambda arguments, memory: Array(),
    "numpy.core.multiarray.scalar": _scalar,
    "numpy.core.numeric._frombuffer": _from_buffer,
    "numpy.dtype": lambda arguments, memory: Dtype(arguments[0] if _names_a_type(arguments[0]) else ""),
    "_codecs.encode": lambda arguments, memory: memory.as_bytes(as_text(arguments[0])),
    "collections.OrderedDict": _dictionary,
    "collections.defaultdict": lambda arguments, memory: {},
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _typed_tensor,
    "torch._utils._rebuild_parameter": lambda arguments, memory: arguments[0],
    "torch._utils._rebuild_parameter_with_state": lambda arguments, memory: arguments[0],
    "torch._tensor._rebuild_from_type_v2": _of_type,
}
