"""What a sweep asks: a recipe, what varies, and how it is judged."""

import dataclasses
import functools
import hashlib
import itertools
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import ml_collections

from googlenet_jax.config.choices import SEARCHES, nearest
from googlenet_jax.errors import UserError
from googlenet_jax.sweep.scheduler import rungs_of
from googlenet_jax.sweep.search import Known
from googlenet_jax.sweep.space import Overrides, Space, read_space
from googlenet_jax.sweep.trials import Trial, hash_of, make_trial

_MEASURES = ("loss", "top1", "top5")
_MOST_POINTS = 100_000  # of ranges whose points are counted out, one after the other
_TRIES = 100  # drawn points that were there already, after which another way to draw is taken


class Objective(NamedTuple):
    """What trials are compared by.

    Attributes:
      split, name: of a measured value in `metrics.jsonl`.
    """

    split: str
    name: str

    @property
    def larger_is_better(self) -> bool:
        """Whether a larger value is a better one."""
        return self.name != "loss"

    def shown(self, value: float) -> str:
        """A value of it as a person reads it: a share as a percentage."""
        return f"{value:.4f}" if self.name == "loss" else f"{value:.2%}"

    def __str__(self) -> str:
        return f"{self.split}.{self.name}"


def read_objective(text: str) -> Objective:
    """The objective that a text names, such as val.top1; raises `UserError` if there is none."""
    known = [f"{split}.{name}" for split in ("val", "train") for name in _MEASURES]
    if text not in known:
        raise UserError(f"--objective {text!r} is not known: {nearest(text, known)}")
    split, _, name = text.partition(".")
    return Objective(split, name)


def read_pruning(text: str | None) -> float:
    """Of `asha` or `asha:ETA` the factor, 3 where it is not said; 0 for None: no pruning."""
    if text is None:
        return 0.0
    name, _, factor = text.partition(":")
    try:
        eta = float(factor or 3)
    except ValueError:
        eta = 0.0
    if name != "asha" or not 1 < eta < float("inf"):
        raise UserError(f"--prune {text!r} is not known: asha, or asha:ETA with a number above 1, is")
    return eta


@dataclasses.dataclass(frozen=True)
class Definition:
    """What a sweep asks.

    Attributes:
      recipe: its file and argument, as the command line has them.
      base: the recipe's configuration with the command line's overrides.
      space: what varies.
      trials: points of the search; 0 without one.
      search: a row of `SEARCHES`.
      objective: what trials are compared by.
      eta: of pruning; 0: none.
      retries: further attempts at a trial that crashed or failed.
    """

    recipe: str
    base: ml_collections.ConfigDict
    space: Space
    trials: int = 0
    search: str = "random"
    objective: Objective = Objective("val", "top1")
    eta: float = 0.0
    retries: int = 1

    def check(self) -> None:
        """Raises `UserError` if its parts do not go together."""
        if self.space.ranges and not self.trials:
            raise UserError(f"{next(iter(self.space.ranges))} has a range: say how many points to draw by --trials N")
        if self.trials and not self.space.ranges:
            raise UserError("--trials counts points of a search, and no field has a range such as log(1e-3,1)")
        if self.search != "random" and not self.trials:
            raise UserError(f"--search {self.search} draws points of ranges, and no field has one such as log(1e-3,1)")
        uneven = {"num_epochs", "eval.every_epochs"} & set(self.space.fields)
        if self.eta and uneven:
            raise UserError(f"--prune compares trials at the same epochs: {min(uneven)} cannot be swept with it")
        if self.search != "random" and "num_epochs" in set(self.space.fields) - set(self.space.ranges):
            raise UserError(f"--search {self.search} compares points by all their trials: num_epochs cannot be a list")
        if self.eta and len(self.rungs) == 1:
            raise UserError("--prune has nothing to compare before the end: let config.eval.every_epochs be smaller")
        _ = self.combinations if self.trials else self.listed  # which checks their configurations, and the search

    @property
    def learns(self) -> bool:
        """Whether what is trained next depends on what was learnt."""
        return bool(self.eta or (self.trials and self.search != "random"))

    @property
    def rungs(self) -> tuple[float, ...]:
        """The epochs at which trials are compared, the last their end; without pruning (inf,)."""
        if not self.eta:
            return (float("inf"),)
        return rungs_of(self.base.num_epochs, self.base.eval.every_epochs, self.eta)

    @functools.cached_property
    def key(self) -> str:
        """Hash of what decides which trials there are."""
        asked = (self.search, sorted(self.space.ranges.items()), self.space.combinations, str(self.objective))
        about = repr((asked, hash_of(self.base)))
        return hashlib.sha256(about.encode()).hexdigest()[:10]

    @functools.cached_property
    def listed(self) -> list[Trial]:
        """The trials of a sweep without a search: every combination, equal ones once."""
        trials = (make_trial(self.base, overrides) for overrides in self.space.combinations)
        return list({trial.id: trial for trial in trials}.values())

    def drawn(self, stored: Sequence[dict[str, Any]]) -> list[Trial]:
        """The trials of a search that were drawn already, up to as many points as are asked for.

        Args:
          stored: the lines of `trials.jsonl`.
        """
        points: dict[int, Overrides] = {}
        for line in stored:
            if line.get("key") == self.key and line["point"] is not None and line["point"] < self.trials:
                drawn = {name: line["overrides"][name] for name in self.space.ranges}
                points.setdefault(line["point"], {k: tuple(v) if isinstance(v, list) else v for k, v in drawn.items()})
        return [trial for number in sorted(points) for trial in self.point(number, points[number])]

    def point(self, number: int, overrides: Overrides) -> list[Trial]:
        """The trials of a point of the search: one a combination of the lists."""
        trials = (make_trial(self.base, rest | overrides, number) for rest in self.space.combinations)
        return list({trial.id: trial for trial in trials}.values())

    @functools.cached_property
    def combinations(self) -> int:
        """Trials of a point of the search: combinations of the lists that differ."""
        return len(self.draw(0, (), set()))

    def draw(self, number: int, known: Sequence[Known], taken: set[str]) -> list[Trial]:
        """The trials of the next point; [] if the ranges hold no other.

        A search that keeps to where it was gives way to points at random, and these, of ranges that hold a limited
        number, to the first that was not there.

        Args:
          number: of the point.
          known: of earlier points.
          taken: ids of trials that there are.
        """
        refused: UserError | None = None
        for overrides in self._candidates(number, known):
            try:
                trials = self.point(number, overrides)
            except UserError as error:  # fields that do not go together there
                refused = error
                continue
            if not any(trial.id in taken for trial in trials):
                return trials
        if refused is not None and (not taken or self._every_point is None):
            raise refused
        return []

    def _candidates(self, number: int, known: Sequence[Known]) -> Iterator[Overrides]:
        ranges, larger = self.space.ranges, self.objective.larger_is_better
        for search in dict.fromkeys((self.search, "random")):
            draw = SEARCHES[search].load()
            for again in range(_TRIES):
                yield draw(ranges, number + again * 1_000_003, known, larger)
        yield from self._every_point or ()

    @property
    def _every_point(self) -> Iterator[Overrides] | None:
        """All points of the ranges; None if there are more than anyone would train."""
        values = [found for span in self.space.ranges.values() if (found := span.values) is not None]
        if len(values) < len(self.space.ranges) or math.prod(map(len, values)) > _MOST_POINTS:
            return None
        return (dict(zip(self.space.ranges, point, strict=True)) for point in itertools.product(*values))

    def to_json(self) -> str:
        """For `sweep.json`."""
        about: dict[str, Any] = {
            "recipe": self.recipe,
            "key": self.key,
            "fields": self.space.fields,
            "combinations": len(self.space.combinations),
            "ranges": {name: span._asdict() for name, span in self.space.ranges.items()},
            "trials": self.trials,
            "search": self.search if self.trials else None,
            "objective": str(self.objective),
            "rungs": list(self.rungs) if self.eta else [],
        }
        return json.dumps(about, indent=1) + "\n"


def make_definition(
    recipe: str,
    base: ml_collections.ConfigDict,
    sweep: Sequence[str],
    trials: int | None,
    search: str | None,
    objective: str | None,
    prune: str | None,
    retries: int | None,
) -> Definition:
    """The definition that a command line gives; None is what was not given.

    Raises:
      UserError: for what does not exist, or does not go together; every listed trial's configuration is checked.
    """
    definition = Definition(
        recipe=recipe,
        base=base,
        space=read_space(sweep),
        trials=trials or 0,
        search=search or "random",
        objective=read_objective(objective or "val.top1"),
        eta=read_pruning(prune),
        retries=1 if retries is None else retries,
    )
    definition.check()
    return definition
