"""Tar archives from elsewhere."""

import tarfile
from typing import Any

_MOST = 1 << 16  # bytes of a member's further headers, which hold long names
_MOST_FOR_ALL = 1 << 12  # of those that Python copies to every member behind them


class _Entry(tarfile.TarInfo):
    """A member whose headers are no longer than they need to be."""

    def _proc_pax(self, archive: Any) -> Any:
        if self.size > (_MOST_FOR_ALL if self.type == tarfile.XGLTYPE else _MOST):
            raise tarfile.ReadError(f"headers of {self.size:,} bytes")
        return super()._proc_pax(archive)  # type: ignore[misc]


def open_tar(*arguments: Any, **named: Any) -> tarfile.TarFile:
    """As `tarfile.open`; an archive whose headers would take much memory is a `tarfile.ReadError`."""
    return tarfile.open(*arguments, **named, tarinfo=_Entry)
