"""Where measured values go: each writer gets every line. To add one, write its class and add it to `WRITERS`.

A line is what `metrics.jsonl` holds: {"step", "epoch", "split": "train" or "val", "seconds", and what was measured}.
"""

import json
import socket
import time
from pathlib import Path
from typing import Protocol

from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

from googlenet_jax.runs.lines import Line, read_lines
from googlenet_jax.system.files import replace_file


class Writer(Protocol):
    """Takes lines of a run from a step on.

    Args:
      run: the run directory.
      step: that training goes on from; what was written of later ones is about to be trained again.
    """

    def __init__(self, run: Path, step: int): ...

    def write(self, line: Line) -> None:
        """Writes a line so that a crash of this process does not lose it; raises `OSError` where it cannot."""

    def close(self) -> None:
        """Closes its files."""


class JsonLines:
    """`metrics.jsonl`: one JSON object a line."""

    def __init__(self, run: Path, step: int):
        path = run / "metrics.jsonl"
        kept = [line for line in read_lines(run) if line["step"] <= step]
        if path.exists():
            replace_file(path, "".join(json.dumps(line) + "\n" for line in kept))
        self._file = path.open("a")

    def write(self, line: Line) -> None:
        """As `Writer.write`."""
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def close(self) -> None:
        """As `Writer.close`."""
        self._file.close()


class TensorBoard:
    """`tensorboard/`: every number as a scalar named SPLIT/NAME; later steps of earlier files are hidden."""

    def __init__(self, run: Path, step: int):
        directory = run / "tensorboard"
        directory.mkdir(exist_ok=True)
        self._file = (directory / f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}").open("wb")
        self._records = RecordWriter(self._file)
        restart = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._add(event_pb2.Event(file_version="brain.Event:2"))
        self._add(event_pb2.Event(step=step + 1, session_log=restart))

    def write(self, line: Line) -> None:
        """As `Writer.write`."""
        measured = {name: value for name, value in line.items() if name not in ("step", "epoch", "split", "seconds")}
        values = [summary_pb2.Summary.Value(tag=f"{line['split']}/{k}", simple_value=v) for k, v in measured.items()]
        self._add(event_pb2.Event(step=line["step"], summary=summary_pb2.Summary(value=values)))

    def _add(self, event: event_pb2.Event) -> None:
        event.wall_time = time.time()
        self._records.write(event.SerializeToString())
        self._file.flush()

    def close(self) -> None:
        """As `Writer.close`."""
        self._file.close()


WRITERS: tuple[type[Writer], ...] = (JsonLines, TensorBoard)
