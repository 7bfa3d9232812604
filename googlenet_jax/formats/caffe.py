"""Caffe's .caffemodel, in the old and the new form, and .caffemodel.h5.

Format: BVLC/caffe `src/caffe/proto/caffe.proto`; in HDF5 `data/<layer>/<blob>` as `Net::ToHDF5` writes it.
"""

import io
import math
from typing import Any, BinaryIO

import numpy as np

from googlenet_jax.errors import UserError
from googlenet_jax.formats import protobuf
from googlenet_jax.formats.protobuf import Messages, Value

# Of NetParameter: number of the repeated layer field -> numbers of its name and its blobs.
_LAYERS = {2: (4, 6), 100: (1, 7)}
_BLOB_NAMES = ("weight", "bias")


def read_caffemodel(data: memoryview) -> dict[str, np.ndarray]:
    """Reads a NetParameter.

    Args:
      data: the file's bytes.

    Returns:
      {"<layer>_weight" or "<layer>_bias": float32 or float64 array}; layers without blobs are left out.

    Raises:
      ValueError: if the bytes are no NetParameter.
    """
    tensors: dict[str, np.ndarray] = {}
    messages = Messages()
    for number, _, value in messages.fields(data):
        if number not in _LAYERS:
            continue
        name_number, blob_number = _LAYERS[number]
        name, blobs = "", []
        for inner, _, part in messages.fields(protobuf.message(value)):
            if inner == name_number:
                name = protobuf.text(part)
            elif inner == blob_number:
                blobs.append(_blob(part, messages))
        if len(blobs) > len(_BLOB_NAMES):
            raise ValueError(f"layer {name!r} has {len(blobs)} blobs, not a weight and a bias")
        tensors |= {f"{name}_{kind}": blob for kind, blob in zip(_BLOB_NAMES, blobs, strict=False)}
    return tensors


def read_caffemodel_h5(stream: BinaryIO) -> dict[str, np.ndarray]:
    """As `read_caffemodel`, of a file written with `snapshot_format: HDF5`."""
    try:
        import pyfive
    except ModuleNotFoundError:
        raise UserError("HDF5 files are read with pyfive: pip install 'googlenet-jax[hdf5]'") from None

    tensors: dict[str, np.ndarray] = {}
    left = stream.seek(0, io.SEEK_END)
    stream.seek(0)

    def visit(name: str, item: object) -> None:
        if isinstance(item, pyfive.Dataset):
            layer, _, blob = name.rpartition("/")
            if blob not in ("0", "1"):
                raise ValueError(f"data/{name} is not a weight (0) or a bias (1)")
            nonlocal left
            left -= math.prod(item.shape) * item.dtype.itemsize
            if item.dtype not in (np.float32, np.float64) or item.chunks is not None or left < 0:
                raise ValueError(f"data/{name} is not of plain floats, or claims more than the file holds")
            tensors[f"{layer}_{_BLOB_NAMES[int(blob)]}"] = np.asarray(item[...])

    with pyfive.File(_Metered(stream, 8 * left + (1 << 20))) as file:
        if "data" not in file:
            raise ValueError("an HDF5 file without the group 'data' that Caffe writes")
        file["data"].visititems(visit)
    return tensors


class _Metered:
    """A stream that gives no more than so many bytes in all: a small file may name its parts again and again."""

    def __init__(self, stream: BinaryIO, left: int):
        self._stream, self._left = stream, left

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise ValueError("its parts together are many times as long as it is")
        return data


def write_caffemodel(name: str, layers: dict[str, tuple[str, list[np.ndarray]]]) -> bytes:
    """A NetParameter in the new form.

    Args:
      name: of the network.
      layers: {layer's name: (Caffe's layer type, float32 blobs)}.

    Returns:
      The file's bytes.
    """
    parts = [protobuf.encode(1, name.encode())]
    for layer, (kind, blobs) in layers.items():
        content = protobuf.encode(1, layer.encode()) + protobuf.encode(2, kind.encode())
        for blob in blobs:
            dims = b"".join(protobuf.encode(1, n) for n in blob.shape)
            data = protobuf.encode(5, np.ascontiguousarray(blob, "<f4").tobytes())
            content += protobuf.encode(7, data + protobuf.encode(7, dims))
        parts.append(protobuf.encode(100, content))
    return b"".join(parts)


def _blob(value: Value, messages: Messages) -> np.ndarray:
    """A BlobProto; legacy shapes (num, channels, height, width) lose their leading ones, as blob.cpp reads them."""
    legacy: dict[int, int] = {}
    shape: list[int] = []
    data: dict[int, list[np.ndarray]] = {5: [], 8: []}
    for number, _, part in messages.fields(protobuf.message(value)):
        if number in (1, 2, 3, 4) and isinstance(part, int):
            legacy[number] = part
        elif number in data:
            data[number].append(protobuf.floats(part, "<f4" if number == 5 else "<f8"))
        elif number == 7:
            for inner, inner_wire, dims in messages.fields(protobuf.message(part)):
                shape = protobuf.dimensions(inner_wire, dims, shape) if inner == 1 else shape
    values = np.concatenate(data[8] or data[5] or [np.zeros(0, np.float32)])
    if legacy:
        shape = [legacy.get(number, 1) for number in (1, 2, 3, 4)]
        while len(shape) > 1 and shape[0] == 1:
            del shape[0]
    if math.prod(shape) != values.size:
        raise ValueError(f"a blob of shape {tuple(shape)} with {values.size} values")
    return values.reshape(shape)
