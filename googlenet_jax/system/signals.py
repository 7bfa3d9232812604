"""Signals that ask a process to stop, noted instead of ending it."""

import signal
import threading
from types import FrameType
from typing import Any


class NotedSignals:
    """Within its context signals that ask to stop are noted; a second SIGINT ends the process as usual.

    SIGHUP stays ignored where it was (nohup). In a thread other than the main one, where Python allows no handlers,
    nothing is noted.

    Args:
      numbers: of the signals.

    Attributes:
      received: name of the first that came, or None.
    """

    def __init__(self, *numbers: int) -> None:
        self.received: str | None = None
        self._numbers, self._previous = numbers, dict[int, Any]()

    def __enter__(self) -> Any:
        if threading.current_thread() is threading.main_thread():
            for number in self._numbers:
                if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._told(number)
        if signal.SIGINT in self._previous:
            signal.signal(signal.SIGINT, self._previous[signal.SIGINT])

    def _told(self, number: int) -> None:
        """A signal came."""
        self.received = self.received or signal.Signals(number).name

    def __exit__(self, *error: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
