"""What the trials of a sweep say: groups over seeds, with n and spread, and whether one of them is better."""

import math
import statistics
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

from scipy import stats

from googlenet_jax.evaluate.significance import SIGNIFICANT, holm
from googlenet_jax.sweep.definition import Objective
from googlenet_jax.sweep.results import FINISHED, Row
from googlenet_jax.sweep.trials import describe


class Group(NamedTuple):
    """Finished trials that differ in their seed alone.

    Attributes:
      fields: their values of the fields that vary, without the seed.
      n: how many they are.
      mean, sd: of the objective's last value; sd is that of a sample, None for n = 1.
      half: half the width of the mean's 95 % confidence interval, by Student's t; None for n = 1.
      ids: of the trials.
    """

    fields: dict[str, Any]
    n: int
    mean: float
    sd: float | None
    half: float | None
    ids: list[str]

    @property
    def name(self) -> str:
        """Its fields in one line."""
        return describe(self.fields)


class Verdict(NamedTuple):
    """Which group is best.

    Attributes:
      text: one sentence.
      winner: the group that is better than every other, if one is.
      tied: the best group and those that are not surely worse.
    """

    text: str
    winner: Group | None
    tied: list[Group]


def make_groups(rows: Sequence[Row], objective: Objective) -> list[Group]:
    """The groups of finished trials, the best mean first.

    Args:
      rows: of the sweep.
      objective: what they are compared by.
    """
    values: dict[str, list[Row]] = {}
    for row in rows:
        if row.state == FINISHED and row.objective is not None:
            values.setdefault(repr(_without_seed(row)), []).append(row)
    groups = [_group(members) for members in values.values()]
    return sorted(groups, key=lambda group: -group.mean if objective.larger_is_better else group.mean)


def _without_seed(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.fields.items() if name != "seed"}


def _group(rows: Sequence[Row]) -> Group:
    values = [row.objective for row in rows if row.objective is not None]
    n, sd = len(values), statistics.stdev(values) if len(values) > 1 else None
    half = None if sd is None else float(stats.t.ppf(0.975, n - 1)) * sd / math.sqrt(n)
    return Group(_without_seed(rows[0]), n, statistics.fmean(values), sd, half, [row.id for row in rows])


def judge(groups: Sequence[Group], rows: Sequence[Row], objective: Objective) -> Verdict:
    """Whether the best group is better than the others, by Welch's t-test with Holm's correction.

    Args:
      groups: from `make_groups`.
      rows: of the sweep.
      objective: what they are compared by.

    Returns:
      The verdict. A group wins if it separates from each of the others at 5 %, all comparisons taken together.
    """
    if not groups:
        finished = any(row.state == FINISHED for row in rows)
        return Verdict(f"no finished trial has a {objective}" if finished else "no trial has finished yet", None, [])

    def said(group: Group) -> str:
        half = "" if group.half is None else f" ± {objective.shown(group.half)}"
        return f"{group.name}: {objective.shown(group.mean)}{half}, n = {group.n}"

    best, others = groups[0], groups[1:]
    if not others:
        return Verdict(said(best), None, [best])
    if best.n < 2 or any(group.n < 2 for group in others):
        least = min(groups, key=lambda group: group.n)
        text = f"best so far: {said(best)}; {least.name} was trained once: more seeds would tell"
        return Verdict(text, None, list(groups))
    values = {row.id: row.objective for row in rows}
    samples = [[values[id] for id in group.ids] for group in groups]
    corrected = holm([_welch(samples[0], sample) for sample in samples[1:]])
    tied = [best, *(other for other, p in zip(others, corrected, strict=True) if not p < SIGNIFICANT)]
    if len(tied) == 1:
        return Verdict(f"best: {said(best)} (Welch's test, Holm: p < {SIGNIFICANT:g} against each other)", best, tied)
    names = "; ".join(said(group) for group in tied[:4])
    more = f" and {len(tied) - 4} more" if len(tied) > 4 else ""
    return Verdict(f"tied within noise: {names}{more}", None, tied)


def _welch(one: Sequence[Any], other: Sequence[Any]) -> float:
    if len(set(one)) == len(set(other)) == 1:  # no spread, of which the test would make 0 / 0: by permutations
        return 1.0 if one[0] == other[0] else 2 / math.comb(len(one) + len(other), len(one))
    with warnings.catch_warnings():  # of a group without spread, which the test can do
        warnings.simplefilter("ignore", RuntimeWarning)
        return float(stats.ttest_ind(one, other, equal_var=False).pvalue)


def importance(rows: Sequence[Row]) -> dict[str, float]:
    """How much each field decides the objective: permutation importance in a random forest, 0..1, summing to 1.

    Args:
      rows: of the sweep; those with a value are used, wherever they ended.

    Returns:
      By field, the largest first; {} where fewer than 8 trials or two fields vary, or none decides anything.
    """
    used = [row for row in rows if row.objective is not None]
    names = [name for name in (used[0].fields if used else {}) if len({repr(r.fields[name]) for r in used}) > 1]
    if len(used) < 8 or len(names) < 2:
        return {}
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    columns = [[_number(row.fields[name], [r.fields[name] for r in used]) for name in names] for row in used]
    targets = [row.objective for row in used]
    forest = RandomForestRegressor(200, random_state=0).fit(columns, targets)
    found = permutation_importance(forest, columns, targets, n_repeats=10, random_state=0).importances_mean
    total = sum(max(value, 0.0) for value in found)
    if not total:
        return {}
    shares = {name: max(float(value), 0.0) / total for name, value in zip(names, found, strict=True)}
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _number(value: Any, all_values: list[Any]) -> float:
    """A field's value as a number: itself, or its place among those that are none, which lie below all numbers."""
    if isinstance(value, int | float):
        return float(value)
    others = sorted({repr(v) for v in all_values if not isinstance(v, int | float)})
    least = min((v for v in all_values if isinstance(v, int | float)), default=0.0)
    return float(least) - 1.0 - others.index(repr(value))
