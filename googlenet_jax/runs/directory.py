"""The run directory: configuration, metrics and log of one training."""

import contextlib
import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

import ml_collections
import numpy as np

from googlenet_jax.config.checks import differences
from googlenet_jax.config.choices import WRITERS
from googlenet_jax.config.from_json import read_json, to_json
from googlenet_jax.config.resume import refused, with_input_of
from googlenet_jax.errors import UserError, reason
from googlenet_jax.runs.lines import METRICS, Line, read_lines
from googlenet_jax.runs.writers.base import JsonLines, Writer
from googlenet_jax.system import heartbeat
from googlenet_jax.system.files import lock, replace_file

log = logging.getLogger(__name__)
_ROOT_LOG = logging.getLogger("googlenet_jax")
CONFIG, HISTORY = "config.json", "config_history.jsonl"


class RunDirectory:
    """A directory that a training writes to, and is resumed from.

    Args:
      path: made if need be.
      config: the training's; kept as `config.json`.
      writes: of several processes one writes, the others only look.

    Attributes:
      writes: whether this process writes.
      checkpoints: directory of its checkpoints.
      changes: {field: (old value, new value)} in which the stored configuration differs, all of which a run may go on
        with; `begin` keeps them.

    Raises:
      UserError: if another process trains there, it holds a run of another configuration (the message lists the
        differences), or a writer's package is missing.
    """

    def __init__(self, path: Path, config: ml_collections.ConfigDict, writes: bool = True):
        self.path, self.writes, self._config = path, writes, config
        self.checkpoints = path / "checkpoints"
        self.changes: dict[str, tuple[Any, Any]] = {}
        self._writers: list[Writer] = []
        names = dict.fromkeys(config.writers) if writes else ()
        self._kinds: list[type[Writer]] = [WRITERS[name].load() for name in names]
        self._seconds_before, self._started, self._fresh = 0.0, time.monotonic(), False
        self._handler: logging.Handler = logging.NullHandler()
        self._log: TextIO | None = None
        if (path / "sweep.json").exists():
            raise UserError(f"{path} is a sweep's directory: take another --workdir, or one of its trials'")
        if writes:
            path.mkdir(parents=True, exist_ok=True)
            self.changes = changes_of(path, config)
            self._open_log()

    def _open_log(self) -> None:
        self._log = (self.path / "train.log").open("a", encoding="utf-8", errors="backslashreplace")
        if not lock(self._log):
            raise UserError(f"{self.path}: another process is training here; wait for it or take another --workdir")
        self._handler = logging.StreamHandler(self._log)
        self._handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        self._handler.handleError = lambda record: None  # type: ignore[method-assign]  # a full disk shows elsewhere
        _ROOT_LOG.addHandler(self._handler)
        _ROOT_LOG.setLevel(logging.INFO)

    def begin(self, step: int) -> None:
        """Training is about to go on from this step: later steps' metrics are forgotten, a changed configuration kept.

        Args:
          step: 0 at the run's start.
        """
        if self.writes:
            try:
                self._begin(step)
            except OSError as error:
                raise UserError(f"{self.path}: {error.strerror}; nothing is lost, start again to resume") from error

    def _begin(self, step: int) -> None:
        if self.changes:
            with (self.path / HISTORY).open("a") as file:
                file.write(json.dumps({"time": time.time(), "step": step, "changes": self.changes}) + "\n")
        for name, (old, new) in self.changes.items():
            log.info("config.%s is %s from step %d on, it was %s", name, new, step, old)
        self._fresh = not (self.path / CONFIG).exists()
        if self.changes or self._fresh:
            replace_file(self.path / CONFIG, to_json(self._config) + "\n")
        if step == 0 and any(line["split"] == "val" for line in self.lines()):
            self._keep_lines()
        self._writers = [JsonLines(self.path, step)]
        for kind in self._kinds:
            self._begin_writer(kind, step)
        self._seconds_before = max((line.get("seconds", 0.0) for line in self.lines()), default=0.0)
        self._started = time.monotonic()

    def _keep_lines(self) -> None:
        """What was measured of a training whose checkpoints are gone is not for the next one to forget."""
        kept = self.path / f"metrics.{time.strftime('%Y-%m-%d_%H-%M-%S')}.jsonl"  # a name that no other start had
        (self.path / METRICS).rename(kept)
        log.warning("%s has no checkpoint: training begins anew; what was measured is kept in %s", self.path, kept.name)

    def _begin_writer(self, kind: type[Writer], step: int) -> None:
        heartbeat.pause()  # a slow service is no hang
        try:
            self._writers.append(kind(self.path, step))
        except UserError:
            raise
        except Exception as error:
            log.warning("%s writes nothing: %s", kind.__name__, reason(error))

    def lines(self) -> list[Line]:
        """What was written so far."""
        return read_lines(self.path)

    def write(self, step: int, epoch: float, split: str, values: dict[str, float]) -> Line:
        """Writes a line of measured values.

        Args:
          step: steps done.
          epoch: the same in epochs.
          split: "train" or "val".
          values: what was measured; one that is not finite is left out.

        Returns:
          The line.

        Raises:
          UserError: if the disk is full, or gone.
        """
        seconds = round(self._seconds_before + time.monotonic() - self._started, 3)
        values = {name: value for name, value in values.items() if math.isfinite(value)}
        line = {"step": step, "epoch": round(epoch, 4), "split": split, **values, "seconds": seconds}
        self._each(lambda writer: writer.write(line))
        return line

    def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        """Gives (h, w, 3) uint8 RGB images by name to the writers that take some."""
        if images:
            self._each(lambda writer: writer.write_images(step, images))

    def write_histograms(self, step: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Gives arrays' finite values by name to the writers that take histograms; one that has none is left out."""
        finite = {name: array[np.isfinite(array)] for name, array in arrays.items()}
        finite = {name: values for name, values in finite.items() if values.size}
        self._each(lambda writer: writer.write_histograms(step, finite))

    def _each(self, write: Callable[[Writer], None]) -> None:
        for writer in list(self._writers):
            heartbeat.pause()  # a slow service is no hang
            try:
                write(writer)
            except Exception as error:
                if isinstance(writer, JsonLines) and isinstance(error, OSError):
                    why = f"{error.strerror}; checkpoints are intact, start again to resume"
                    raise UserError(f"{self.path}: {why}") from error
                self._drop(writer, error)

    def _drop(self, writer: Writer, error: Exception) -> None:
        """A training goes on without a writer that fails; `metrics.jsonl` has what it lacks."""
        log.warning("%s writes no more: %s", type(writer).__name__, reason(error))
        self._writers.remove(writer)
        with contextlib.suppress(Exception):
            writer.close()

    def close(self) -> None:
        """Closes the files; a mistake that showed before anything was trained leaves the directory to another try."""
        if self._fresh and not self.lines() and not any(path.name.isdecimal() for path in self.checkpoints.glob("*")):
            (self.path / CONFIG).unlink(missing_ok=True)
        _ROOT_LOG.removeHandler(self._handler)
        for file in (self._log, *self._writers):
            with contextlib.suppress(Exception):
                if file is not None:
                    file.close()


def changes_of(run: Path, config: ml_collections.ConfigDict) -> dict[str, tuple[Any, Any]]:
    """The fields in which a run's stored configuration differs: {name: (old value, new value)}; {} for a new run.

    Raises:
      UserError: if the run cannot go on with one of them; the message lists those.
    """
    if not (run / CONFIG).exists():
        return {}
    stored = read_json(run / CONFIG)
    changes = differences(stored, with_input_of(config, stored.dataset))  # what the run itself has filled in
    if wrong := refused(changes, config):
        raise UserError(
            f"{run} holds a run with another configuration ({'; '.join(wrong)}): "
            f"take another --workdir, or start it with its own {CONFIG}"
        )
    return changes
