"""Being asked to stop: by a person, a scheduler, a shutdown, or a terminal that closes."""

import os
import signal
import threading
from types import FrameType
from typing import Any

import jax
from jax.experimental import multihost_utils


class StopSignals:
    """Within its context SIGINT, SIGTERM, SIGUSR1 and SIGHUP are noted instead of ending the process.

    A second SIGINT ends it as usual, and SIGHUP stays ignored where it was (nohup). Of several processes any may be
    told, and all stop at the same step: JAX passes SIGTERM on to the others, and the other signals are made one. In a
    thread other than the main one, where Python allows no handlers, nothing is noted.

    Attributes:
      received: name of the signal, or None.
    """

    def __init__(self) -> None:
        self.received: str | None = None
        self._alone = jax.process_count() == 1
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is not threading.main_thread():
            return self
        for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGHUP, *([signal.SIGTERM] if self._alone else [])):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                self._previous[number] = signal.signal(number, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._alone:
            self.received = signal.Signals(number).name
        else:
            os.kill(os.getpid(), signal.SIGTERM)
        signal.signal(signal.SIGINT, self._previous[signal.SIGINT])

    def after(self, step: int) -> bool:
        """Whether to stop after this step; the same for all processes, each of which must ask after every step."""
        if not self._alone and multihost_utils.reached_preemption_sync_point(step):
            self.received = signal.SIGTERM.name
        return self.received is not None

    def __exit__(self, *error: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
