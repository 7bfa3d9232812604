"""Where a sweep stands, read from its directory alone: whoever drives it, or nobody."""

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from googlenet_jax.sweep.definition import Definition, read_objective
from googlenet_jax.sweep.directory import SweepDirectory
from googlenet_jax.sweep.executors import slurm
from googlenet_jax.sweep.results import FINISHED, QUEUED, RUNNING, Row, read_rows, write_results
from googlenet_jax.sweep.trials import Trial

if TYPE_CHECKING:
    from googlenet_jax.sweep.statistics import Group, Verdict


class Standing:
    """Where a sweep stands at the moment.

    Args:
      directory: of the sweep.

    Attributes:
      recipe: that it varies.
      objective: what trials are compared by.
      driver: who drives it, "" for nobody.
      rows: one a trial that is asked for.
      log_fields: that are searched on a logarithmic scale.
    """

    def __init__(self, directory: SweepDirectory):
        about = directory.definition()
        self._directory, self.recipe = directory, str(about["recipe"])
        self.objective = read_objective(about["objective"])
        self.driver = directory.driver()
        self.log_fields = [name for name, span in about.get("ranges", {}).items() if span.get("kind") == "log"]
        rows = read_rows(directory, directory.asked(), about["fields"], self.objective)
        queue = slurm.in_queue(directory.path / "slurm")
        self.rows = [_queued(row, queue[row.id]) if row.id in queue else row for row in rows]

    @functools.cached_property
    def groups(self) -> "list[Group]":
        """Finished trials that differ in their seed alone, the best mean first."""
        from googlenet_jax.sweep.statistics import make_groups  # scipy takes a second

        return make_groups(self.rows, self.objective)

    @functools.cached_property
    def verdict(self) -> "Verdict":
        """Which group is best."""
        from googlenet_jax.sweep.statistics import judge

        return judge(self.groups, self.rows, self.objective)

    @property
    def over(self) -> bool:
        """Whether nothing goes on."""
        return not self.driver and not any(row.state in (RUNNING, QUEUED) for row in self.rows)

    @property
    def ranked(self) -> list[Row]:
        """The rows, the best objective first, those without one last."""
        sign = -1.0 if self.objective.larger_is_better else 1.0
        return sorted(self.rows, key=lambda row: (row.objective is None, sign * (row.objective or 0.0)))

    def write(self) -> None:
        """Writes `results.csv` and `results.jsonl`."""
        write_results(self._directory.path, self.rows, self.objective)

    def write_pictures(self) -> None:
        """Writes `report.html` and `results.svg`."""
        from googlenet_jax.sweep.figure import write_figure
        from googlenet_jax.sweep.report import write_report
        from googlenet_jax.sweep.statistics import importance

        path, shares = self._directory.path, importance(self.rows)
        title = f"{path.absolute().name}: {self.recipe}"
        write_report(path, title, self.rows, self.groups, self.verdict, shares, self.objective, self.log_fields)
        write_figure(path, self.groups, self.rows, self.objective)

    def as_json(self) -> dict[str, Any]:
        """All of it, for programs."""
        return {
            "recipe": self.recipe,
            "objective": str(self.objective),
            "driver": self.driver,
            "trials": [row.flat(self.objective) for row in self.rows],
            "groups": [group._asdict() for group in self.groups],
            "verdict": self.verdict.text,
            "winner": self.verdict.winner.fields if self.verdict.winner else None,
        }


def _queued(row: Row, state: str) -> Row:
    """A row whose trial is in Slurm's queue."""
    return row if row.state == FINISHED else row._replace(state=RUNNING if state == "RUNNING" else QUEUED, error="")


def estimate(directory: SweepDirectory, definition: Definition, known: Sequence[Trial], count: int, jobs: int) -> str:
    """How long a sweep may take, in words, from what its trials took so far.

    Args:
      directory: of the sweep.
      definition: what it asks.
      known: trials that are known.
      count: of all trials.
      jobs: trainings at a time.
    """
    rows = read_rows(
        directory, [t.id for t in known if directory.job(t.id, 1).config.exists()], [], definition.objective
    )
    measured = [row.seconds / row.epochs for row in rows if row.epochs and row.seconds]
    whole, epochs = definition.base.num_epochs, 0.0
    if not definition.eta:
        epochs = sum(trial.num_epochs for trial in known) + (count - len(known)) * whole
    else:
        for at, before in zip(definition.rungs, (0.0, *definition.rungs), strict=False):
            epochs += count * (at - before)
            count = max(int(count / definition.eta), 1)
    epochs = max(epochs - sum(row.epochs for row in rows), 0.0)
    if not measured:
        return f"{epochs:g} epochs to train; how long one takes is known after the first trial"
    hours = epochs * sorted(measured)[len(measured) // 2] / jobs / 3600
    return f"{epochs:g} epochs to train, about {hours:.1f} h" if hours >= 1 else f"about {60 * hours:.0f} min to go"
