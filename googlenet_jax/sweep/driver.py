"""The driver of a sweep: hands trials to an executor and takes note of what becomes of them, until all is known."""

import logging
import math
import signal
from collections import Counter
from collections.abc import Callable

from googlenet_jax.runs.progress import Progress, read_progress
from googlenet_jax.sweep.attempts import DONE, SAVED, WORTH_A_RETRY, Outcome
from googlenet_jax.sweep.definition import Definition
from googlenet_jax.sweep.directory import SweepDirectory
from googlenet_jax.sweep.executors.base import Executor, Job
from googlenet_jax.sweep.scheduler import Scheduler, Task
from googlenet_jax.sweep.search import Known
from googlenet_jax.sweep.trials import Trial, describe
from googlenet_jax.system.signals import NotedSignals

log = logging.getLogger(__name__)
FINISHED, STOPPED, LEFT = "finished", "stopped", "left"


class Driver:
    """Drives a sweep to its end.

    Args:
      definition: what is asked.
      directory: of the sweep, which this process has taken.
      executor: where trainings run.

    Attributes:
      trials: asked for, as far as they are known; those of a search appear one by one.
      best: the best trial so far, in words.
      forgotten: ids of trials in the directory that are no longer asked for.
    """

    def __init__(self, definition: Definition, directory: SweepDirectory, executor: Executor):
        self._definition, self._directory, self._executor = definition, directory, executor
        self.trials: list[Trial] = []
        self._numbers: dict[str, int] = {}
        self._points: list[list[int]] = []  # trials of each point of a search
        self._values: dict[int, dict[float, float]] = {}  # of a search's trials, by epoch
        self._failures: Counter[int] = Counter()
        self._steps: dict[int, int] = {}  # that a trial had when it was stopped
        self._exhausted = not definition.trials
        self.best, self._best = "", -math.inf
        self._retries = 0 if executor.lasting else definition.retries
        self._gather()

    @property
    def progress(self) -> tuple[int, int]:
        """How often a trial reached a rung, or its end: so far, and in all."""
        return self._scheduler.settled, self._scheduler.expected

    @property
    def running(self) -> int:
        """Trainings under way."""
        return self._executor.running()

    def _gather(self) -> None:
        """Makes the trials that there are: all of a list, and those of a search that were drawn already."""
        definition, stored = self._definition, self._directory.trials()
        self._stored = {line["id"] for line in stored if line.get("key") == definition.key}
        if definition.trials:
            trials = definition.drawn(stored)
            expected = definition.combinations * definition.trials
        else:
            trials = definition.listed
            expected = len(trials)
        larger = definition.objective.larger_is_better
        self._scheduler = Scheduler(definition.rungs, definition.eta or 1.0, expected, larger)
        self._add(trials)
        self.forgotten = sorted({line["id"] for line in stored} - set(self._numbers))
        self._scheduler.restore(self._earlier)

    def _add(self, trials: list[Trial]) -> None:
        new = [trial for trial in trials if trial.id not in self._stored]
        for trial in trials:  # before they are known, since who looks on reads the configurations of those that are
            self._directory.write_config(trial, self._definition)
        self._directory.add(new, self._definition)
        for trial in trials:
            number = len(self.trials)
            self.trials.append(trial)
            self._numbers[trial.id] = number
            if trial.point is not None:
                while len(self._points) <= trial.point:
                    self._points.append([])
                self._points[trial.point].append(number)
            self._scheduler.add(number)

    def _earlier(self, number: int, epoch: float) -> float | None:
        """What earlier drivers learnt of a trial at an epoch: NaN if it has no value and never will."""
        job = self._job(Task(number, epoch))
        progress = read_progress(job.workdir)
        final = job.attempts.final() is not None
        if progress.reached(job.until) and not (final and job.attempts.asked() <= job.until):
            value = self._value(number, job.until, progress)
            self._note(number, value)
            return value
        return math.nan if final else None

    def _note(self, number: int, value: float) -> None:
        sign = 1 if self._definition.objective.larger_is_better else -1
        if not math.isnan(value) and sign * value > self._best:
            self._best, name = sign * value, describe(self.trials[number].overrides)
            objective = self._definition.objective
            self.best = f"best {objective} {objective.shown(value)} ({name})"

    def _value(self, number: int, until: float, progress: Progress) -> float:
        """The objective at an epoch; NaN if there is none."""
        objective = self._definition.objective
        value = progress.last(*objective, until)
        if self.trials[number].point is not None and not math.isnan(value):
            self._values.setdefault(number, {})[until] = value
        return value

    def _job(self, task: Task) -> Job:
        trial = self.trials[task.trial]
        return self._directory.job(trial.id, min(task.until, trial.num_epochs))

    def run(self, told: Callable[[], None] = lambda: None) -> str:
        """Runs the sweep; a signal stops it, with every training saved that does not go on without this process.

        Args:
          told: called after each event, and a few times a second.

        Returns:
          FINISHED, STOPPED by a signal, or LEFT to an executor that needs no driver.

        Raises:
          UserError: if the executor refuses.
        """
        with NotedSignals(signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1) as stop:
            try:
                return self._run(stop, told)
            except BaseException:
                self._executor.stop()
                raise

    def _run(self, stop: NotedSignals, told: Callable[[], None]) -> str:
        self._adopt()
        stopping = False
        while True:
            if stop.received and not stopping:
                stopping = True
                if not self._executor.lasting:
                    log.info("%s: %d trials are told to save and stop", stop.received, self._executor.running())
                self._executor.stop()
            if not stopping:
                self._start()
            if not self._executor.running():
                return STOPPED if stopping else FINISHED
            if self._executor.lasting and not self._definition.learns:
                return LEFT
            for job, outcome in self._executor.wait():
                self._ended(job, outcome, stopping)
            told()

    def _adopt(self) -> None:
        """Trainings that an earlier driver started are waited for."""
        tasks = []
        while (task := self._scheduler.next()) is not None:
            tasks.append(task)
        adopted = {job.id for job in self._executor.adopt([self._job(task) for task in tasks])}
        for task in tasks:
            if self.trials[task.trial].id not in adopted:
                self._scheduler.again(task.trial)

    def _start(self) -> None:
        jobs: list[Job] = []
        free = self._executor.free()
        while len(jobs) < free and (task := self._next()) is not None:
            jobs.append(self._job(task))
        if jobs:
            self._executor.start(jobs)

    def _next(self) -> Task | None:
        """What is to be trained next; a search draws a point when nothing else is ready."""
        while True:
            task = self._scheduler.next()
            if task is None and not self._exhausted:
                self._draw()
                task = self._scheduler.next()
            if task is None or (value := self._earlier(*task)) is None:
                return task
            self._scheduler.arrived(task.trial, value)  # another sweep of this directory trained it that far

    def _draw(self) -> None:
        definition = self._definition
        missing = (
            number for number in range(definition.trials) if number >= len(self._points) or not self._points[number]
        )
        number, trials = next(missing, definition.trials), []
        if number < definition.trials:
            known = [self._known(point) for point in self._points if point]
            trials = definition.draw(number, known, set(self._numbers))
            if not trials:
                log.warning("the ranges hold no more points than the %d that there are", number)
        if trials:
            self._add(trials)
            return
        self._exhausted = True
        there = sum(bool(point) for point in self._points)
        for _ in range((definition.trials - there) * definition.combinations):
            self._scheduler.fewer()

    def _known(self, point: list[int]) -> Known:
        """A point as the search knows it: the mean of its trials, where all have a value."""
        overrides = {name: self.trials[point[0]].overrides[name] for name in self._definition.space.ranges}
        found = [self._values.get(number, {}) for number in point]
        epochs = set.intersection(*(set(values) for values in found))
        values = {epoch: sum(v[epoch] for v in found) / len(found) for epoch in epochs}
        return Known(overrides, values, self.trials[point[0]].num_epochs in values)

    def _ended(self, job: Job, outcome: Outcome, stopping: bool) -> None:
        number = self._numbers[job.id]
        what = f"{job.id} ({describe(self.trials[number].overrides)})"
        progress = read_progress(job.workdir)
        if outcome.kind == DONE and not progress.reached(job.until):  # an earlier driver asked it for less
            self._scheduler.again(number)
        elif outcome.kind == DONE:
            value = self._value(number, job.until, progress)
            objective = self._definition.objective
            log.info("%s: %s %s at epoch %g", what, objective, objective.shown(value), job.until)
            self._scheduler.arrived(number, value)
            self._note(number, value)
        elif stopping:
            log.info("%s: %s", what, "saved, to go on later" if outcome.kind == SAVED else outcome.error)
        elif outcome.kind == SAVED and self._advanced(number, progress.step):
            log.info("%s: stopped by someone else, goes on", what)
            self._scheduler.again(number)
        elif outcome.kind in (SAVED, *WORTH_A_RETRY) and self._failures[number] < self._retries:
            self._failures[number] += 1
            log.warning("%s: %s; tried again", what, outcome.error or "stopped")
            self._scheduler.again(number)
        else:
            log.warning("%s %s: %s; see %s", what, outcome.kind, outcome.brief or "without an error", job.attempts.log)
            self._scheduler.arrived(number, None)

    def _advanced(self, number: int, step: int) -> bool:
        """Whether a trial that someone stopped got further than the last time."""
        before, self._steps[number] = self._steps.get(number, -1), step
        return step > before
