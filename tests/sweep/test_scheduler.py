"""Who goes on: checked against the definition of successive halving, whatever the order of events."""

import math
import random

import pytest

from googlenet_jax.sweep.scheduler import Scheduler, rungs_of

RUNGS = (1.0, 3.0, 9.0)


def value(trial, epoch):
    """What a trial has at an epoch: those that are ahead early need not be later."""
    return round(random.Random(f"{trial} {epoch}").random(), 2)


def halving(trials, eta, failed=()):
    """Successive halving by its definition: how far each trial is trained. Failed ones take a place, and go nowhere."""
    reached, at = {}, list(trials)
    expected = len(at)
    for rung in RUNGS:
        reached |= dict.fromkeys(at, rung)
        keep = max(int(expected / eta), 1)
        at = sorted((t for t in at if (t, rung) not in failed), key=lambda t: (-value(t, rung), t))[:keep]
        expected = keep
    return reached


def run(scheduler, workers, seed, failed=(), stop_after=math.inf):
    """Trains with so many workers of random speed; returns how far each trial came, or {} when stopped."""
    rng, reached, busy, events = random.Random(seed), {}, [], 0
    while True:
        while len(busy) < workers and (task := scheduler.next()) is not None:
            busy.append(task)
        if not busy:
            return reached
        trial, epoch = busy.pop(rng.randrange(len(busy)))
        reached[trial] = max(epoch, reached.get(trial, 0))
        scheduler.arrived(trial, None if (trial, epoch) in failed else value(trial, epoch))
        events += 1
        if events >= stop_after:
            return reached


def make(count, eta=3.0):
    scheduler = Scheduler(RUNGS, eta, count)
    for trial in range(count):
        scheduler.add(trial)
    return scheduler


@pytest.mark.parametrize("count", [1, 2, 3, 8, 27, 40])
@pytest.mark.parametrize("workers", [1, 3, 50])
@pytest.mark.parametrize("eta", [2.0, 3.0])
def test_the_best_go_on_whoever_comes_first(count, workers, eta):
    for seed in range(3):
        assert run(make(count, eta), workers, seed) == halving(range(count), eta)


def test_failures_take_no_ones_place_and_leave_nobody_waiting():
    failed = {(trial, epoch) for trial in range(0, 27, 2) for epoch in RUNGS}
    for seed in range(3):
        assert run(make(27), 4, seed, failed) == halving(range(27), 3, failed)
    assert run(make(9), 2, 0, {(t, 1.0) for t in range(9)}) == dict.fromkeys(range(9), 1.0)


@pytest.mark.parametrize("stop_after", [1, 7, 20, 30])
def test_a_restart_knows_from_what_was_reached(stop_after):
    reached = run(make(27), 3, 0, stop_after=stop_after)
    again = make(27)
    again.restore(lambda trial, epoch: value(trial, epoch) if reached.get(trial, 0) >= epoch else None)
    assert reached | run(again, 3, 1) == halving(range(27), 3)


def test_less_trials_than_were_expected_end_too():
    scheduler = Scheduler(RUNGS, 3.0, 9)
    for trial in range(5):
        scheduler.add(trial)
    for _ in range(4):
        scheduler.fewer()
    reached = run(scheduler, 2, 0)
    best = sorted(range(5), key=lambda t: (-value(t, 1.0), t))[:3]
    assert {trial for trial, epoch in reached.items() if epoch > 1} == set(best)
    assert scheduler.settled == scheduler.expected == 9 + 3 + 1


def test_smaller_can_be_better():
    scheduler = Scheduler((1.0, 2.0), 2.0, 2, larger_is_better=False)
    for trial, loss in ((0, 0.5), (1, 0.1)):
        scheduler.add(trial)
        assert scheduler.next() == (trial, 1.0)
        scheduler.arrived(trial, loss)
    assert scheduler.next() == (1, 2.0)
    assert scheduler.next() is None


def test_an_interrupted_trial_comes_before_later_ones():
    scheduler = make(3)
    first = scheduler.next()
    scheduler.again(first.trial)
    assert scheduler.next() == first


def test_a_value_that_is_no_number_is_the_worst():
    scheduler = Scheduler((1.0, 2.0), 2.0, 2)
    for trial in range(2):
        scheduler.add(trial)
        scheduler.next()
    scheduler.arrived(0, math.nan)
    scheduler.arrived(1, 0.0)
    assert scheduler.next() == (1, 2.0)


@pytest.mark.parametrize(
    ("num_epochs", "every", "rungs"),
    [
        (27, 1, (1, 3, 9, 27)),
        (11, 4, (4, 11)),
        (10, 0.5, (0.5, 1.5, 3.5, 10)),
        (20, 2, (2, 4, 8, 20)),
        (5, 0, (5,)),
        (1, 1, (1,)),
    ],
)
def test_rungs_lie_at_evaluations(num_epochs, every, rungs):
    assert rungs_of(num_epochs, every, 3) == rungs
