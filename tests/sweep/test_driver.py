"""The driver with an executor that has no processes: real directories, real decisions, a fake clock."""

import json
import random

import pytest
from conftest import small_config
from sweep.fake_executor import LOST, FakeExecutor, leave

from googlenet_jax.errors import UserError
from googlenet_jax.sweep.attempts import DIVERGED, DONE, REFUSED, Outcome
from googlenet_jax.sweep.definition import make_definition
from googlenet_jax.sweep.directory import SweepDirectory
from googlenet_jax.sweep.driver import FINISHED, Driver
from googlenet_jax.sweep.standing import Standing


def quality(id, epoch):
    """What a trial has at an epoch, 0..1."""
    return random.Random(f"{id} {epoch}").random()


def define(*sweep, trials=None, search=None, prune=None, retries=1, recipe="configs/small.py", **changes):
    base = small_config(num_epochs=9.0, eval__every_epochs=1.0, **changes).lock()
    return make_definition(recipe, base, sweep, trials, search, None, prune, retries)


def drive(path, definition, executor):
    """Drives a sweep to its end; returns the driver."""
    directory = SweepDirectory(path)
    with directory.taken(definition):
        driver = Driver(definition, directory, executor)
        assert driver.run() == FINISHED
    return driver


def table(path):
    """What a sweep found, whatever it took."""
    standing = Standing(SweepDirectory(path))
    return [(row.id, row.state, row.epochs, row.best_top1, row.last_top1) for row in standing.rows]


def test_every_trial_is_trained_once_and_the_same_command_trains_none_again(tmp_path):
    definition = define("optimizer.learning_rate=0.1,0.2", "seed=0..2")
    executor = FakeExecutor(2, quality)
    first = drive(tmp_path, definition, executor)
    assert len(executor.started) == len({id for id, _ in executor.started}) == 6
    assert {row[1] for row in table(tmp_path)} == {"finished"}
    again = FakeExecutor(2, quality)
    assert drive(tmp_path, definition, again).best == first.best != ""
    assert again.started == []


def test_a_changed_definition_adds_trials_and_names_those_no_longer_asked_for(tmp_path):
    drive(tmp_path, define("seed=0..2"), FakeExecutor(1, quality))
    executor = FakeExecutor(1, quality)
    driver = drive(tmp_path, define("seed=1..4"), executor)
    assert len(executor.started) == 2
    assert len(driver.forgotten) == 1
    assert len(table(tmp_path)) == 4
    assert drive(tmp_path, define("seed=0..2"), FakeExecutor(1, quality)).forgotten


def test_equal_trainings_are_one_trial_across_sweeps(tmp_path):
    drive(tmp_path, define("optimizer.learning_rate=0.02,0.1"), FakeExecutor(1, quality))
    executor = FakeExecutor(1, quality)
    drive(tmp_path, define("seed=0,1"), executor)  # seed 0 at rate 0.02 is what the recipe says
    assert len(executor.started) == 1


def test_crashes_are_tried_again_errors_of_the_configuration_are_not(tmp_path):
    definition = define("seed=0..3", retries=2)
    ids = [trial.id for trial in definition.listed]
    fate = {ids[0]: LOST, ids[1]: Outcome(REFUSED, "config.x"), ids[2]: Outcome(DIVERGED, "training diverged")}
    executor = FakeExecutor(2, quality, lambda id, attempt, until: fate.get(id))
    drive(tmp_path, definition, executor)
    assert [executor.attempts[id] for id in ids] == [3, 1, 1, 1]
    again = FakeExecutor(2, quality)
    drive(tmp_path, definition, again)
    assert {id for id, _ in again.started} == set(ids[:3])  # this executor notes nothing in attempts/


def test_a_trial_that_diverges_in_its_last_step_keeps_its_rungs_and_is_not_tried_again(tmp_path):
    definition = define("seed=0..2", prune="asha")

    def diverge(id, attempt, until):
        if until < 9:
            return None
        job, diverged = SweepDirectory(tmp_path).job(id, until), Outcome(DIVERGED, "training diverged")
        job.attempts.begin(until)
        leave(job.workdir, until, 0.1)
        job.attempts.end(diverged)
        return diverged

    drive(tmp_path, definition, FakeExecutor(1, quality, diverge))
    found = table(tmp_path)
    assert [row[1] for row in found].count("diverged") == 1
    assert "finished" not in {row[1] for row in found}
    again = FakeExecutor(1, quality)
    drive(tmp_path, definition, again)
    assert again.started == []
    assert table(tmp_path) == found


def test_pruning_gives_the_same_table_however_it_was_interrupted(tmp_path):
    definition = define("optimizer.learning_rate=0.1,0.2,0.3", "seed=0..8", prune="asha")
    drive(tmp_path / "whole", definition, FakeExecutor(4, quality))
    whole = table(tmp_path / "whole")
    assert sorted({round(row[2]) for row in whole}) == [1, 3, 9]
    assert [sum(round(row[2]) >= epoch for row in whole) for epoch in (1, 3, 9)] == [27, 9, 3]
    rng, runs = random.Random(0), 0
    while True:
        executor = FakeExecutor(rng.randint(1, 6), quality, seed=rng.random())
        left = rng.randint(1, 9)

        def die(left=left, executor=executor):
            if len(executor.started) > left:
                raise ConnectionError

        executor.on_event = die
        runs += 1
        try:
            drive(tmp_path / "killed", definition, executor)
            break
        except ConnectionError:
            continue
    assert runs > 4
    assert table(tmp_path / "killed") == whole


def test_a_restart_loses_nothing_to_a_line_that_was_cut_off(tmp_path):
    definition = define("seed=0..3")
    drive(tmp_path, definition, FakeExecutor(2, quality))
    path = tmp_path / "trials.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    executor = FakeExecutor(2, quality)
    drive(tmp_path, definition, executor)
    assert executor.started == []
    assert len(table(tmp_path)) == 4
    assert all(json.loads(line) for line in path.read_text().splitlines()[-1:])


@pytest.mark.parametrize("search", ["random", "tpe"])
def test_searches_draw_points_once_and_go_on(tmp_path, search):
    pytest.importorskip("optuna")
    ranges = ("optimizer.learning_rate=log(1e-3,1)", "model.variant=choice(paper,batchnorm)", "seed=0,1")

    def near(id, epoch):
        (line,) = [t for t in SweepDirectory(tmp_path).trials() if t["id"] == id]
        return 1 / (1 + abs(line["overrides"]["optimizer.learning_rate"] - 0.1))

    drive(tmp_path, define(*ranges, trials=5, search=search), FakeExecutor(3, near))
    assert len(table(tmp_path)) == 10
    executor = FakeExecutor(3, near)
    drive(tmp_path, define(*ranges, trials=8, search=search, prune="asha"), executor)
    assert len(table(tmp_path)) == 16
    assert len({id for id, _ in executor.started}) == 6
    rates = [t["overrides"]["optimizer.learning_rate"] for t in SweepDirectory(tmp_path).trials()]
    assert all(1e-3 <= rate <= 1 for rate in rates)


def test_exhausted_ranges_end_the_sweep(tmp_path):
    executor = FakeExecutor(2, quality)
    drive(tmp_path, define("model.variant=choice(paper,batchnorm)", trials=5, prune="asha"), executor)
    assert len(table(tmp_path)) == 2


@pytest.mark.parametrize("search", ["random", "tpe"])
def test_a_range_is_used_up_before_it_counts_as_exhausted(tmp_path, search):
    assert define("seed=int(0,1000000000)", trials=3, search=search)._every_point is None  # nor is it looked for
    drive(tmp_path, define("seed=int(1,9)", trials=10, search=search), FakeExecutor(1, quality))
    assert sorted(trial["overrides"]["seed"] for trial in SweepDirectory(tmp_path).trials()) == [*range(1, 10)]


def test_fewer_points_are_fewer_rows_and_a_lost_one_is_drawn_again(tmp_path):
    ranges = ("model.dropout=uniform(0,0.9)",)
    drive(tmp_path, define(*ranges, trials=6, prune="asha"), FakeExecutor(2, quality))
    lines = (tmp_path / "trials.jsonl").read_text().splitlines()
    (tmp_path / "trials.jsonl").write_text("\n".join([*lines[:2], lines[2][:-9], *lines[3:]]) + "\n")
    drive(tmp_path, define(*ranges, trials=6, prune="asha"), FakeExecutor(2, quality))
    assert len(table(tmp_path)) == 6
    drive(tmp_path, define(*ranges, trials=3), FakeExecutor(2, quality))
    assert len(table(tmp_path)) == 3


def test_points_where_fields_do_not_go_together_are_drawn_elsewhere(tmp_path):
    drive(tmp_path, define("schedule.warmup_epochs=uniform(0,16)", trials=8), FakeExecutor(2, quality))
    warmups = [t["overrides"]["schedule.warmup_epochs"] for t in SweepDirectory(tmp_path).trials()]
    assert len(warmups) == 8
    assert max(warmups) < 9


def test_combinations_that_are_equal_are_one_trial_of_a_point(tmp_path):
    sweep = tmp_path / "sweep.py"
    sweep.write_text("def sweep():\n    yield {'seed': 0}\n    yield {'seed': 0, 'batch_size': 16}\n")
    definition = define(str(sweep), "model.dropout=uniform(0,0.9)", trials=3, prune="asha")
    drive(tmp_path / "d", definition, FakeExecutor(4, quality))
    assert len(table(tmp_path / "d")) == 3


def test_what_an_earlier_driver_asked_for_may_be_less(tmp_path):
    """A training adopted from a sweep with pruning stops at its rung; without pruning it goes on."""
    definition = define("seed=0")
    executor = FakeExecutor(1, quality)

    def early(jobs):
        for job in jobs:
            leave(job.workdir, 1.0, 0.5)
            executor.heap.append((0.0, 0, job))
        executor.fails = lambda id, attempt, until: Outcome(DONE) if attempt == 1 else None
        return list(jobs)

    executor.adopt = early
    drive(tmp_path, definition, executor)
    assert [(row[1], round(row[2])) for row in table(tmp_path)] == [("finished", 9)]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("checkpoints/93/meta/metadata", "[]"),
        ("checkpoints/93/meta/metadata", '{"epoch": null}'),
        ("checkpoints/93/meta/metadata", '{"epoch": 0}'),
        ("metrics.jsonl", '{"step": 90, "epoch": 9, "split": "val", "seconds": 1, "top1": "abc"}\n'),
        ("metrics.jsonl", '{"step": 90, "epoch": 9, "split": "val", "seconds": 1, "top1": NaN}\n'),
        ("metrics.jsonl", "[" * 100_000 + "\n"),
        ("../attempts/ID.jsonl", '{"event": "end"}\n{"foo": 1}\n{"event": "begin"}\n\x00'),
        ("../configs/ID.json", '{"seed": '),
        ("../trials.jsonl", '{"id": [1], "overrides": {}}\n{"id": "../../x", "overrides": {}}\n'),
    ],
)
def test_damaged_files_end_nothing(tmp_path, file, text):
    definition = define("seed=0,1")
    drive(tmp_path, definition, FakeExecutor(1, quality))
    id = definition.listed[0].id
    path = tmp_path / id / file.replace("ID", id)
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(text)
    drive(tmp_path, definition, FakeExecutor(1, quality, lambda *about: Outcome(REFUSED, "enough")))
    assert len(table(tmp_path)) == 2


@pytest.mark.parametrize("text", ["{", "[]", '{"recipe": "small.py"}', "[" * 100_000])
def test_a_damaged_definition_is_one_line(tmp_path, text):
    drive(tmp_path, define("seed=0"), FakeExecutor(1, quality))
    (tmp_path / "sweep.json").write_text(text)
    with pytest.raises(UserError, match=r"sweep\.json is damaged; remove it"):
        SweepDirectory(tmp_path).definition()


def test_learning_beats_chance(tmp_path):
    """On a smooth objective TPE's best of 30 is nearer than random search's, whose points do not learn."""
    pytest.importorskip("optuna")

    def near(path):
        def value(id, epoch):
            (line,) = [t for t in SweepDirectory(path).trials() if t["id"] == id]
            over = line["overrides"]
            return 1 - (over["model.dropout"] - 0.3) ** 2 - (over["loss.label_smoothing"] - 0.7) ** 2

        return value

    ranges = ("model.dropout=uniform(0,0.99)", "loss.label_smoothing=uniform(0,1)")
    means = {}
    for search in ("random", "tpe"):
        path = tmp_path / search
        drive(path, define(*ranges, trials=40, search=search), FakeExecutor(1, near(path)))
        found = sorted(row[4] for row in table(path))[-10:]
        means[search] = sum(found) / len(found)
    assert means["tpe"] > means["random"]


def test_one_driver_at_a_time_and_one_recipe(tmp_path):
    definition = define("seed=0")
    with SweepDirectory(tmp_path).taken(definition), pytest.raises(UserError, match="drives this sweep"):
        drive(tmp_path, definition, FakeExecutor(1, quality))
    other = define("seed=0", recipe="configs/other.py:data")
    with pytest.raises(UserError, match=r"a sweep of small\.py, not of other\.py"):
        drive(tmp_path, other, FakeExecutor(1, quality))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    with pytest.raises(UserError, match="is a training's run directory"):
        drive(tmp_path / "run", definition, FakeExecutor(1, quality))
