"""Ten thousand trials by the driver: real decisions, a fake clock, directories in memory."""

import logging
import random
import resource
import time
from pathlib import Path
from unittest import mock

from sweep.fake_executor import LOST, FakeExecutor
from sweep.test_driver import define, quality

from googlenet_jax.runs.progress import Progress
from googlenet_jax.sweep.driver import FINISHED, Driver
from googlenet_jax.sweep.executors.base import Job
from googlenet_jax.sweep.trials import Trial


def test_ten_thousand_trials_on_five_hundred_workers(monkeypatch, caplog):
    """None is lost, none runs twice, and an event costs as much at the end as at the beginning."""
    caplog.set_level(logging.CRITICAL, "googlenet_jax")  # pytest would keep every line, as no driver does
    reached: dict[str, float] = {}  # by trial: the run directories, in memory
    monkeypatch.setattr(
        "googlenet_jax.sweep.definition.make_trial", lambda base, over: Trial(str(over["seed"]), over, 9.0)
    )
    for module in ("googlenet_jax.sweep.driver", "sweep.fake_executor"):
        monkeypatch.setattr(f"{module}.read_progress", lambda run: _progress(run.name, reached))
    monkeypatch.setattr("sweep.fake_executor.leave", lambda run, epoch, top1: reached.update({run.name: epoch}))
    definition = define("seed=0..9999", prune="asha", retries=5)
    rng = random.Random(0)
    executor = FakeExecutor(500, quality, lambda id, attempt, until: LOST if rng.random() < 0.05 else None)
    marks = []
    executor.on_event = lambda: marks.append((time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
    assert Driver(definition, _NoDirectory(), executor).run() == FINISHED
    assert [sum(epoch >= rung for epoch in reached.values()) for rung in (1, 3, 9)] == [10_000, 3_333, 1_111]
    assert max(executor.attempts.values()) > 3  # those that were lost were tried again
    assert marks[-1][1] - marks[1000][1] < 50_000, marks[-1][1] - marks[1000][1]  # KiB
    quarter = len(marks) // 4
    early, late = marks[quarter][0] - marks[0][0], marks[-1][0] - marks[-quarter - 1][0]
    assert late < 3 * early


def _progress(id, reached):
    epoch = reached.get(id, 0.0)
    rungs = [rung for rung in (1.0, 3.0, 9.0) if rung <= epoch]
    lines = [{"step": 10 * e, "split": "val", "epoch": e, "top1": quality(id, e)} for e in rungs]
    return Progress(round(10 * epoch), epoch, lines)


class _NoDirectory:
    """A sweep's directory that is nowhere."""

    def trials(self):
        return []

    def add(self, trials, definition):
        pass

    def write_config(self, trial, definition):
        pass

    def job(self, id, until):
        return Job(id, until, Path(id), Path(id), mock.Mock(final=lambda: None))
