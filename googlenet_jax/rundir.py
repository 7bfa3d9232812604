"""The run directory: configuration, metrics, TensorBoard files and log of one training."""

import json
import logging
import math
import time
from pathlib import Path
from typing import Any

import ml_collections
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from googlenet_jax.config import differences, from_json, to_json
from googlenet_jax.errors import UserError

_ROOT_LOG = logging.getLogger("googlenet_jax")


class RunDirectory:
    """A directory that a training writes to, and is resumed from.

    Args:
      path: made if need be.
      config: the training's; kept as `config.json`.

    Raises:
      UserError: if it holds a run of another configuration; the message lists the differences.
    """

    def __init__(self, path: Path, config: ml_collections.ConfigDict):
        self.path = path
        self.checkpoints = path / "checkpoints"
        self._metrics = path / "metrics.jsonl"
        path.mkdir(parents=True, exist_ok=True)
        stored = path / "config.json"
        if stored.exists():
            changed = differences(from_json(stored.read_text()), config)
            if changed:
                raise UserError(
                    f"{path} holds a run with another configuration ({'; '.join(changed)}): "
                    "take another --workdir, or start it with its own config.json"
                )
        else:
            stored.write_text(to_json(config) + "\n")
        self._handler = logging.FileHandler(path / "train.log")
        self._handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        self._handler.handleError = lambda record: None  # type: ignore[method-assign]  # a full disk shows elsewhere
        _ROOT_LOG.addHandler(self._handler)
        self._tensorboard: EventFileWriter | None = None
        self._seconds_before = 0.0
        self._started = time.monotonic()

    def rewind(self, step: int) -> None:
        """Forgets the metrics of steps after this one, which are about to be trained again.

        Args:
          step: that training goes on from; 0 at its start.
        """
        lines = self.metrics()
        kept = [line for line in lines if line["step"] <= step]
        if len(kept) < len(lines) or self._metrics.exists():
            replacement = self._metrics.with_suffix(".tmp")
            replacement.write_text("".join(json.dumps(line) + "\n" for line in kept))
            replacement.replace(self._metrics)
        self._seconds_before = max((line.get("seconds", 0.0) for line in kept), default=0.0)
        self._started = time.monotonic()
        self._tensorboard = EventFileWriter(str(self.path / "tensorboard"))
        restart = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._tensorboard.add_event(event_pb2.Event(wall_time=time.time(), step=step + 1, session_log=restart))

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl`; one that a crash cut off is left out."""
        if not self._metrics.exists():
            return []
        lines = []
        for line in self._metrics.read_text().splitlines():
            try:
                lines.append(json.loads(line))
            except ValueError:
                continue
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
        try:
            with self._metrics.open("a") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise UserError(
                f"{self._metrics}: {error.strerror}; checkpoints are intact, start again to resume"
            ) from error
        if self._tensorboard is not None:
            scalars = [summary_pb2.Summary.Value(tag=f"{split}/{k}", simple_value=v) for k, v in values.items()]
            event = event_pb2.Event(wall_time=time.time(), step=step, summary=summary_pb2.Summary(value=scalars))
            self._tensorboard.add_event(event)
            self._tensorboard.flush()
        return line

    def close(self) -> None:
        """Closes the files."""
        if self._tensorboard is not None:
            self._tensorboard.close()
        _ROOT_LOG.removeHandler(self._handler)
        self._handler.close()
