"""SINGA's .pickle and its .tar.gz, and Paddle's .pdparams: pickled dictionaries of arrays."""

import gzip
import io
import pickle
import tarfile
import zlib
from collections.abc import Mapping
from typing import Any, BinaryIO, Literal

import numpy as np

from googlenet_jax.formats import LIMIT, numbers, pickles
from googlenet_jax.formats.groups import Found, find_groups
from googlenet_jax.formats.pickle_values import Array
from googlenet_jax.formats.tars import open_tar


def read_arrays(stream: BinaryIO) -> Found:
    """Reads a pickled dictionary, in which others may lie.

    Args:
      stream: the file.

    Returns:
      What it holds; entries that are no arrays (Paddle's `...@@`, SINGA's version) are left out.

    Raises:
      ValueError: if it is something else.
    """
    content, _, unread = pickles.decode_whole(stream, LIMIT)
    if not isinstance(content, dict) and not unread:
        raise ValueError(f"it holds a {type(content).__name__}, not a dictionary of arrays")
    return Found(find_groups(content, _as_array), _numbers, unread)


def read_archive(stream: BinaryIO) -> Found:
    """As `read_arrays`, of the one .pickle in a .tar.gz.

    Args:
      stream: the file.

    Returns:
      As `read_arrays`.

    Raises:
      ValueError: if there is none.
    """
    try:
        with open_tar(fileobj=_Bounded(gzip.GzipFile(fileobj=stream), LIMIT), mode="r|") as archive:
            for member in archive:
                if member.isreg() and member.name.endswith((".pickle", ".pkl")):
                    if member.issparse() or member.size > LIMIT:  # holes take memory but no bytes of the file
                        raise ValueError(f"{member.name} would take {member.size >> 20} MiB")
                    file = archive.extractfile(member)
                    assert file is not None  # it is regular
                    return read_arrays(io.BytesIO(file.read()))
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise ValueError(f"a damaged archive ({error})") from None
    raise ValueError("an archive without a .pickle")


def write_arrays(content: Mapping[str, Any], protocol: Literal[2, 3] = 3) -> bytes:
    """A pickled dictionary.

    Args:
      content: arrays, and plain values, by name.
      protocol: 2 can be read by Python 2 too, and takes half as much again.

    Returns:
      The file's bytes.
    """
    # numpy before 1.26 does not know the place of its functions in numpy 2; numpy 2 knows both.
    data = pickle.dumps(dict(content), protocol)
    return data.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n", 1)


def _as_array(value: Any) -> np.ndarray | None:
    value = value[1] if isinstance(value, tuple) and len(value) == 2 else value  # Paddle's (name, array)
    value = value.values if isinstance(value, Array) else value
    return value if isinstance(value, np.ndarray) else None


def _numbers(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Paddle writes bfloat16 as uint16, which no weights have."""
    if sum(2 * a.nbytes for a in arrays.values() if a.dtype == np.uint16) > LIMIT:  # one array may have many names
        raise ValueError("it would take more memory than a GoogLeNet")
    return {name: numbers.widened(a) if a.dtype == np.uint16 else a for name, a in arrays.items()}


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
