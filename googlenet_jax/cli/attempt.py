"""The `googlenet attempt` command, which the scripts of --executor slurm call."""

import argparse
import json
from pathlib import Path
from typing import Any

from googlenet_jax.cli import arguments
from googlenet_jax.errors import UserError
from googlenet_jax.sweep.executors.base import Job
from googlenet_jax.sweep.requeue import attempt


def add_command(commands: Any) -> None:
    """Adds it to the subparsers of the `googlenet` command."""
    parser = commands.add_parser(
        "attempt",
        parents=[arguments.debug()],
        help="train within a Slurm job, and queue the job again as needed; launch.py --executor slurm calls it",
    )
    parser.add_argument("tasks", type=Path, metavar="TASKS.json", help="trainings of an array of jobs")
    parser.add_argument("index", type=arguments.count, metavar="INDEX", help="of the training, from 0")
    parser.add_argument("--program", required=True, metavar="FILE", help="launch.py")
    parser.add_argument(
        "--retries", type=arguments.count, default=1, metavar="N", help="after a crash or failure (default: 1)"
    )
    parser.set_defaults(run=_attempt)


def _attempt(flags: argparse.Namespace) -> int:
    try:
        job = Job.from_json(json.loads(flags.tasks.read_text())[flags.index])
    except (ValueError, LookupError, TypeError) as error:
        raise UserError(f"{flags.tasks} has no training {flags.index}: {error}") from None
    return attempt(job, flags.tasks.parent, flags.program, flags.retries)
