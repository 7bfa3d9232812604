"""What an executor is given, and what it tells."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Protocol

from googlenet_jax.runs.progress import read_progress
from googlenet_jax.sweep.attempts import Attempts, Outcome


class Job(NamedTuple):
    """A training that an executor runs: of a trial, up to an epoch.

    Attributes:
      id: of the trial.
      until: epoch to train up to.
      config: file of its configuration.
      workdir: its run directory.
      attempts: what became of earlier attempts, and where this one is noted.
    """

    id: str
    until: float
    config: Path
    workdir: Path
    attempts: Attempts

    def command(self, program: Path) -> list[str]:
        """Arguments for Python that run it by the program, launch.py."""
        return [str(program), "--config", str(self.config), "--workdir", str(self.workdir), "--until", f"{self.until!r}"]

    def judge(self, status: int | None) -> Outcome:
        """What became of the attempt that began last, which is over."""
        return self.attempts.judge(status, read_progress(self.workdir))


class Executor(Protocol):
    """A place where trainings run. What becomes of each is noted in `Job.attempts`, driver or no driver."""

    def adopt(self, jobs: Iterable[Job]) -> list[Job]:
        """Those that are under way already, from an earlier driver; they are waited for as if they were started."""

    def free(self) -> int:
        """How many more may be started."""

    def start(self, jobs: list[Job]) -> None:
        """Starts trainings.

        Raises:
          UserError: if the place refuses.
        """

    def wait(self) -> list[tuple[Job, Outcome]]:
        """Those that ended, with what became of them; waits a moment for one. [] if none did."""

    def running(self) -> int:
        """How many are under way."""

    def stop(self) -> None:
        """The driver is about to leave: what must not go on without it is told to save and end."""
