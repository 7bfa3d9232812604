"""numpy's .npz, a zip archive of .npy files; those of Python objects, which are pickles, are not read.

Format: `numpy/lib/format.py`.
"""

import io
import math
from collections.abc import Mapping
from typing import BinaryIO

import numpy as np

from googlenet_jax.errors import shown
from googlenet_jax.formats import LIMIT, numbers, zips
from googlenet_jax.formats.groups import Found

_SUFFIX = ".npy"


def read_npz(stream: BinaryIO) -> Found:
    """Reads a file of `numpy.savez`.

    Args:
      stream: the file, which stays open while its arrays are read.

    Returns:
      {name without .npy: array}.

    Raises:
      ValueError: if it is damaged, or would take more memory than a GoogLeNet.
    """
    archive = zips.opened(stream)

    def read(members: Mapping[str, str]) -> dict[str, np.ndarray]:
        total = sum(archive.getinfo(member).file_size for member in members.values())
        if total > LIMIT:
            raise ValueError(f"its arrays would take {total >> 20} MiB")
        return {name: _array(name, zips.member(archive, member, LIMIT)) for name, member in members.items()}

    members = {name.removesuffix(_SUFFIX): name for name in archive.namelist() if name.endswith(_SUFFIX)}
    return Found({"": members} if members else {}, read)


def _array(name: str, data: bytes) -> np.ndarray:
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"{shown(name)} is in version {version} of numpy's format")
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, in_columns, dtype = header(file)
    if dtype.hasobject:
        raise ValueError(f"{shown(name)} holds Python objects, which are not read")
    if math.prod(shape) * dtype.itemsize != len(data) - file.tell():
        raise ValueError(f"{shown(name)} has shape {shape} but {len(data) - file.tell()} bytes")
    values = np.frombuffer(data, dtype, offset=file.tell()) if math.prod(shape) else np.zeros(0, dtype)
    array = values.reshape(shape, order="F" if in_columns else "C")
    # bfloat16 is no type of numpy's own, which writes it as two bytes of anything.
    return numbers.widened(np.ascontiguousarray(array)) if dtype.str[1:] == "V2" else array
