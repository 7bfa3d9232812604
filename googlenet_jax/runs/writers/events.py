"""TensorBoard's files, written without TensorFlow."""

import time
from pathlib import Path

from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter


class EventFile:
    """A file of events.

    Args:
      path: of the file, whose name holds "tfevents"; TensorBoard reads those of a directory in the order of names.
    """

    def __init__(self, path: Path):
        self._file = path.open("wb")
        self._records = RecordWriter(self._file)
        self._add(event_pb2.Event(file_version="brain.Event:2"))

    def restart(self, step: int) -> None:
        """Hides what other files have of this step and later ones."""
        start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._add(event_pb2.Event(step=step, session_log=start))

    def add(self, summary: summary_pb2.Summary, step: int = 0) -> None:
        """Adds a summary of a step."""
        self._add(event_pb2.Event(step=step, summary=summary))

    def _add(self, event: event_pb2.Event) -> None:
        event.wall_time = time.time()
        self._records.write(event.SerializeToString())
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
