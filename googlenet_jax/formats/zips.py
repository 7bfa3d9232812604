"""Zip archives of unknown origin: no size in them is believed before it is checked."""

import zipfile
from typing import Any, BinaryIO

_MAX_DIRECTORY = 8 << 20  # bytes of the list of members, of which each makes an object of some 500 bytes


def opened(stream: BinaryIO) -> zipfile.ZipFile:
    """Opens an archive; raises BadZipFile for one that is damaged, or lists more members than a checkpoint has."""
    careful: Any = _Careful(stream)
    archive = zipfile.ZipFile(careful)
    careful.most = None
    return archive


def member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """A member's bytes; its size is checked first, and not believed afterwards.

    Args:
      archive: as `opened`.
      name: of the member.
      limit: bytes that it may take.

    Returns:
      All of it.

    Raises:
      ValueError: if it is not there, too large, encrypted or damaged.
    """
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise ValueError(f"the archive lacks {name}") from None
    if info.file_size > limit:
        raise ValueError(f"{name} would take {info.file_size >> 20} MiB")
    if info.flag_bits & 1:
        raise ValueError(f"{name} is encrypted")
    try:
        with archive.open(info) as file:
            data = file.read(info.file_size + 1)
    except Exception as error:  # each decompressor has errors of its own
        raise ValueError(f"{name}: {error}") from None
    if len(data) != info.file_size:
        raise ValueError(f"{name} has another size than the archive says")
    return data


class _Careful:
    """A stream of which no more than so many bytes are read at once; None: any number."""

    def __init__(self, stream: BinaryIO):
        self._stream = stream
        self.most: int | None = _MAX_DIRECTORY

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def read(self, size: int = -1) -> bytes:
        if self.most is None:
            return self._stream.read(size)
        data = self._stream.read(self.most + 1 if size < 0 else min(size, self.most + 1))
        if len(data) > self.most:
            raise zipfile.BadZipFile("a list of members that is too long")
        return data
