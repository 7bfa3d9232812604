"""SINGA's .pickle and its .tar.gz, and Paddle's .pdparams: a pickled dictionary of arrays."""

import gzip
import io
import tarfile
import zlib
from typing import BinaryIO

import numpy as np

from googlenet_jax.formats import LIMIT, pickles


def read_arrays(stream: BinaryIO) -> dict[str, np.ndarray]:
    """Reads a pickled dictionary.

    Args:
      stream: the file.

    Returns:
      {name: array}; entries that are no arrays (Paddle's `...@@`, SINGA's version) are left out.

    Raises:
      ValueError: if it is something else.
    """
    content = pickles.decode(stream, LIMIT)
    if not isinstance(content, dict):
        raise ValueError(f"it holds a {type(content).__name__}, not a dictionary of arrays")
    arrays = {}
    for name, value in content.items():
        array = value[1] if isinstance(value, tuple) and len(value) == 2 else value
        if isinstance(array, np.ndarray):
            arrays[str(name)] = array
    return arrays


def read_archive(stream: BinaryIO, limit: int = LIMIT) -> dict[str, np.ndarray]:
    """As `read_arrays`, of the one .pickle in a .tar.gz.

    Args:
      stream: the file.
      limit: bytes that it may unpack to.

    Returns:
      As `read_arrays`.

    Raises:
      ValueError: if there is none.
    """
    try:
        with tarfile.open(fileobj=_Bounded(gzip.GzipFile(fileobj=stream), limit), mode="r|") as archive:
            for member in archive:
                if member.isreg() and member.name.endswith((".pickle", ".pkl")):
                    if member.issparse() or member.size > limit:  # holes take memory but no bytes of the file
                        raise ValueError(f"{member.name} would take {member.size >> 20} MiB")
                    file = archive.extractfile(member)
                    assert file is not None  # it is regular
                    return read_arrays(io.BytesIO(file.read()))
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise ValueError(f"a damaged archive ({error})") from None
    raise ValueError("an archive without a .pickle")


class _Bounded(io.RawIOBase):
    """A stream that refuses to give more than so many bytes."""

    def __init__(self, stream: gzip.GzipFile, limit: int):
        self._stream, self._left = stream, limit

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(min(size, self._left + 1) if size >= 0 else self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise ValueError("the archive unpacks to more than a GoogLeNet can take")
        return data
