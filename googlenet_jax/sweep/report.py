"""`report.html` of a sweep: one file that holds its data, its drawing and nothing from anywhere else."""

import math
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from googlenet_jax.sweep.definition import Objective
from googlenet_jax.sweep.results import STATES, Row
from googlenet_jax.sweep.statistics import Group, Verdict
from googlenet_jax.system.files import replace_file
from googlenet_jax.system.pages import build_page

_SCRIPTS = ("report.js", "report_tables.js", "report_filter.js", "report_plots.js", "report_parallel.js")
_MOST_POINTS = 40_000  # of all curves together: about half a megabyte
_FEWEST_POINTS = 16  # that a curve keeps even so
_LARGEST_INTEGER = (1 << 53) - 1  # that JavaScript tells from its neighbours
_DIGITS = 6  # of what was measured: more than a plot or table shows


def write_report(
    path: Path,
    title: str,
    rows: Sequence[Row],
    groups: Sequence[Group],
    verdict: Verdict,
    shares: dict[str, float],
    objective: Objective,
    log_fields: Collection[str] = (),
) -> None:
    """Writes `report.html` into the sweep's directory; a browser opens it from there without a network.

    Args:
      path: the sweep's directory.
      title: of the page.
      rows: one a trial.
      groups, verdict, shares: of the rows, from `make_groups`, `judge` and `importance`.
      objective: what trials are compared by.
      log_fields: that are searched on a logarithmic scale, and drawn on one.
    """
    data = _data(title, rows, groups, verdict, shares, objective, log_fields)
    replace_file(path / "report.html", build_page(__package__, "report", _SCRIPTS, ["img-src data:"], data).html)


def _data(
    title: str,
    rows: Sequence[Row],
    groups: Sequence[Group],
    verdict: Verdict,
    shares: dict[str, float],
    objective: Objective,
    log_fields: Collection[str],
) -> dict[str, Any]:
    """What the page knows, as JSON has it: no NaN, lists for tuples, and null where a trial has no value."""
    fields = list(dict.fromkeys(name for row in rows for name in row.fields))
    seedless = [name for name in fields if name != "seed"]
    states = Counter(row.state for row in rows)
    most = max(_FEWEST_POINTS, _MOST_POINTS // max(len(rows), 1))
    places = {tuple(group.ids): place for place, group in enumerate(groups)}
    winner = None if verdict.winner is None else places.get(tuple(verdict.winner.ids))
    return {
        "title": title,
        "objective": {"name": str(objective), "larger_is_better": objective.larger_is_better},
        "states": {state: states[state] for state in STATES if states[state]},
        "fields": fields,
        "log_fields": [name for name in fields if name in log_fields],
        "trials": [_trial(row, fields, most) for row in rows],
        "thinned": most if any(len(row.curve) > most for row in rows) else 0,
        "groups": [_group(group, seedless) for group in groups],
        "verdict": {
            "text": verdict.text,
            "winner": winner,
            "tied": [places[tuple(group.ids)] for group in verdict.tied if tuple(group.ids) in places],
        },
        "importance": [[name, _measured(share)] for name, share in shares.items()],
    }


def _trial(row: Row, fields: Sequence[str], most: int) -> dict[str, Any]:
    return {
        "id": row.id,
        "values": [_plain(row.fields.get(name)) for name in fields],
        "state": row.state,
        "epochs": _measured(row.epochs),
        "best_top1": _measured(row.best_top1),
        "last_top1": _measured(row.last_top1),
        "objective": _measured(row.objective),
        "images_per_second": _measured(row.images_per_second),
        "seconds": _measured(row.seconds),
        "attempts": row.attempts,
        "job": row.job,
        "error": row.error,
        "log": f"logs/{row.id}.log" if row.attempts else "",
        "curve": [[_measured(epoch), _measured(value)] for epoch, value in _thinned(row.curve, most)],
    }


def _group(group: Group, seedless: Sequence[str]) -> dict[str, Any]:
    return {
        "values": [_plain(group.fields.get(name)) for name in seedless],
        "n": group.n,
        "mean": _measured(group.mean),
        "sd": _measured(group.sd),
        "half": _measured(group.half),
        "ids": group.ids,
    }


def _plain(value: Any) -> Any:
    """A field's value; numbers that JSON does not know, or a browser would round, become text."""
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and abs(value) > _LARGEST_INTEGER:
        return str(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _measured(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(f"{value:.{_DIGITS}g}")


def _thinned(curve: Sequence[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """Points of a curve at even distances, its first and last among them."""
    if len(curve) <= most:
        return list(curve)
    return [curve[round(k * (len(curve) - 1) / (most - 1))] for k in range(most)]
