"""`results.svg` of a sweep: its groups as a figure that a text can take in."""

import statistics
from collections.abc import Sequence
from pathlib import Path

from googlenet_jax.sweep.definition import Objective
from googlenet_jax.sweep.results import Row
from googlenet_jax.sweep.statistics import Group
from googlenet_jax.sweep.trials import describe
from googlenet_jax.system.drawing import Drawing, round_numbers
from googlenet_jax.system.files import replace_file

_MOST = 20  # groups, the best
_LETTERS = 57  # of a group's name
_ROW, _LEFT, _WIDTH, _TOP = 28, 370, 800, 34  # pixels


def write_figure(path: Path, groups: Sequence[Group], rows: Sequence[Row], objective: Objective) -> None:
    """Writes `results.svg` into the sweep's directory: mean and 95 % interval of each group, a dot a trial.

    Args:
      path: the sweep's directory.
      groups: from `make_groups`; the best 20 are drawn.
      rows: of the sweep.
      objective: what they are compared by.
    """
    values = {row.id: row.objective for row in rows if row.objective is not None}
    shown = groups[:_MOST]
    ends = [
        end for g in shown for end in (*(values[id] for id in g.ids), g.mean - (g.half or 0), g.mean + (g.half or 0))
    ]
    low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
    low, high = (low - 0.05 * (high - low), high + 0.05 * (high - low)) if high > low else (low - 0.5, high + 0.5)

    def x(value: float) -> float:
        return _LEFT + (value - low) / (high - low) * (_WIDTH - _LEFT - 20)

    height = _TOP + _ROW * max(len(shown), 1) + 34
    bottom = height - 28
    drawing = Drawing(_WIDTH, height)
    drawing.words(_LEFT, 16, f"{objective}: mean, 95 % interval, a dot a trial")
    for at in round_numbers(low, high):
        drawing.line([(x(at), _TOP), (x(at), bottom)], "#dddddd")
        drawing.words(x(at), bottom + 12, objective.shown(at), anchor="middle", colour="#555555")
    for number, group in enumerate(shown):
        y = _TOP + _ROW * (number + 0.5)
        drawing.words(_LEFT - 12, y, _label(group, groups), anchor="end")
        if group.half is not None:
            drawing.line([(x(group.mean - group.half), y), (x(group.mean + group.half), y)])
        for id in group.ids:
            drawing.dot(x(values[id]), y, 3, "#66aad1")
        drawing.dot(x(group.mean), y, 5, "#000000")
    replace_file(path / "results.svg", drawing.svg())


def _label(group: Group, groups: Sequence[Group]) -> str:
    """A group's name; of many fields those whose values are not what most groups have."""
    if len(group.name) <= _LETTERS:
        return group.name
    values = {name: [repr(other.fields[name]) for other in groups] for name in group.fields}
    most = {name: statistics.mode(given) for name, given in values.items()}
    rare = {name: value for name, value in group.fields.items() if repr(value) != most[name]}
    label = describe(rare) if rare else "all as in most groups"
    return label if len(label) <= _LETTERS else f"{label[: _LETTERS - 3]}..."
