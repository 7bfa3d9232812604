"""One training as a job that goes on by itself until it is finished."""

import logging
from pathlib import Path

import ml_collections

from googlenet_jax.config.checks import differences
from googlenet_jax.config.from_json import read_json, to_json
from googlenet_jax.config.resume import refused
from googlenet_jax.errors import UserError
from googlenet_jax.runs.directory import changes_of
from googlenet_jax.runs.progress import read_progress
from googlenet_jax.sweep.attempts import Attempts
from googlenet_jax.sweep.executors.base import Executor, Job
from googlenet_jax.system.files import json_lines, replace_file

log = logging.getLogger(__name__)


def submit(config: ml_collections.ConfigDict, workdir: Path, until: float | None, executor: Executor) -> None:
    """Hands a training to an executor, unless it is under way or finished.

    Args:
      config: of the training.
      workdir: its run directory; what belongs to the executor lies in a directory of its name in there.
      until: epoch to stop at; None: the last.
      executor: one whose trainings go on without this process.

    Raises:
      UserError: if the directory holds a run of another configuration, or the executor refuses.
    """
    changes_of(workdir, config)
    files = workdir / "slurm"
    attempts = Attempts(files / "attempts.jsonl", files / "output.log")
    job = Job(
        workdir.name, min(until or config.num_epochs, config.num_epochs), files / "config.json", workdir, attempts
    )
    if (final := attempts.final()) is not None:
        raise UserError(final.error)
    if read_progress(workdir).reached(job.until):
        log.info("%s is finished: epoch %g is reached", workdir, job.until)
        return
    if executor.adopt([job]):
        if wrong := refused(differences(read_json(job.config), config), config):
            raise UserError(f"{workdir} is in the queue with another configuration ({'; '.join(wrong)}): take another")
        log.info("%s is in the queue already", workdir)
    else:
        replace_file(job.config, to_json(config) + "\n")
        executor.start([job])
    log.info("what it prints: tail -F %s", attempts.log)
    for line in json_lines(files / "jobs.jsonl")[-1:]:
        log.info("stop it for good: scancel %s", line["job"])
