"""Tar archives from elsewhere."""

import tarfile
from typing import Any

_MOST = 1 << 16  # bytes of a member's further headers, which hold long names
_MOST_FOR_ALL = 1 << 12  # of those that Python copies to every member behind them
_MOST_MEMBERS = 100_000  # of which Python keeps all; ImageNet's validation archive has 50,000


class _Entry(tarfile.TarInfo):
    """A member whose headers are no longer than they need to be."""

    @classmethod
    def fromtarfile(cls, archive: Any) -> Any:
        try:
            return super().fromtarfile(archive)
        except RecursionError:
            raise tarfile.ReadError("headers without end") from None

    def _proc_pax(self, archive: Any) -> Any:
        self._check(_MOST_FOR_ALL if self.type == tarfile.XGLTYPE else _MOST)
        return super()._proc_pax(archive)  # type: ignore[misc]

    def _proc_gnulong(self, archive: Any) -> Any:
        self._check(_MOST)
        return super()._proc_gnulong(archive)  # type: ignore[misc]

    def _check(self, most: int) -> None:
        if self.size > most:
            raise tarfile.ReadError(f"headers of {self.size:,} bytes")


class _Archive(tarfile.TarFile):
    """An archive of no more members than datasets have."""

    _count = 0

    def next(self) -> tarfile.TarInfo | None:
        self._count += 1
        if self._count > _MOST_MEMBERS:
            raise tarfile.ReadError(f"more than {_MOST_MEMBERS:,} members")
        return super().next()


def open_tar(*arguments: Any, **named: Any) -> tarfile.TarFile:
    """As `tarfile.open`; an archive whose headers would take much memory is a `tarfile.ReadError`."""
    return _Archive.open(*arguments, **named, tarinfo=_Entry)
