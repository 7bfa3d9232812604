"""torch's .pth: a pickle of tensors and their bytes, in a zip archive (since torch 1.6) or one after the other.

Format: `torch/serialization.py` of pytorch/pytorch.
"""

import io
import itertools
import struct
import zipfile
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import numpy as np

from googlenet_jax.formats import LIMIT, pickles, zips
from googlenet_jax.formats.groups import Found, find_groups
from googlenet_jax.formats.pickle_values import Storage, Tensor

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_MAX_PICKLE = 16 << 20


def read_zip(stream: BinaryIO) -> Found:
    """Reads a file of `torch.save`: a state_dict, bare or within a training checkpoint.

    Args:
      stream: the file, which stays open while its tensors are read.

    Returns:
      The dictionaries with tensors in it.

    Raises:
      ValueError: if it is no such file.
    """
    archive = zips.opened(stream)
    pickled = [name for name in archive.namelist() if name.endswith("/data.pkl")]
    if len(pickled) != 1:
        raise ValueError(f"a zip archive with {len(pickled)} of torch's data.pkl")
    root = pickled[0].removesuffix("data.pkl")
    if f"{root}byteorder" in archive.namelist() and zips.member(archive, f"{root}byteorder", 16) != b"little":
        raise ValueError("its numbers are big-endian")
    content, _, unread = pickles.decode_whole(io.BytesIO(zips.member(archive, pickled[0], _MAX_PICKLE)), _MAX_PICKLE)
    return _found(content, unread, lambda storage: memoryview(zips.member(archive, f"{root}data/{storage.key}", LIMIT)))


def read_legacy(stream: BinaryIO) -> Found:
    """As `read_zip`, of a file in the format before torch 1.6."""
    if pickles.decode(stream, _MAX_PICKLE) != _LEGACY_MAGIC:
        raise ValueError("neither a zip archive nor torch's older format")
    pickles.decode(stream, _MAX_PICKLE)  # the protocol's version
    pickles.decode(stream, _MAX_PICKLE)  # the writer's byte order and integer sizes
    content, seen, unread = pickles.decode_whole(stream, _MAX_PICKLE)
    keys = pickles.decode(stream, _MAX_PICKLE)
    data: dict[str, memoryview] = {}
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ValueError("a list of storages that makes no sense")
    for key in keys:
        (count,) = struct.unpack("<q", stream.read(8))
        storage = seen.get(key)
        if storage is None or count != storage.count or not 0 <= storage.size <= LIMIT:
            raise ValueError(f"storage {key} is not what the pickle says")
        data[key] = memoryview(stream.read(storage.size))

    def storages(storage: Storage) -> memoryview:
        if storage.key not in data:
            raise ValueError(f"storage {storage.key} is missing")
        return data[storage.key]

    return _found(content, unread, storages)


def _found(content: Any, unread: str, storages: Callable[[Storage], memoryview]) -> Found:
    """The dictionaries with tensors in a file's content, whose bytes `storages` gives."""

    def read(tensors: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
        total = sum(tensor.storage.size for tensor in tensors.values())
        if total > LIMIT:
            raise ValueError(f"its tensors would take {total >> 20} MiB")
        return {name: tensor.from_bytes(storages(tensor.storage)) for name, tensor in tensors.items()}

    if not isinstance(content, dict) and not unread:
        raise ValueError(f"it holds a {type(content).__name__}, not a state_dict")
    return Found(find_groups(content, lambda value: value if isinstance(value, Tensor) else None), read, unread)


def write_pth(tensors: dict[str, np.ndarray]) -> bytes:
    """A zip archive that `torch.load(..., weights_only=True)` reads as a state_dict.

    Args:
      tensors: float32 or int64 arrays by name.

    Returns:
      The file's bytes.
    """
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", _pickle_state_dict(tensors))
        archive.writestr("archive/byteorder", "little")
        for key, array in enumerate(tensors.values()):
            archive.writestr(f"archive/data/{key}", np.ascontiguousarray(array).tobytes())
        archive.writestr("archive/version", "3\n")
    return target.getvalue()


def _pickle_state_dict(tensors: dict[str, np.ndarray]) -> bytes:
    """The pickle (protocol 2) of an ordered dictionary of tensors whose bytes lie in data/0, data/1, ..."""

    def text(value: str) -> bytes:
        return b"X" + struct.pack("<I", len(value.encode())) + value.encode()

    def integers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(b"J" + struct.pack("<i", value) for value in values) + b"t"

    ordered_dict = b"ccollections\nOrderedDict\n)R"
    parts = [b"\x80\x02", ordered_dict, b"("]
    for key, (name, array) in enumerate(tensors.items()):
        kind = {"float32": b"FloatStorage", "int64": b"LongStorage"}[array.dtype.name]
        strides = tuple(itertools.accumulate(array.shape[:0:-1], lambda a, b: a * b, initial=1))[::-1]
        storage = b"(" + text("storage") + b"ctorch\n" + kind + b"\n" + text(str(key)) + text("cpu")
        storage += b"J" + struct.pack("<i", array.size) + b"tQ"
        view = b"J" + struct.pack("<i", 0) + integers(array.shape) + integers(strides if array.ndim else ())
        rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + view + b"\x89" + ordered_dict + b"tR"
        parts += [text(name), rebuild]
    return b"".join([*parts, b"u."])
