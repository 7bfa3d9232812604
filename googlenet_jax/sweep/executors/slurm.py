"""Trainings as jobs of a Slurm cluster: one array of jobs for all that are handed over together."""

import getpass
import json
import logging
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from googlenet_jax.errors import UserError, shown
from googlenet_jax.sweep.attempts import CRASHED, Outcome
from googlenet_jax.sweep.executors.base import Job, Placement
from googlenet_jax.system.files import append_line, json_lines, replace_file

log = logging.getLogger(__name__)
_POLL = 5.0  # seconds between looks at the queue
_UNLIMITED = 1 << 30

_SCRIPT = """\
#!/bin/bash
# {count} of googlenet_jax, one a task of this array: {jobs} lists them.
# A training that is told to stop saves, and its task is queued again, as one is that crashed: `googlenet attempt`.
{options}
cd {here} || exit 1
exec {python} -m googlenet_jax.cli attempt {jobs} "${{SLURM_ARRAY_TASK_ID:-0}}" --program {program} --retries {retries}
"""


class Slurm:
    """Runs trainings as jobs of a Slurm cluster, which go on without the driver.

    Args:
      place: its directory must be on a file system that the cluster's machines share.

    Raises:
      UserError: if this machine has no Slurm.
    """

    lasting = True

    def __init__(self, place: Placement):
        self._place, self._files = place, place.directory / "slurm"
        self._jobs: dict[str, Job] = {}  # by job, as the queue names it
        self._looked = 0.0
        queue()

    def adopt(self, jobs: Iterable[Job]) -> list[Job]:
        """As `Executor.adopt`: those that are in the queue."""
        asked, states = {job.id: job for job in jobs}, queue()
        for name, id in submitted(self._files).items():
            if name in states and id in asked:
                self._jobs[name] = asked[id]
        return list(self._jobs.values())

    def free(self) -> int:
        """As `Executor.free`."""
        return _UNLIMITED if self._place.ahead else max(self._place.jobs - len(self._jobs), 0)

    def start(self, jobs: list[Job]) -> None:
        """As `Executor.start`: submits one array."""
        number = len(list(self._files.glob("*.sh"))) + 1
        tasks, script = (self._files / f"{number:04}.{suffix}" for suffix in ("json", "sh"))
        replace_file(tasks, json.dumps([job.to_json() for job in jobs], indent=1) + "\n")
        replace_file(script, self._script(tasks, len(jobs)))
        job = run_slurm("sbatch", "--parsable", str(script)).split(";")[0]
        append_line(self._files / "jobs.jsonl", {"job": job, "tasks": [job.id for job in jobs], "time": time.time()})
        self._jobs |= {f"{job}_{index}": task for index, task in enumerate(jobs)}
        log.info("submitted job %s: %d trainings, %s", job, len(jobs), script)

    def _script(self, tasks: Path, count: int) -> str:
        place, limit = self._place, f"%{self._place.jobs}" if count > self._place.jobs else ""
        options = {
            "job-name": "googlenet-" + re.sub(r"[^\w.-]+", "_", place.name),
            "array": f"0-{count - 1}{limit}",
            "requeue": "",
            "open-mode": "append",
            "signal": "USR1@120",
            "nodes": str(place.nodes),
            "ntasks-per-node": "1",
            "output": str(self._files.absolute()).replace("%", "%%") + "/%A_%a.log",
        }
        if place.gpus_per_node is not None:
            options["gpus-per-node"] = str(place.gpus_per_node)
        lines = [
            f"#SBATCH --{k}={_quoted(v)}" if v else f"#SBATCH --{k}" for k, v in {**options, **place.options}.items()
        ]
        return _SCRIPT.format(
            count=f"{count} training{'s' if count > 1 else ''}",
            jobs=shlex.quote(str(tasks.absolute())),
            options="\n".join(lines),
            here=shlex.quote(os.getcwd()),
            python=shlex.quote(sys.executable),
            program=shlex.quote(str(place.program.absolute())),
            retries=place.retries,
        )

    def wait(self) -> list[tuple[Job, Outcome]]:
        """As `Executor.wait`: those that are in the queue no more."""
        rest = self._looked + _POLL - time.monotonic()
        if rest > 0:
            time.sleep(min(rest, 0.5))
            return []
        self._looked = time.monotonic()
        try:
            states = queue()
        except UserError as error:  # the controller is busy, or restarts
            log.warning("%s; asking again", error)
            return []
        gone = [name for name in self._jobs if name not in states]
        return [(job, _outcome(job, name)) for name in gone for job in [self._jobs.pop(name)]]

    def running(self) -> int:
        """As `Executor.running`."""
        return len(self._jobs)

    def stop(self) -> None:
        """As `Executor.stop`: jobs go on without the driver."""
        log.info("the jobs go on; the same command looks after them again")
        self._jobs = {}


def _quoted(value: str) -> str:
    """A value as sbatch reads it from a script, where spaces end it and # begins a comment."""
    return '"' + value.replace('"', '\\"') + '"' if re.search(r"[\s#\"']", value) else value


def _outcome(job: Job, name: str) -> Outcome:
    """What became of a job that left the queue."""
    lines = job.attempts.lines()
    if lines and lines[-1].get("event") == "end" and str(lines[-1].get("job")) == name:
        return job.attempts.last() or Outcome(CRASHED)
    outcome = job.judge(None)
    if outcome.kind == CRASHED:
        outcome = Outcome(CRASHED, f"job {name} left the queue: cancelled, or its node was lost")
    return outcome


def submitted(files: Path) -> dict[str, str]:
    """The tasks that were submitted, by their names in the queue: {"12_3": id of the trial}."""
    found: dict[str, str] = {}
    for line in json_lines(files / "jobs.jsonl"):
        found |= {f"{line.get('job')}_{index}": id for index, id in enumerate(line.get("tasks", []))}
    return found


def in_queue(files: Path) -> dict[str, str]:
    """What was submitted and is in the queue: states by id of the trial; {} where nothing was, or Slurm is away."""
    names = submitted(files)
    try:
        states = queue() if names else {}
    except UserError:
        return {}
    return {id: states[name] for name, id in names.items() if name in states}


def cancel(files: Path) -> int:
    """Takes what was submitted out of the queue: what runs saves first, but is ended if it was cancelled before.

    Args:
      files: of the executor.

    Returns:
      How many jobs that were.
    """
    states, before = queue(), cancelled(files)
    names = [name for name in submitted(files) if name in states]
    save = [name for name in names if states[name] == "RUNNING" and name not in before]
    end = [name for name in names if name not in save]
    if save:
        append_line(files / "cancelled.jsonl", {"jobs": save, "time": time.time()})
        run_slurm("scancel", "--signal=USR1", *save)
    if end:
        run_slurm("scancel", *end)
    return len(names)


def cancelled(files: Path) -> set[str]:
    """Jobs that were told to save and not to queue again."""
    return {name for line in json_lines(files / "cancelled.jsonl") for name in line.get("jobs", [])}


def queue() -> dict[str, str]:
    """This user's jobs in Slurm's queue: their states by name, such as {"12_3": "RUNNING"}; raises `UserError`."""
    lines = run_slurm("squeue", "--noheader", "--array", "--user", getpass.getuser(), "--format", "%i %T").split("\n")
    return dict(line.split(" ", 1) for line in lines if " " in line)


def run_slurm(*command: str) -> str:
    """What one of Slurm's commands prints.

    Args:
      command: and its arguments.

    Raises:
      UserError: if this machine has no Slurm, or it refuses, with its words.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    except FileNotFoundError:
        raise UserError(
            f"--executor slurm: this machine has no {command[0]}; run it where Slurm's commands are, or take "
            "--executor local"
        ) from None
    except subprocess.TimeoutExpired:
        raise UserError(f"{command[0]} does not answer") from None
    if done.returncode:
        words = " ".join(line.removeprefix(f"{command[0]}: ") for line in done.stderr.splitlines()) or "without a word"
        raise UserError(f"{command[0]} refuses: {shown(words, 200)}")
    return done.stdout.strip()
