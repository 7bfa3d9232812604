"""One attempt at a training inside a job of Slurm, which is queued again if the training is to go on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from googlenet_jax.errors import UserError
from googlenet_jax.runs.progress import read_progress
from googlenet_jax.sweep.attempts import CRASHED, DONE, SAVED, WORTH_A_RETRY, Attempts, Outcome
from googlenet_jax.sweep.executors.base import Job
from googlenet_jax.sweep.executors.slurm import cancelled, run_slurm
from googlenet_jax.system.signals import NotedSignals

_LET_GO = 120  # seconds that an attempt before this one may take to end


def attempt(job: Job, files: Path, program: str, retries: int) -> int:
    """Trains within the Slurm job that this process is the batch step of.

    Args:
      job: the training.
      files: of the executor that submitted it.
      program: launch.py.
      retries: further attempts after one that crashed or failed.

    Returns:
      Exit status: 0 if the epoch is reached or the job was queued again, else 1.

    Raises:
      UserError: outside of a Slurm job, or if another process trains there.
    """
    if "SLURM_JOB_ID" not in os.environ:
        raise UserError("googlenet attempt runs within a job of Slurm; launch.py --executor slurm submits one")
    # Not SLURM_JOB_ID: the last task of an array has that of the whole array, all of which would be queued again.
    name = f"{os.environ.get('SLURM_ARRAY_JOB_ID')}_{os.environ.get('SLURM_ARRAY_TASK_ID')}"
    with _taken(job.attempts):
        if (final := job.attempts.final()) is not None:
            print(f"{job.id}: {final.kind} {final.error}", flush=True)
            return 1
        if read_progress(job.workdir).reached(job.until):
            return 0
        if _failures(job.attempts, name) > retries:
            job.attempts.end(Outcome(CRASHED, "its machine was lost, and no retries are left"), job=name)
            return 1
        outcome = _run(job, program, name)
        job.attempts.end(outcome, job=name)
        print(f"{job.id}: {outcome.kind} {outcome.error}", flush=True)
    if outcome.kind == DONE:
        return 0
    again = outcome.kind == SAVED or (outcome.kind in WORTH_A_RETRY and _failures(job.attempts, name) <= retries)
    if not again or name in cancelled(files) or not _running(name):
        return 1
    print("queued again", flush=True)
    run_slurm("scontrol", "requeue", name)
    return 0


def _taken(attempts: Attempts) -> IO[str]:
    """The attempts' file for this process alone; what is left of the attempt before may still be saving."""
    deadline = time.monotonic() + _LET_GO
    while (file := attempts.take()) is None:
        if time.monotonic() > deadline:
            raise UserError(f"{attempts.path}: another process is training; wait for it, then start again")
        time.sleep(1)
    return file


def _failures(attempts: Attempts, name: str) -> int:
    """Attempts of a job that crashed, failed, or never ended because their machine was lost."""
    own = [line for line in attempts.lines() if line.get("job") == name]
    begun = sum(line.get("event") == "begin" for line in own)
    ended = [line.get("outcome") for line in own if line.get("event") == "end"]
    return begun - len(ended) + sum(kind in WORTH_A_RETRY for kind in ended)


def _run(job: Job, program: str, name: str) -> Outcome:
    job.attempts.begin(job.until, job=name, restarts=int(os.environ.get("SLURM_RESTART_COUNT", "0")))
    environment = dict(os.environ)
    if "SLURM_CPUS_PER_TASK" in environment:  # srun takes it from the job no longer, since Slurm 22.05
        environment["SRUN_CPUS_PER_TASK"] = environment["SLURM_CPUS_PER_TASK"]
    command = ["srun", "--kill-on-bad-exit=1", sys.executable, *job.command(program)]
    # Slurm tells the training itself to stop; this process has to outlive it, to queue the job again.
    with NotedSignals(signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP), job.attempts.log.open("ab") as log:
        return job.judge(subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, env=environment).returncode)


def _running(name: str) -> bool:
    """Whether this job is not being taken down: by someone who cancelled it, or by Slurm, which queues it by itself."""
    return "JobState=RUNNING" in run_slurm("scontrol", "--oneliner", "show", "job", name)
