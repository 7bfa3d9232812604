"""Arrays from bytes, of numpy's types and of bfloat16, which numpy has none for."""

import numpy as np

BFLOAT16 = "bfloat16"


def item_size(dtype: str) -> int:
    """Bytes of one number of that type: numpy's name, such as "<f4", or "bfloat16"."""
    return 2 if dtype == BFLOAT16 else np.dtype(dtype).itemsize


def stored(dtype: str) -> np.dtype:
    """The numpy type in which the bytes of such numbers can be moved about."""
    return np.dtype("<u2" if dtype == BFLOAT16 else dtype)


def widened(array: np.ndarray, dtype: str = BFLOAT16) -> np.ndarray:
    """Bits of bfloat16 as float32, of which they are the upper half; other types as they are."""
    if dtype != BFLOAT16:
        return array
    return (array.view("<u2").astype(np.uint32) << 16).view(np.float32)


def from_bytes(data: bytes | memoryview, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """An array of that type and shape; ValueError if it does not have just these bytes."""
    values = np.frombuffer(data, stored(dtype))
    return widened(values.reshape(shape), dtype)
