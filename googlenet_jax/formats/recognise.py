"""From a file of any known kind, recognised by its content, to named tensors."""

import mmap
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from googlenet_jax.errors import UserError, reason
from googlenet_jax.formats import LIMIT, caffe, mindspore, pickled, protobuf, torch


def read(path: Path) -> tuple[str, dict[str, np.ndarray]]:
    """Reads the tensors of a checkpoint file.

    Args:
      path: of the file.

    Returns:
      (kind of file in words, {name as in the file: array}); at least one array.

    Raises:
      UserError: if there is no such file, it is none of the known kinds, damaged, or asks for more than arrays.
    """
    if not path.is_file():
        raise UserError(f"{path}: there is no such file")
    size = path.stat().st_size
    if not 16 <= size <= LIMIT:
        raise UserError(f"{path}: {size} bytes are {'too few' if size < 16 else 'too many'} for a GoogLeNet")
    with path.open("rb") as file:
        kind, reader = _recognise(file, path)
        try:
            tensors = reader(file)
        except UserError:
            raise
        except Exception as error:  # a damaged file fails in any way there is
            raise UserError(f"{path}: it looks like {kind}, but cannot be read: {reason(error)}") from error
    if not tensors:
        raise UserError(f"{path}: it looks like {kind}, but holds no arrays")
    return kind, tensors


def _recognise(file: BinaryIO, path: Path) -> tuple[str, Callable[[BinaryIO], dict[str, np.ndarray]]]:
    head = file.read(4096)
    file.seek(0)
    if head[:4] == b"PK\x03\x04" or zipfile.is_zipfile(file):
        return "a torch file", lambda f: torch.read_pth(f, LIMIT)
    file.seek(0)
    if head[:2] == b"\x1f\x8b":
        return "a .tar.gz archive", pickled.read_archive
    if head[:8] == b"\x89HDF\r\n\x1a\n":
        return "Caffe's HDF5", lambda _: _hdf5(path)
    if head[0] == 0x80 and head[1] <= 5:
        if b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19" in head[:32]:  # the magic number of torch's older format
            return "a torch file", lambda f: torch.read_pth(f, LIMIT)
        return "a pickle", pickled.read_arrays
    if head[:1] in b"(}" and head[1:2] in b"dq(":
        return "a pickle", pickled.read_arrays
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        kind = _protobuf_kind(memoryview(data))
    if kind is None:
        raise UserError(
            f"{path}: none of the known kinds of file: .caffemodel, .caffemodel.h5, SINGA's .pickle or .tar.gz, "
            "torch's .pth, MindSpore's .ckpt, Paddle's .pdparams"
        )
    words, read_message = kind
    return words, lambda f: read_message(memoryview(f.read()))


def _protobuf_kind(data: memoryview) -> tuple[str, Callable[[memoryview], dict[str, np.ndarray]]] | None:
    """MindSpore's message is a list of values; Caffe's begins with a name, or layers."""
    try:
        number, wire, value = next(protobuf.fields(data))
        if wire != protobuf.BYTES:
            return None
        if number == 1 and _is_value(protobuf.message(value)):
            return "a MindSpore checkpoint", mindspore.read_ckpt
        if number in (1, 2, 3, 8, 100):
            return "a .caffemodel", caffe.read_caffemodel
    except (ValueError, StopIteration):
        pass
    finally:
        data.release()
    return None


def _is_value(value: memoryview) -> bool:
    try:
        return {1, 2} <= {number for number, wire, _ in protobuf.fields(value) if wire == protobuf.BYTES}
    except ValueError:
        return False


def _hdf5(path: Path) -> dict[str, np.ndarray]:
    try:
        return caffe.read_caffemodel_h5(path)
    except ModuleNotFoundError:
        raise UserError(f"{path}: HDF5 files are read with pyfive: pip install 'googlenet-jax[hdf5]'") from None
