"""torch's .pth: a pickle of tensors and their bytes, in a zip archive (since torch 1.6) or one after the other.

Format: `torch/serialization.py` of pytorch/pytorch.
"""

import io
import itertools
import struct
import zipfile
from typing import Any, BinaryIO

import numpy as np

from googlenet_jax.formats import pickles
from googlenet_jax.formats.pickle_values import Storage, Tensor

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_MAX_PICKLE = 16 << 20


def read_pth(stream: BinaryIO, limit: int) -> dict[str, np.ndarray]:
    """Reads a state_dict, bare or within a training checkpoint.

    Args:
      stream: the file.
      limit: bytes that its tensors may take.

    Returns:
      {name: array}.

    Raises:
      ValueError: if it is no such file.
    """
    try:
        content, storages = (_read_zip if zipfile.is_zipfile(stream) else _read_legacy)(stream, limit)
    except (zipfile.BadZipFile, NotImplementedError, struct.error, OSError, EOFError) as error:
        raise ValueError(str(error)) from None
    for key in ("model", "state_dict", "model_state_dict"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        raise ValueError(f"it holds a {type(content).__name__}, not a state_dict")
    tensors = {name: tensor for name, tensor in content.items() if isinstance(tensor, Tensor)}
    total = sum(t.storage.count * np.dtype(t.storage.dtype).itemsize for t in tensors.values())
    if total > limit:
        raise ValueError(f"its tensors would take {total >> 20} MiB")
    return {str(name): tensor.from_bytes(storages(tensor.storage)) for name, tensor in tensors.items()}


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


def _read_zip(stream: BinaryIO, limit: int) -> tuple[Any, Any]:
    archive = zipfile.ZipFile(stream)
    pickled = [info for info in archive.infolist() if info.filename.endswith("/data.pkl")]
    if len(pickled) != 1:
        raise ValueError("a zip archive without torch's data.pkl")
    root = pickled[0].filename.removesuffix("data.pkl")
    if f"{root}byteorder" in archive.namelist() and _member(archive, f"{root}byteorder", 16) != b"little":
        raise ValueError("its numbers are big-endian")
    content = pickles.decode(io.BytesIO(_member(archive, pickled[0].filename, _MAX_PICKLE)), _MAX_PICKLE)

    def storages(storage: Storage) -> memoryview:
        return memoryview(_member(archive, f"{root}data/{storage.key}", limit))

    return content, storages


def _member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """A member's bytes; its size is checked first, and not believed afterwards."""
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise ValueError(f"the archive lacks {name}") from None
    if info.file_size > limit:
        raise ValueError(f"{name} would take {info.file_size >> 20} MiB")
    if info.flag_bits & 1:
        raise ValueError(f"{name} is encrypted")
    try:
        with archive.open(info) as member:
            data = member.read(info.file_size + 1)
    except Exception as error:  # each decompressor has errors of its own
        raise ValueError(f"{name}: {error}") from None
    if len(data) != info.file_size:
        raise ValueError(f"{name} has another size than the archive says")
    return data


def _read_legacy(stream: BinaryIO, limit: int) -> tuple[Any, Any]:
    stream.seek(0)
    if pickles.decode(stream, _MAX_PICKLE) != _LEGACY_MAGIC:
        raise ValueError("neither a zip archive nor torch's older format")
    pickles.decode(stream, _MAX_PICKLE)  # the protocol's version
    pickles.decode(stream, _MAX_PICKLE)  # the writer's byte order and integer sizes
    content, seen = pickles.decode_with_storages(stream, _MAX_PICKLE)
    keys = pickles.decode(stream, _MAX_PICKLE)
    data: dict[str, memoryview] = {}
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ValueError("a list of storages that makes no sense")
    for key in keys:
        (count,) = struct.unpack("<q", stream.read(8))
        storage = seen.get(key)
        size = count * np.dtype(storage.dtype).itemsize if storage else -1
        if storage is None or count != storage.count or not 0 <= size <= limit:
            raise ValueError(f"storage {key} is not what the pickle says")
        data[key] = memoryview(stream.read(size))

    def storages(storage: Storage) -> memoryview:
        if storage.key not in data:
            raise ValueError(f"storage {storage.key} is missing")
        return data[storage.key]

    return content, storages


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
