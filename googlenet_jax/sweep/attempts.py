"""Attempts at a training: when each began and what became of it, whoever made it."""

import os
import re
import signal
import socket
import time
from pathlib import Path
from typing import IO, Any, NamedTuple

from googlenet_jax.config.fields import FIELDS
from googlenet_jax.errors import shown
from googlenet_jax.runs.progress import Progress
from googlenet_jax.system.files import append_line, json_lines, lock, locked

# What becomes of an attempt. Only a crash or a failure is worth another one by itself.
DONE = "done"  # the epoch that was asked for is reached
SAVED = "saved"  # saved when it was told to, and is to go on
CRASHED = "crashed"  # killed, or its machine was lost
FAILED = "failed"  # an error
REFUSED = "refused"  # an error in the configuration, which will be there again
DIVERGED = "diverged"
WORTH_A_RETRY = (CRASHED, FAILED)
FINAL = (DIVERGED,)  # not tried again by the same command either

_NAMED = re.compile(r"\bconfig\.([a-z_0-9.]*[a-z_0-9])")
_ASKS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)  # a training to save and stop
_SAVED = ": saved at step "  # what a training says that was told to stop, `TrainingDisplay.finished`
_DIVERGED = "training diverged"  # likewise, `train.loop`
_PROBE = 1.0  # seconds for others to look at the lock, which they hold for a moment
_TAIL = 1 << 16  # bytes of a log's end in which its last error is looked for


class Outcome(NamedTuple):
    """What became of an attempt.

    Attributes:
      kind: one of this module's words.
      error: one line, where there is one.
    """

    kind: str
    error: str = ""

    @property
    def brief(self) -> str:
        """The error as a sweep tells it: of a training that diverged without the way out, which is for one alone."""
        return self.error.partition(". ")[0] if self.kind == DIVERGED else self.error


class Attempts:
    """The attempts at one training: a file with a line when one begins and a line when it ends.

    Args:
      path: of the file.
      log: what they print.
    """

    def __init__(self, path: Path, log: Path):
        self.path, self.log = path, log

    def lines(self) -> list[dict[str, Any]]:
        """What is known of them, in order; a line that a crash cut off is left out."""
        return [line for line in json_lines(self.path) if _makes_sense(line)]

    def last(self) -> Outcome | None:
        """What became of the last one that ended."""
        return _outcome(self.lines())

    def final(self) -> Outcome | None:
        """What ended the training for good, if something did, though a crash kept it from being noted."""
        lines = self.lines()
        begun = [i for i, line in enumerate(lines) if line.get("event") == "begin"]
        if not begun:
            return None
        outcome = _outcome(lines[begun[-1] :])
        if outcome is None:
            error = _error(self._printed(lines[begun[-1]]["log"]))
            return Outcome(DIVERGED, error) if _DIVERGED in error else None
        return outcome if outcome.kind in FINAL else None

    def take(self) -> IO[str] | None:
        """The file, locked as long as it is open anywhere: a process that inherits it is known to be alive.

        Returns:
          The open file, or None if an attempt is under way.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        file = self.path.open("a")
        if lock(file, _PROBE):
            return file
        file.close()
        return None

    def under_way(self) -> bool:
        """Whether an attempt is being made on this machine, or on another that shares the file."""
        return locked(self.path)

    def begin(self, until: float, **about: Any) -> None:
        """An attempt begins: to train up to an epoch; `about` tells where."""
        at = self.log.stat().st_size if self.log.exists() else 0
        self._write(event="begin", until=until, host=socket.gethostname(), log=at, **about)

    def began(self, process: int, place: list[Any]) -> None:
        """The attempt is this process of this machine, which leads a session of its own, with this share of it."""
        self._write(event="process", process=process, place=place)

    def place(self) -> Any:
        """The share of the machine that the attempt that is under way has; None where it is not known."""
        lines = self.lines()
        return lines[-1].get("place") if lines else None

    def process(self) -> int:
        """The process of the attempt that is under way; 0 where it is not known, or of another machine."""
        lines = self.lines()
        number = lines[-1].get("process", 0) if lines and self._begun().get("host") == socket.gethostname() else 0
        return number if isinstance(number, int) else 0

    def _begun(self) -> dict[str, Any]:
        """How the last attempt began; {} before the first."""
        return next((line for line in reversed(self.lines()) if line.get("event") == "begin"), {})

    def asked(self) -> float:
        """The epoch up to which the last attempt was to train; infinity before the first."""
        return float(self._begun().get("until", float("inf")))

    def end(self, outcome: Outcome, **about: Any) -> None:
        """The attempt that began last has ended; `about` tells where."""
        self._write(event="end", outcome=outcome.kind, error=outcome.error, **about)

    def _write(self, **line: Any) -> None:
        append_line(self.path, {"time": round(time.time(), 3), **line})

    def judge(self, status: int | None, progress: Progress) -> Outcome:
        """What became of the attempt that began last.

        Args:
          status: exit status as `subprocess` has it; None if nobody saw it end.
          progress: of its run directory, now.

        Returns:
          The outcome.
        """
        began = self._begun()
        printed = self._printed(began.get("log", 0))
        error = _error(printed)
        if _DIVERGED in error:  # in its last step, maybe
            return Outcome(DIVERGED, error)
        if progress.reached(began.get("until", float("inf"))):
            return Outcome(DONE)
        if status == 0 or (status is None and any(_SAVED in line for line in printed)):
            return Outcome(SAVED)
        if status is not None and (status < 0 or status > 128):
            number = -status if status < 0 else status - 128
            if number in _ASKS:  # before it could listen
                return Outcome(SAVED)
            names = {s.value: s.name for s in signal.Signals}
            killed = f"killed by {names.get(number, f'signal {number}')}"
            return Outcome(CRASHED, f"{killed}: {error}" if error else killed)
        if not error:
            return Outcome(CRASHED, "it ended without a word" if status is None else f"it ended with status {status}")
        fields = {name for name in _NAMED.findall(error) if name in FIELDS}
        mendable = "out of device memory" in error or "there is no such" in error
        return Outcome(REFUSED if fields and not mendable else FAILED, error)

    def _printed(self, begin: int) -> list[str]:
        """The last lines of the log, from a place on."""
        if not self.log.exists():
            return []
        with self.log.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(begin, end - _TAIL))
            return [line.rstrip() for line in file.read().decode(errors="replace").splitlines()]


def _outcome(lines: list[dict[str, Any]]) -> Outcome | None:
    """What became of the last attempt in these lines that ended."""
    ended = [line for line in lines if line.get("event") == "end"]
    return Outcome(str(ended[-1].get("outcome")), str(ended[-1].get("error", ""))) if ended else None


def _error(printed: list[str]) -> str:
    """The last error that was printed: our own line, or the last of a traceback."""
    ours = [line for line in printed if line.startswith("error: ")]
    if ours:
        return shown(ours[-1].removeprefix("error: "), 400)
    if any(line.startswith("Traceback") for line in printed):
        return shown(next((line for line in reversed(printed) if line), ""), 400)
    return ""


def _makes_sense(line: dict[str, Any]) -> bool:
    return line.get("event") in ("end", "process") or (
        line.get("event") == "begin" and isinstance(line.get("until"), int | float) and isinstance(line.get("log"), int)
    )
