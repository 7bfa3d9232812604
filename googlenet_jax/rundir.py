"""The run directory: configuration, metrics, TensorBoard files and log of one training."""

import contextlib
import fcntl
import json
import logging
import math
import socket
import time
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import ml_collections
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

from googlenet_jax.config import differences, read_json, to_json
from googlenet_jax.errors import UserError

_ROOT_LOG = logging.getLogger("googlenet_jax")


class RunDirectory:
    """A directory that a training writes to, and is resumed from.

    Args:
      path: made if need be.
      config: the training's; kept as `config.json`.
      writes: of several processes one writes, the others only look.

    Raises:
      UserError: if it holds a run of another configuration; the message lists the differences.
    """

    def __init__(self, path: Path, config: ml_collections.ConfigDict, writes: bool = True):
        self.path = path
        self.checkpoints = path / "checkpoints"
        self._metrics = path / "metrics.jsonl"
        self._writes = writes
        self._events: BinaryIO | None = None
        self._seconds_before = 0.0
        self._started = time.monotonic()
        self._handler: logging.Handler = logging.NullHandler()
        self._log: TextIO | None = None
        if writes:
            self._open(config)

    def _open(self, config: ml_collections.ConfigDict) -> None:
        path = self.path
        path.mkdir(parents=True, exist_ok=True)
        stored = path / "config.json"
        if stored.exists():
            changed = differences(read_json(stored), config)
            if changed:
                raise UserError(
                    f"{path} holds a run with another configuration ({'; '.join(changed)}): "
                    "take another --workdir, or start it with its own config.json"
                )
        else:
            _replace(stored, to_json(config) + "\n")
        self._log = (path / "train.log").open("a")
        try:
            fcntl.flock(self._log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{path}: another process is training here; wait for it or take another --workdir"
            ) from None
        self._handler = logging.StreamHandler(self._log)
        self._handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        self._handler.handleError = lambda record: None  # type: ignore[method-assign]  # a full disk shows elsewhere
        _ROOT_LOG.addHandler(self._handler)
        _ROOT_LOG.setLevel(logging.INFO)

    def rewind(self, step: int) -> None:
        """Forgets the metrics of steps after this one, which are about to be trained again.

        Args:
          step: that training goes on from; 0 at its start.
        """
        if not self._writes:
            return
        kept = [line for line in self.metrics() if line["step"] <= step]
        if self._metrics.exists():
            _replace(self._metrics, "".join(json.dumps(line) + "\n" for line in kept))
        self._seconds_before = max((line.get("seconds", 0.0) for line in kept), default=0.0)
        self._started = time.monotonic()
        directory = self.path / "tensorboard"
        directory.mkdir(exist_ok=True)
        self._events = (directory / f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}").open("wb")
        restart = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._add_event(event_pb2.Event(file_version="brain.Event:2"))
        self._add_event(event_pb2.Event(step=step + 1, session_log=restart))

    def _add_event(self, event: event_pb2.Event) -> None:
        if self._events is not None:
            event.wall_time = time.time()
            RecordWriter(self._events).write(event.SerializeToString())
            self._events.flush()

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl`; one that a crash cut off is left out."""
        if not self._metrics.exists():
            return []
        lines = []
        for line in self._metrics.read_text().splitlines():
            try:
                values = json.loads(line)
            except ValueError:
                continue
            if isinstance(values, dict) and "step" in values:
                lines.append(values)
        return lines

    def write_metrics(self, step: int, epoch: float, split: str, values: dict[str, float]) -> dict[str, Any]:
        """Adds a line to `metrics.jsonl`, and its numbers to TensorBoard.

        Args:
          step: steps done.
          epoch: the same in epochs.
          split: "train" or "val".
          values: what was measured; one that is not finite is left out.

        Returns:
          The line.
        """
        seconds = round(self._seconds_before + time.monotonic() - self._started, 3)
        values = {name: value for name, value in values.items() if math.isfinite(value)}
        line = {"step": step, "epoch": round(epoch, 4), "split": split, **values, "seconds": seconds}
        if not self._writes:
            return line
        scalars = [summary_pb2.Summary.Value(tag=f"{split}/{k}", simple_value=v) for k, v in values.items()]
        try:
            with self._metrics.open("a") as file:
                file.write(json.dumps(line) + "\n")
            self._add_event(event_pb2.Event(step=step, summary=summary_pb2.Summary(value=scalars)))
        except OSError as error:
            raise UserError(f"{self.path}: {error.strerror}; checkpoints are intact, start again to resume") from error
        return line

    def close(self) -> None:
        """Closes the files."""
        _ROOT_LOG.removeHandler(self._handler)
        for file in (self._log, self._events):
            with contextlib.suppress(OSError):
                if file is not None:
                    file.close()


def _replace(path: Path, text: str) -> None:
    """Writes a file so that a crash leaves the old or the new one, never a part."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text)
    temporary.replace(path)
