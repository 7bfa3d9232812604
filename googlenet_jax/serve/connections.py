"""HTTP/1.1 connections that do not wait for their client for ever."""

import asyncio
import contextlib
import resource
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

_FILES = 1 << 16
_READ = 16 << 10  # bytes that one client may send in its turn: in chunks of one byte h11 takes 0.1 s for them


def patient_for(seconds: float, most: int) -> type[H11Protocol]:
    """A kind of connection, for uvicorn's `http`.

    Args:
      seconds: that a client may take to send the head of a request, or to take its answer.
      most: connections at a time; beyond them the one that has waited longest for its client makes room.

    Returns:
      The class.
    """
    return type("Connection", (_Connection,), {"seconds": seconds, "most": most})


def open_files() -> int:
    """How many files and connections the process may open, after it asked for as many as it can get."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    with contextlib.suppress(ValueError, OSError):  # as where the system has a lower limit yet
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


class _Connection(H11Protocol):
    """Adds to uvicorn's, which counts only the time between two requests, a limit to what each waits for.

    It runs whenever there is no request to be answered (its head is not there yet, or it is answered and the rest of
    its body or the client's reading is awaited), and while an answer is not taken. Bodies have their own, in `bodies`.
    """

    seconds: float
    most: int
    _limit: asyncio.TimerHandle | None = None
    _full = False  # the client does not read

    def _look(self) -> None:
        is_answering = self.cycle is not None and not self.cycle.response_complete
        if is_answering and not self._full:
            self._forget()
        elif self._limit is None:
            self._limit = self.loop.call_later(self.seconds, self._cut)

    def _cut(self) -> None:
        self._forget()
        self.transport.abort()

    def _forget(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def connection_made(self, transport: Any) -> None:
        """A client is there; this connection waits as others do, so one is found that can go."""
        transport.max_size = _READ
        super().connection_made(transport)
        self._look()
        if len(self.connections) > self.most:
            waiting = {
                its._limit.when(): its for its in self.connections if isinstance(its, _Connection) and its._limit
            }
            waiting[min(waiting)]._cut()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._forget()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Some of a request came."""
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """An answer was given."""
        super().on_response_complete()
        self._look()

    def pause_writing(self) -> None:
        """More of an answer is there than the client takes."""
        super().pause_writing()
        self._full = True
        self._look()

    def resume_writing(self) -> None:
        """It took some."""
        super().resume_writing()
        self._full = False
        self._look()

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP; if that is the body of a request, nobody is there any more for its answer."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:  # the answer has begun
            self.transport.close()
