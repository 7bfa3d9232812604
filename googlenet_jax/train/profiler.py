"""A trace of some steps, for XLA's profiler."""

import logging
from pathlib import Path
from typing import Any

import jax

from googlenet_jax.errors import UserError, reason
from googlenet_jax.system import heartbeat

log = logging.getLogger(__name__)


class Profiler:
    """Traces steps on the first process; what fails here ends no training.

    Args:
      span: (first, last): the steps after `first` up to `last` are traced, as far as they are still to be trained;
        None: none.
      total: the training's last step.
      directory: that `plugins/profile/` is put into, where TensorBoard looks for it.

    Raises:
      UserError: if the training ends before `last`.
    """

    def __init__(self, span: tuple[int, int] | None, total: int, directory: Path):
        if span and span[1] > total:
            raise UserError(f"config.profile={tuple(span)}: the training ends at step {total}")
        self._first, self._last = span or (0, 0)
        self._directory, self._on = directory, jax.process_index() == 0
        self._since, self._step = -1, 0

    def before(self, step: int, state: Any) -> None:
        """So many steps went to the devices, which give this state, and the next is to begin."""
        if self._on and self._since < 0 and self._first <= step < self._last:
            jax.block_until_ready(state)  # so that nothing of earlier steps is in the trace
            try:
                jax.profiler.start_trace(str(self._directory))
                self._since = step
            except Exception as error:
                log.warning("config.profile: nothing is traced: %s", reason(error))
                self._on = False

    def after(self, step: int, state: Any) -> None:
        """So many steps went to the devices, which give this state."""
        self._step = step
        if self._since >= 0 and step == self._last:
            jax.block_until_ready(state)
            self.close()

    def close(self) -> None:
        """Writes the trace, if there is one, of as many steps as there were."""
        if self._since < 0:
            return
        since, self._since, self._on = self._since, -1, False
        heartbeat.pause()  # much is written
        try:
            jax.profiler.stop_trace()
        except Exception as error:
            log.warning("config.profile: the trace was not written: %s", reason(error))
            return
        log.info(
            "steps %d to %d are traced in %s/plugins/profile: its .trace.json.gz opens in https://ui.perfetto.dev, all "
            "of it in TensorBoard with pip install xprof",
            since + 1,
            self._step,
            self._directory,
        )
