"""Searches: where in its ranges a sweep's next point lies, as functions of what is known."""

import random
from collections.abc import Sequence
from typing import Any, NamedTuple

from googlenet_jax.errors import UserError
from googlenet_jax.sweep.space import Overrides, Range

_DIGITS = 4  # of a drawn number: as many as anyone would write into a recipe


class Known(NamedTuple):
    """What is known of an earlier point.

    Attributes:
      point: its value in each range, by field.
      values: the objective by epoch; {} as long as none is known.
      whole: whether the last of them is of the training's end.
    """

    point: Overrides
    values: dict[float, float]
    whole: bool


def draw(ranges: dict[str, Range], number: int, known: Sequence[Known], larger_is_better: bool) -> Overrides:
    """A point drawn at random; that of a number is the same whatever else is known.

    Args:
      ranges: by field.
      number: of the point, from 0.
      known: of earlier points.
      larger_is_better: of the objective.

    Returns:
      A value a field.
    """
    drawn = random.Random(f"point {number}")
    return {name: _rounded(span, span.at(drawn.random())) for name, span in ranges.items()}


def parzen(ranges: dict[str, Range], number: int, known: Sequence[Known], larger_is_better: bool) -> Overrides:
    """The point of Optuna's tree-structured Parzen estimator (Bergstra et al., 2011), as `draw`.

    The study is made here of what is known, in memory: there is no storage that several processes could share, lock or
    damage. Points under way count as bad ones (constant liar), so that several workers spread out.
    """
    try:
        import optuna
    except ImportError:
        raise UserError("--search tpe needs optuna: pip install 'googlenet-jax[sweep]'") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    spans = {name: _distribution(optuna.distributions, span) for name, span in ranges.items()}
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=number, constant_liar=True),
        direction="maximize" if larger_is_better else "minimize",
    )
    for point, values, whole in known:
        states = optuna.trial.TrialState
        study.add_trial(
            optuna.trial.create_trial(
                params={name: _encoded(span, point[name]) for name, span in ranges.items()},
                distributions=spans,
                intermediate_values={round(1000 * epoch): value for epoch, value in values.items()},
                value=values[max(values)] if values else None,
                state=states.COMPLETE if whole else states.PRUNED if values else states.RUNNING,
            )
        )
    asked = study.ask(spans).params
    return {
        name: span.choices[asked[name]] if span.kind == "choice" else _rounded(span, asked[name])
        for name, span in ranges.items()
    }


def _distribution(kinds: Any, span: Range) -> Any:
    if span.kind == "choice":
        return kinds.CategoricalDistribution(range(len(span.choices)))
    if span.kind == "int":
        return kinds.IntDistribution(int(span.low), int(span.high))
    return kinds.FloatDistribution(span.low, span.high, log=span.kind == "log")


def _encoded(span: Range, value: Any) -> Any:
    return span.choices.index(value) if span.kind == "choice" else value


def _rounded(span: Range, value: Any) -> Any:
    if span.kind not in ("log", "uniform"):
        return value
    return min(max(float(f"{value:.{_DIGITS}g}"), span.low), span.high)
