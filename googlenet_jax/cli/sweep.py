"""The `googlenet sweep` command, and what launch.py shows of a sweep."""

import argparse
import json
import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Group as Lines
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from googlenet_jax.cli import arguments
from googlenet_jax.errors import UserError, shown
from googlenet_jax.sweep.definition import Definition
from googlenet_jax.sweep.directory import SweepDirectory
from googlenet_jax.sweep.driver import Driver
from googlenet_jax.sweep.executors import slurm
from googlenet_jax.sweep.executors.local import stop_left_over
from googlenet_jax.sweep.standing import Standing, estimate
from googlenet_jax.sweep.trials import brief, describe, short_names
from googlenet_jax.system.console import console

_MOST_ROWS = 40
_REFRESH = 5.0  # seconds between looks of --watch


def add_command(commands: Any) -> None:
    """Adds it to the subparsers of the `googlenet` command."""
    parser = commands.add_parser(
        "sweep",
        parents=[arguments.debug(), arguments.as_json()],
        help="where a sweep stands: its trials, the best, failures; launch.py --sweep starts one",
    )
    parser.add_argument("directory", type=arguments.path, metavar="DIR", help="of the sweep (launch.py's --workdir)")
    parser.add_argument("--watch", action="store_true", help="look again every few seconds, until all have ended")
    parser.add_argument("--cancel", action="store_true", help="save and stop all its trainings, wherever they run")
    parser.set_defaults(run=_sweep)


def _sweep(flags: argparse.Namespace) -> int:
    directory = SweepDirectory(Path(flags.directory))
    if not directory.definition():
        raise UserError(
            f"{flags.directory} holds no sweep; launch.py --sweep ... --workdir {flags.directory} makes one"
        )
    if flags.cancel:
        _cancel(directory)
        return 0
    if flags.watch:
        _watch(directory)
    if flags.json:
        standing = Standing(directory)
        standing.write()
        standing.write_pictures()
        print(json.dumps(standing.as_json(), indent=1))
        return 0
    return 1 if show_results(directory) else 0


def show_results(directory: SweepDirectory) -> int:
    """Writes a sweep's results and prints them.

    Args:
      directory: of the sweep.

    Returns:
      How many trials failed.
    """
    standing = Standing(directory)
    standing.write()
    standing.write_pictures()
    console.print(_trials(standing))
    if len(standing.groups) > 1:
        console.print(_groups(standing))
    for line in _errors(standing):
        _say(line)
    _say(standing.verdict.text)
    if standing.driver:
        _say(f"{standing.driver} drives it")
    _say(f"results: {directory.path}/results.csv, and {directory.path}/report.html to look at")
    return len(_errors(standing))


def show_trials(definition: Definition, directory: SweepDirectory, jobs: int) -> None:
    """Prints the trials that a sweep would have, and how long it may take.

    Args:
      definition: of the sweep.
      directory: where it would be, or is.
      jobs: trainings at a time.
    """
    trials = definition.drawn(directory.trials()) if definition.trials else definition.listed
    for trial in trials:
        _say(f"{trial.id}  {describe(trial.overrides)}")
    count = len(trials)
    if definition.trials:
        count = definition.trials * len(definition.space.combinations)
        _say(f"{count - len(trials)} are yet to be drawn by {definition.search} search")
    if definition.eta:
        _say(f"compared at epochs {', '.join(f'{epoch:g}' for epoch in definition.rungs)}")
    _say(f"{count} trials in {directory.path}; {estimate(directory, definition, trials, count, jobs)}")


class SweepDisplay:
    """What a person sees of a sweep while it is driven: a progress bar, and the results' files kept up to date.

    Args:
      directory: of the sweep.
      driver: that drives it.
    """

    def __init__(self, directory: SweepDirectory, driver: Driver):
        self._directory, self._driver = directory, driver
        note = TextColumn("{task.fields[note]}", markup=False)
        columns = (TextColumn("sweep"), BarColumn(), MofNCompleteColumn(), note, TimeElapsedColumn())
        self._progress = Progress(*columns, console=console)
        self._task = self._progress.add_task("sweep", total=None, note="")
        self._written, self._took = time.monotonic(), 0.0

    def __enter__(self) -> "SweepDisplay":
        settled, expected = self._driver.progress
        before = f", of which {settled} were done before" if settled else ""
        _say(f"sweep in {self._directory.path}: {expected} trainings{before}")
        if forgotten := self._driver.forgotten:
            names = ", ".join(forgotten[:5]) + (" and others" if len(forgotten) > 5 else "")
            _say(f"{len(forgotten)} trials of earlier definitions are no longer asked for, and are kept: {names}")
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def update(self) -> None:
        """Something happened, or a moment passed."""
        driver, (settled, expected) = self._driver, self._driver.progress
        note = f"{driver.running} running  {driver.best}"
        self._progress.update(self._task, completed=settled, total=expected, note=note)
        if time.monotonic() - self._written > 10 + 20 * self._took:  # those of a large sweep take a while
            began = time.monotonic()
            Standing(self._directory).write()
            self._written, self._took = time.monotonic(), time.monotonic() - began


def _trials(standing: Standing) -> Table:
    """The trials in their order; where they are many, the best."""
    rows = standing.rows if len(standing.rows) <= _MOST_ROWS else standing.ranked[:_MOST_ROWS]
    counts = ", ".join(f"{n} {state}" for state, n in Counter(row.state for row in standing.rows).most_common())
    table = Table(title=f"{len(standing.rows)} trials: {counts}", title_justify="left", box=box.SIMPLE_HEAD)
    fields, jobs = list(rows[0].fields) if rows else [], any(row.job for row in rows)
    for name in ("trial", *short_names(fields).values(), "state", "epoch"):
        table.add_column(name, no_wrap=name in ("trial", "state", "seed"))
    for name in ("best", "last", "img/s", "time", "tries", *(["job"] if jobs else [])):
        table.add_column(name, justify="right", no_wrap=name == "job")
    for row in rows:
        speed = "" if row.images_per_second is None else f"{row.images_per_second:.0f}"
        top1 = ["" if value is None else f"{value:.2%}" for value in (row.best_top1, row.last_top1)]
        about = (f"{row.epochs:.3g}", *top1, speed, _duration(row.seconds), str(row.attempts))
        cells = (row.id, *map(brief, row.fields.values()), row.state, *about, *([row.job] if jobs else []))
        table.add_row(*map(escape, cells))
    if len(standing.rows) > len(rows):
        table.caption = f"the best of them; {len(standing.rows) - len(rows)} more are in results.csv"
    return table


def _groups(standing: Standing) -> Table:
    table = Table(
        "fields",
        str(standing.objective),
        "sd",
        "95 %",
        "n",
        title="over seeds",
        title_justify="left",
        box=box.SIMPLE_HEAD,
    )
    shown_as = standing.objective.shown
    for group in standing.groups[:_MOST_ROWS]:
        sd, half = ("" if value is None else shown_as(value) for value in (group.sd, group.half))
        table.add_row(escape(group.name), shown_as(group.mean), sd, half and f"± {half}", str(group.n))
    return table


def _errors(standing: Standing) -> list[str]:
    """One line a trial that has an error."""
    return [f"{r.id} ({describe(r.fields)}) {r.state}: {shown(r.error, 400)}" for r in standing.rows if r.error]


def _watch(directory: SweepDirectory) -> None:
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while not (standing := Standing(directory)).over:
            live.update(Lines(_trials(standing), *map(escape, _errors(standing))), refresh=True)
            time.sleep(_REFRESH)


def _cancel(directory: SweepDirectory) -> None:
    files, driver = directory.path / "slurm", directory.driver()
    jobs = slurm.cancel(files) if files.is_dir() else 0
    if jobs:
        _say(f"cancelled {jobs} jobs; the sweep's command submits them again")
    if driver:
        number, host = driver.split()[1], driver.split()[-1]
        if host != os.uname().nodename:
            raise UserError(f"{driver} drives this sweep: cancel it there")
        os.kill(int(number), signal.SIGTERM)
        _say(f"{driver} is told to save and stop; the sweep's command goes on from there")
    ever = dict.fromkeys(line["id"] for line in directory.trials())  # what is asked now may be other trials
    left = 0 if driver else stop_left_over([directory.job(id, 1.0) for id in ever])
    if left:
        _say(f"{left} trainings that an earlier driver left are told to save and stop")
    if not jobs and not driver and not left:
        _say("nothing of this sweep runs")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _say(text: str) -> None:
    console.print(text, soft_wrap=True, markup=False)
