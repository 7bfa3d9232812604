"""Trainings as processes of this machine, side by side, each with its own share of the devices."""

import contextlib
import dataclasses
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from googlenet_jax.errors import UserError
from googlenet_jax.sweep.attempts import Outcome
from googlenet_jax.sweep.executors.base import Job, Placement
from googlenet_jax.system.runtime import cpu_cores

_GLANCE = 0.2  # seconds between looks at the processes


@dataclasses.dataclass
class _Slot:
    """A share of the machine, and what runs there; without a process, one that an earlier driver started."""

    cores: list[int]
    gpus: list[str]
    job: Job | None = None
    process: "subprocess.Popen[bytes] | None" = None


class Local:
    """Runs trainings as processes of this machine.

    Args:
      place: cores and GPUs are divided among its jobs.

    Raises:
      UserError: if there are fewer cores or GPUs than jobs.
    """

    lasting = False

    def __init__(self, place: Placement):
        self._program, self._stopping, jobs = str(place.program), False, place.jobs
        cores, gpus = sorted(_cores()), visible_gpus()
        for devices, count in (("cores", len(cores)), ("GPUs", len(gpus) or jobs)):
            if jobs > count:
                raise UserError(f"--jobs {jobs}: this machine has {count} {devices}; ask for at most {count}")
        self._slots = [_Slot(_share(cores, i, jobs), _share(gpus, i, jobs)) for i in range(jobs)]

    def adopt(self, jobs: Iterable[Job]) -> list[Job]:
        """As `Executor.adopt`: those whose process still holds its lock."""
        under_way = [job for job in jobs if job.attempts.under_way()]
        for job in under_way:
            own = job.attempts.place()
            free = [slot for slot in self._slots if slot.job is None]
            same = [slot for slot in free if [slot.cores, slot.gpus] == own]
            if not free:  # the machine was given to more jobs before
                self._slots.append(_Slot([], []))
            (same or free or self._slots[-1:])[0].job = job
        return under_way

    def free(self) -> int:
        """As `Executor.free`."""
        return 0 if self._stopping else sum(slot.job is None and bool(slot.cores) for slot in self._slots)

    def start(self, jobs: list[Job]) -> None:
        """As `Executor.start`."""
        for job in jobs:
            slot = next(slot for slot in self._slots if slot.job is None and slot.cores)
            file = job.attempts.take()
            if file is None:
                raise UserError(f"{job.workdir}: another process is training here; wait for it, then start again")
            slot.job = job
            environment = os.environ | ({"CUDA_VISIBLE_DEVICES": ",".join(slot.gpus)} if slot.gpus else {})
            with file, job.attempts.log.open("ab") as output, _on_cores(slot.cores):
                job.attempts.begin(job.until)
                # Its own session, so that Ctrl-C reaches it through this process alone. The attempts' file is
                # inherited, which keeps it locked for as long as the training lives.
                slot.process = subprocess.Popen(
                    [sys.executable, *job.command(self._program)],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    pass_fds=[file.fileno()],
                    start_new_session=True,
                )
                job.attempts.began(slot.process.pid, [slot.cores, slot.gpus])

    def wait(self) -> list[tuple[Job, Outcome]]:
        """As `Executor.wait`."""
        ended = []
        for slot in self._slots:
            if slot.job is None:
                continue
            if slot.process is None:
                if slot.job.attempts.under_way():
                    continue
                status = None
            elif (status := slot.process.poll()) is None:
                continue
            outcome = slot.job.judge(status)
            slot.job.attempts.end(outcome)
            ended.append((slot.job, outcome))
            slot.job = slot.process = None
        self._slots = [slot for slot in self._slots if slot.cores or slot.job]
        if not ended:
            time.sleep(_GLANCE)
        return ended

    def running(self) -> int:
        """As `Executor.running`."""
        return sum(slot.job is not None for slot in self._slots)

    def stop(self) -> None:
        """As `Executor.stop`; a second time kills."""
        for slot in self._slots:
            process = slot.process.pid if slot.process else slot.job.attempts.process() if slot.job else 0
            if process:
                _send(process, signal.SIGKILL if self._stopping else signal.SIGTERM)
        self._stopping = True


def stop_left_over(jobs: Iterable[Job]) -> int:
    """Tells trainings on this machine whose driver is gone to save and stop; returns how many there are."""
    left = [process for job in jobs if job.attempts.under_way() and (process := job.attempts.process())]
    for process in left:
        _send(process, signal.SIGTERM)
    return len(left)


def _send(process: int, number: int) -> None:
    """Sends a signal to a training and the processes that it started, if it is still there."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process, number)


def visible_gpus() -> list[str]:
    """The GPUs of NVIDIA's that a process here would see, as CUDA_VISIBLE_DEVICES names them."""
    if os.environ.get("JAX_PLATFORMS") == "cpu":
        return []
    if (given := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        names = [name.strip() for name in given.split(",")]
        return [name for name in itertools.takewhile(lambda name: name != "-1", names) if name]
    return [str(number) for number in range(len(list(Path("/dev").glob("nvidia[0-9]*"))))]


def _cores() -> Iterable[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(cpu_cores())


def _share(things: list, number: int, of: int) -> list:
    return things[number * len(things) // of : (number + 1) * len(things) // of]


@contextlib.contextmanager
def _on_cores(cores: list[int]) -> Iterator[None]:
    """What is started here runs on these cores alone, where the system can bind it."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
