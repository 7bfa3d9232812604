"""What stands for a framework's objects while a pickle is read: plain records, never the objects themselves."""

import dataclasses
import math

import numpy as np


@dataclasses.dataclass(frozen=True)
class Global:
    """A name that a pickle refers to, never looked up."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclasses.dataclass
class Dtype:
    """A numpy dtype under construction, such as "<f4"."""

    name: str


@dataclasses.dataclass
class Array:
    """A numpy array under construction; None until its state is set."""

    values: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Storage:
    """A torch storage: its bytes lie elsewhere, under `key`; `count` values of `dtype`."""

    key: str
    dtype: str
    count: int


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A torch tensor: a view of a storage; offset and strides in values."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def from_bytes(self, data: memoryview) -> np.ndarray:
        """The tensor as a contiguous array, from the storage's bytes."""
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        if len(data) != self.storage.count * np.dtype(self.storage.dtype).itemsize:
            raise ValueError(f"tensor of shape {self.shape} does not fit its storage")
        if 0 in self.shape:
            return np.zeros(self.shape, self.storage.dtype)
        # Strides of zero would let a few bytes stand for any amount of memory.
        if last >= self.storage.count or math.prod(self.shape) > self.storage.count:
            raise ValueError(f"tensor of shape {self.shape} does not fit its storage")
        values = np.frombuffer(data, self.storage.dtype)[self.offset :]
        strides = tuple(s * values.itemsize for s in self.strides)
        return np.lib.stride_tricks.as_strided(values, self.shape, strides, writeable=False).copy()
