"""What stands for a framework's objects while a pickle is read: plain records, never the objects themselves."""

import dataclasses
import math

import numpy as np

from googlenet_jax.formats import numbers


@dataclasses.dataclass(frozen=True)
class Global:
    """A name that a pickle refers to, never looked up."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Opaque:
    """Something of that name that is neither a tensor nor a plain value; what it is made of is dropped.

    It is equal to itself alone, so that as a dictionary's key it costs nothing.
    """

    name: str


@dataclasses.dataclass
class Dtype:
    """A numpy dtype under construction, such as "<f4"."""

    name: str


@dataclasses.dataclass
class Array:
    """A numpy array under construction; None until its state is set, and for one that is not of numbers."""

    values: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Storage:
    """A torch storage: its bytes lie elsewhere, under `key`; `count` values of `dtype`, as in `numbers`."""

    key: str
    dtype: str
    count: int

    @property
    def size(self) -> int:
        """Bytes."""
        return self.count * numbers.item_size(self.dtype)


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A torch tensor: a view of a storage; offset and strides in values."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def from_bytes(self, data: memoryview) -> np.ndarray:
        """The tensor as a contiguous array, from the storage's bytes; bfloat16 as float32."""
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        if len(data) != self.storage.size:
            raise ValueError(f"tensor of shape {self.shape} does not fit its storage")
        dtype = numbers.stored(self.storage.dtype)
        if 0 in self.shape:
            return numbers.widened(np.zeros(self.shape, dtype), self.storage.dtype)
        # Strides of zero would let a few bytes stand for any amount of memory.
        if last >= self.storage.count or math.prod(self.shape) > self.storage.count:
            raise ValueError(f"tensor of shape {self.shape} does not fit its storage")
        values = np.frombuffer(data, dtype)[self.offset :]
        strides = tuple(s * values.itemsize for s in self.strides)
        view = np.lib.stride_tricks.as_strided(values, self.shape, strides, writeable=False)
        return numbers.widened(view.copy(), self.storage.dtype)
