"""What an executor is given, and what it tells."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Protocol

from googlenet_jax.runs.progress import read_progress
from googlenet_jax.sweep.attempts import Attempts, Outcome


class Job(NamedTuple):
    """A training that an executor runs, up to an epoch.

    Attributes:
      id: of the trial, or the name of a single training.
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

    def command(self, program: str) -> list[str]:
        """Arguments for Python that run it by the program, launch.py."""
        return [program, "--config", str(self.config), "--workdir", str(self.workdir), "--until", repr(self.until)]

    def judge(self, status: int | None) -> Outcome:
        """What became of the attempt that began last, which is over."""
        return self.attempts.judge(status, read_progress(self.workdir))

    def to_json(self) -> dict[str, str | float]:
        """For `from_json`, with absolute paths."""
        paths = {
            "config": self.config,
            "workdir": self.workdir,
            "attempts": self.attempts.path,
            "log": self.attempts.log,
        }
        return {"id": self.id, "until": self.until, **{name: str(path.absolute()) for name, path in paths.items()}}

    @classmethod
    def from_json(cls, about: dict[str, str | float]) -> "Job":
        """The job that `to_json` wrote."""
        config, workdir, attempts, log = (Path(str(about[k])) for k in ("config", "workdir", "attempts", "log"))
        return cls(str(about["id"]), float(about["until"]), config, workdir, Attempts(attempts, log))


class Placement(NamedTuple):
    """Where trainings are to run, and how many at once.

    Attributes:
      program: launch.py.
      directory: where an executor may keep files of its own.
      name: of the whole, for people who look at a queue.
      jobs: trainings at a time.
      ahead: whether more than those may be handed over at once, to wait in a queue.
      retries: further attempts at a training that crashed or failed.
      nodes: machines a training.
      gpus_per_node: GPUs of each of them; None: not asked for.
      options: further ones of the place's own, by name; "" for those without a value.
    """

    program: Path
    directory: Path
    name: str
    jobs: int = 1
    ahead: bool = False
    retries: int = 1
    nodes: int = 1
    gpus_per_node: int | None = None
    options: Mapping[str, str] = MappingProxyType({})


class Executor(Protocol):
    """A place where trainings run. What becomes of each is noted in `Job.attempts`, driver or no driver.

    Attributes:
      lasting: whether trainings go on, and are tried again, when the driver has left.
    """

    lasting: bool

    def adopt(self, jobs: Iterable[Job]) -> list[Job]:
        """Those that are under way already, from an earlier driver; they are waited for as if they were started."""

    def free(self) -> int:
        """How many more may be started."""

    def start(self, jobs: list[Job]) -> None:
        """Starts trainings; raises `UserError` if the place refuses."""

    def wait(self) -> list[tuple[Job, Outcome]]:
        """Those that ended, with what became of them; waits a moment for one. [] if none did."""

    def running(self) -> int:
        """How many are under way."""

    def stop(self) -> None:
        """The driver is about to leave: what cannot go on without it is told to save and end."""
