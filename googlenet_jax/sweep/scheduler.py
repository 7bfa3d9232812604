"""Which trial is trained next, and how far: successive halving whose end does not depend on who was first.

Pruning follows ASHA (arXiv 1810.05934): trials stop at a rung, an epoch of their training, and the best 1/eta of them
go on to the next from where they stopped. ASHA takes the best of those that happen to be there; here a trial goes on
only when no result that is still to come can put it out of the best 1/eta of all. So the same sweep ends in the same
table whatever its workers' speed and however often it was interrupted. The price is that a worker may wait at a rung's
end.
"""

import bisect
import heapq
import math
from collections.abc import Callable
from typing import NamedTuple

_WORST = (1, math.inf)  # of a trial that has no value; (0, -value) of one that has


class Task(NamedTuple):
    """What is to be done next: train a trial, by its number, up to an epoch."""

    trial: int
    until: float


class Scheduler:
    """Hands out trials, and decides which go on.

    Args:
      rungs: ascending epochs at which trials are compared; the last is the end of the training.
      eta: of the trials at a rung the best 1/eta go on.
      expected: trials that there will be.
      larger_is_better: of the values that are compared.

    Attributes:
      expected: how often trials are trained up to a rung, in all.
      settled: how often a trial reached what it was trained up to, or never will.
    """

    def __init__(self, rungs: tuple[float, ...], eta: float, expected: int, larger_is_better: bool = True):
        self.rungs = rungs
        self._sign = -1.0 if larger_is_better else 1.0
        self._ready: list[list[int]] = [[] for _ in rungs]
        self._rungs = []
        self.settled = self.expected = 0
        for _ in rungs:
            keep = max(int(expected / eta), 1)
            self._rungs.append(_Rung(expected, keep))
            self.expected += expected
            expected = keep
        self._at: dict[int, int] = {}  # rung that a trial is trained up to

    def add(self, trial: int) -> None:
        """There is another trial: a number that counts up."""
        self._push(trial, 0)

    def next(self) -> Task | None:
        """The next thing to do; trials that are ahead first, then in their order. None: nothing, as yet."""
        for rung in range(len(self.rungs) - 1, -1, -1):
            if self._ready[rung]:
                return Task(heapq.heappop(self._ready[rung]), self.rungs[rung])
        return None

    def again(self, trial: int) -> None:
        """A trial was interrupted, and is to be trained up to the same epoch."""
        self._push(trial, self._at[trial])

    def arrived(self, trial: int, value: float | None) -> None:
        """A trial reached the epoch that it was to be trained up to, with this value; None: it never will."""
        rung = self._at[trial]
        self.settled += 1
        rank = _WORST if value is None or math.isnan(value) else (0, self._sign * value)
        self._decide(rung, (*rank, trial))

    def fewer(self) -> None:
        """There will be one trial less than was expected."""
        self.settled += 1
        self._decide(0, (*_WORST, -1))

    def restore(self, value: Callable[[int, float], float | None]) -> None:
        """Takes note of what was reached earlier, after every trial was added.

        Args:
          value: of a trial's number at an epoch: NaN if it has none there and never will, None if it is still to come.
        """
        for rung, epoch in enumerate(self.rungs):
            waiting, self._ready[rung] = self._ready[rung], []
            for trial in sorted(waiting):
                found = value(trial, epoch)
                if found is None:
                    self._push(trial, rung)
                else:
                    self.arrived(trial, found)

    def _push(self, trial: int, rung: int) -> None:
        self._at[trial] = rung
        heapq.heappush(self._ready[rung], trial)

    def _decide(self, rung: int, arrival: tuple[float, float, int]) -> None:
        """Someone arrived at a rung: who is sure of a place goes on; one that has no value leaves the place empty."""
        if rung + 1 == len(self.rungs):
            return
        sure = self._rungs[rung].arrive(arrival)
        if sure is None:
            return
        if sure[0]:
            self.settled += 1
            self._decide(rung + 1, (*_WORST, -1))
        else:
            self._push(sure[2], rung + 1)


class _Rung:
    """Trials at one epoch; of all that will arrive, a number goes on."""

    def __init__(self, expected: int, keep: int):
        self._outstanding, self._keep = expected, keep
        self._arrivals: list[tuple[float, float, int]] = []

    def arrive(self, arrival: tuple[float, float, int]) -> tuple[float, float, int] | None:
        """Takes note of an arrival; returns the one that is sure of its place now, if one more is.

        Those that are still to come may all be better, so `keep` less their number are sure. That grows by one an
        arrival, and who was sure stays so.
        """
        at = bisect.bisect(self._arrivals, arrival)
        self._arrivals.insert(at, arrival)
        self._outstanding -= 1
        sure = self._keep - self._outstanding
        if sure <= 0:
            return None
        return arrival if at < sure else self._arrivals[sure - 1]


def rungs_of(num_epochs: float, every: float, eta: float) -> tuple[float, ...]:
    """The epochs to compare at: num_epochs / eta, / eta^2, ... down to the first evaluation, at evaluations.

    Args:
      num_epochs: of a training.
      every: epochs between evaluations; 0: at the end alone.
      eta: factor between rungs.

    Returns:
      Ascending, the last `num_epochs`.
    """
    found, epoch = {num_epochs}, num_epochs / eta
    while every > 0 and epoch > every / eta:
        at = math.ceil(epoch / every - 1e-9) * every
        if at < num_epochs:
            found.add(at)
        epoch /= eta
    return tuple(sorted(found))
