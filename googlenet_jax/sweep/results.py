"""The results of a sweep: one row a trial, made of what the trials' directories hold."""

import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from googlenet_jax.config.fields import FIELDS, flatten
from googlenet_jax.errors import UserError
from googlenet_jax.runs.progress import Progress, read_progress
from googlenet_jax.sweep.attempts import DIVERGED, FAILED, REFUSED, Attempts
from googlenet_jax.sweep.definition import Objective
from googlenet_jax.sweep.directory import SweepDirectory
from googlenet_jax.system.files import replace_file
from googlenet_jax.system.tables import write_table

# States in which a trial may be.
FINISHED, RUNNING, QUEUED, PAUSED = "finished", "running", "queued", "paused"
INTERRUPTED, WAITING = "interrupted", "waiting"
STATES = (FINISHED, RUNNING, QUEUED, PAUSED, INTERRUPTED, WAITING, FAILED, REFUSED, DIVERGED)


class Row(NamedTuple):
    """What became of a trial.

    Attributes:
      id: of the trial; its run directory has this name.
      fields: its value in each field that the sweep varies.
      state: one of `STATES`.
      epochs: trained, as far as saved.
      best_top1, last_top1: on validation images, 0..1; None before the first evaluation.
      objective: last value of what trials are compared by.
      images_per_second: median of what was measured.
      seconds: of training.
      attempts: that were made.
      job: the last one's, where it ran as a job.
      error: the last one's, one line.
      curve: (epoch, objective) in order.
    """

    id: str
    fields: dict[str, Any]
    state: str
    epochs: float
    best_top1: float | None
    last_top1: float | None
    objective: float | None
    images_per_second: float | None
    seconds: float
    attempts: int
    job: str
    error: str
    curve: list[tuple[float, float]]

    def flat(self, objective: Objective) -> dict[str, Any]:
        """The row as a table has it, one column a name; the objective where it is not the top-1 that is there."""
        about = self._asdict()
        about.pop("curve")
        value, fields = about.pop("objective"), about.pop("fields")
        named = {} if str(objective) == "val.top1" else {str(objective): value}
        return {"id": about.pop("id"), **fields, "state": about.pop("state"), **named, **about}


def read_rows(directory: SweepDirectory, ids: Sequence[str], fields: Sequence[str], objective: Objective) -> list[Row]:
    """The rows of some trials.

    Args:
      directory: of the sweep.
      ids: of the trials.
      fields: that the sweep varies.
      objective: what trials are compared by.
    """
    return [_row(directory, id, fields, objective) for id in ids]


def _row(directory: SweepDirectory, id: str, fields: Sequence[str], objective: Objective) -> Row:
    job = directory.job(id, float("inf"))
    config = _stored(job.config)
    progress = read_progress(job.workdir)
    top1 = [value for _, value in progress.measured("val", "top1")]
    curve = progress.measured(*objective)
    last = progress.last(*objective)
    speeds = [value for _, value in progress.measured("train", "images_per_second")]
    lines = job.attempts.lines()
    begun = [line for line in lines if line.get("event") == "begin"]
    state, error = _state(progress, config.get("num_epochs", FIELDS["num_epochs"].default), job.attempts)
    return Row(
        id=id,
        fields={name: config.get(name, FIELDS[name].default) for name in fields},
        state=state,
        epochs=round(progress.epoch, 4),
        best_top1=max(top1, default=None),
        last_top1=top1[-1] if top1 else None,
        objective=None if math.isnan(last) else last,
        images_per_second=round(statistics.median(speeds), 1) if speeds else None,
        seconds=max((line["seconds"] for line in progress.lines), default=0.0),
        attempts=len(begun),
        job=str(begun[-1].get("job", "")) if begun else "",
        error=error,
        curve=curve,
    )


def _stored(path: Path) -> dict[str, Any]:
    """The fields of a trial's configuration, which was checked when it was written."""
    try:
        return flatten(dict(json.loads(path.read_text())))
    except (OSError, ValueError, TypeError, RecursionError):
        raise UserError(f"{path} is damaged or gone; start the sweep's command again, which writes it") from None


def _state(progress: Progress, num_epochs: float, attempts: Attempts) -> tuple[str, str]:
    """A trial's state and error; but for a divergence its checkpoints go before what was noted, if it was."""
    lines, final = attempts.lines(), attempts.final()
    if progress.reached(num_epochs) and final is None:
        return FINISHED, ""
    if attempts.under_way():
        return RUNNING, ""
    if final is not None:
        return final.kind, final.brief
    if not lines:
        return WAITING, ""
    if progress.reached(max((line["until"] for line in lines if "until" in line), default=math.inf)):
        return PAUSED, ""
    last = attempts.last()
    if lines[-1].get("event") != "end" or last is None:
        return INTERRUPTED, ""
    return (last.kind if last.kind in (FAILED, REFUSED) else INTERRUPTED), last.error


def write_results(path: Path, rows: Sequence[Row], objective: Objective) -> None:
    """Writes `results.csv` and `results.jsonl` into the sweep's directory."""
    flat = [row.flat(objective) for row in rows]
    replace_file(path / "results.jsonl", "".join(json.dumps(row) + "\n" for row in flat))
    write_table(path / "results.csv", [*flat[0]] if flat else [], [[*row.values()] for row in flat])
