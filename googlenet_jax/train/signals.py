"""Being asked to stop: by a person, a scheduler or a shutdown."""

import signal
from types import FrameType
from typing import Any


class StopSignals:
    """Within its context SIGINT, SIGTERM and SIGUSR1 are noted instead of ending the process.

    A second SIGINT ends it as usual.

    Attributes:
      received: name of the signal, or None.
    """

    def __init__(self) -> None:
        self.received: str | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "StopSignals":
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            self._previous[number] = signal.signal(number, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number).name
        signal.signal(signal.SIGINT, self._previous[signal.SIGINT])

    def __exit__(self, *error: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
