"""Being asked to stop: by a person, a scheduler, a shutdown, or a terminal that closes."""

import os
import signal

import jax
from jax.experimental import multihost_utils

from googlenet_jax.system.signals import NotedSignals


class StopSignals(NotedSignals):
    """Notes SIGINT, SIGTERM, SIGUSR1 and SIGHUP.

    Of several processes any may be told, and all stop at the same step: JAX passes SIGTERM on to the others, and the
    other signals are made one.
    """

    def __init__(self) -> None:
        self._alone = jax.process_count() == 1
        super().__init__(signal.SIGINT, signal.SIGUSR1, signal.SIGHUP, *([signal.SIGTERM] if self._alone else []))

    def _told(self, number: int) -> None:
        if self._alone:
            super()._told(number)
        else:
            os.kill(os.getpid(), signal.SIGTERM)

    def after(self, step: int) -> bool:
        """Whether to stop after this step; the same for all processes, each of which must ask after every step."""
        if not self._alone and multihost_utils.reached_preemption_sync_point(step):
            self.received = signal.SIGTERM.name
        return self.received is not None
