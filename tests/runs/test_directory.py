"""What a run writes, and what of its configuration may change when it goes on."""

import json
from types import SimpleNamespace

import pytest
from boards import read_board
from conftest import small_config

from googlenet_jax.config.from_json import read_json
from googlenet_jax.errors import UserError
from googlenet_jax.runs import directory
from googlenet_jax.runs.directory import RunDirectory, changes_of
from googlenet_jax.runs.lines import read_lines
from googlenet_jax.runs.writers.base import JsonLines, Writer


def written(path, config, first, *lines):
    run = RunDirectory(path, config)
    run.begin(first)
    for step, values in lines:
        run.write(step, step / 4, "train", values)
    run.close()
    return run


def test_every_writer_gets_every_line_and_forgets_what_is_trained_again(tmp_path):
    config = small_config()
    written(tmp_path, config, 0, (4, {"loss": 2.0}), (8, {"loss": 1.0, "gradient_norm": float("inf")}))
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": "a"}\n{"step": 1}\n{"step": 1, "split": "val"}\n{"step": 12, "cut off by a cra')
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(b"\xff\xfe\n")
    written(tmp_path, config, 4, (8, {"loss": 1.5}))
    lines = read_lines(tmp_path)
    assert [(line["step"], line["epoch"], line["loss"]) for line in lines] == [(4, 1.0, 2.0), (8, 2.0, 1.5)]
    assert lines[0]["seconds"] <= lines[1]["seconds"]
    assert "gradient_norm" not in lines[1]
    events = read_board(tmp_path / "tensorboard")
    assert [(event.step, event.value) for event in events.Scalars("train/loss")] == [(4, 2.0), (8, 1.5)]


def test_changes_that_past_steps_do_not_depend_on_are_kept_in_a_history(tmp_path):
    written(tmp_path, small_config(), 0, (4, {"loss": 2.0}))
    longer = small_config(num_epochs=3.0, dataset__num_threads=1)
    run = RunDirectory(tmp_path, longer)
    assert run.changes == {"num_epochs": (2.0, 3.0), "dataset.num_threads": (None, 1)}
    assert read_json(tmp_path / "config.json").num_epochs == 2  # until it really goes on
    run.begin(4)
    run.close()
    assert read_json(tmp_path / "config.json").num_epochs == 3
    (entry,) = [json.loads(line) for line in (tmp_path / "config_history.jsonl").read_text().splitlines()]
    assert entry["step"] == 4
    assert entry["changes"]["num_epochs"] == [2.0, 3.0]
    assert "config.num_epochs is 3.0 from step 4 on, it was 2.0" in (tmp_path / "train.log").read_text()
    with pytest.raises(UserError, match=r"num_epochs: 3.0 -> 2.0, which may only grow"):
        RunDirectory(tmp_path, small_config())
    with pytest.raises(UserError, match=r"\(seed: 0 -> 1\)"):
        RunDirectory(tmp_path, small_config(num_epochs=4.0, seed=1))


def test_a_mistake_before_anything_was_trained_costs_no_directory(tmp_path):
    written(tmp_path, small_config(optimizer__freeze=("no*",)), 0)
    assert changes_of(tmp_path, small_config(seed=1)) == {}
    written(tmp_path, small_config(seed=1), 0, (4, {"loss": 2.0}))
    assert read_json(tmp_path / "config.json") == small_config(seed=1)
    written(tmp_path, small_config(seed=1), 0)
    assert (tmp_path / "config.json").exists()


def test_what_was_measured_outlives_the_checkpoints(tmp_path):
    run = RunDirectory(tmp_path, small_config())
    run.begin(0)
    run.write(4, 1.0, "val", {"loss": 2.0})
    run.close()
    before = (tmp_path / "metrics.jsonl").read_text()
    written(tmp_path, small_config(), 0, (2, {"loss": 3.0}))
    (kept,) = tmp_path.glob("metrics.*.jsonl")
    assert kept.read_text() == before
    assert [line["step"] for line in read_lines(tmp_path)] == [2]
    assert f"what was measured is kept in {kept.name}" in (tmp_path / "train.log").read_text()


def test_two_do_not_train_in_one_directory(tmp_path):
    run = RunDirectory(tmp_path, small_config())
    with pytest.raises(UserError, match="another process is training here"):
        RunDirectory(tmp_path, small_config())
    run.close()


def test_a_writer_that_fails_ends_no_training(tmp_path, monkeypatch):
    class Service(Writer):
        def __init__(self, run, step):
            self.closed = False

        def write(self, line):
            raise ValueError("the service is away")

        def close(self):
            self.closed = True

    class Unreachable(Service):
        def __init__(self, run, step):
            raise ConnectionError("nobody answers")

    for name, kind in (("tensorboard", Service), ("mlflow", Unreachable)):
        monkeypatch.setitem(directory.WRITERS, name, SimpleNamespace(load=lambda kind=kind: kind))
    config = small_config(writers=("tensorboard", "mlflow"))
    written(tmp_path, config, 0, (4, {"loss": 2.0}), (8, {"loss": 1.0}))
    assert [line["step"] for line in read_lines(tmp_path)] == [4, 8]
    log = (tmp_path / "train.log").read_text()
    assert log.count("Service writes no more: the service is away") == 1
    assert log.count("Unreachable writes nothing: nobody answers") == 1


def test_a_full_disk_ends_it_with_one_line(tmp_path, monkeypatch):
    def full(self, line):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(JsonLines, "write", full)
    with pytest.raises(UserError, match="No space left on device; checkpoints are intact"):
        written(tmp_path, small_config(), 0, (4, {"loss": 2.0}))


def test_what_a_run_took_from_where_it_started_is_no_other_configuration(tmp_path):
    asked = small_config(init_from="/gone")
    filled = small_config(init_from="/gone", dataset__mean=(1.0, 2.0, 3.0), dataset__channel_order="bgr")
    written(tmp_path, filled, 0, (4, {"loss": 2.0}))
    assert changes_of(tmp_path, asked) == {}
    with pytest.raises(UserError, match=r"dataset.mean: \(1.0, 2.0, 3.0\) -> None"):
        changes_of(tmp_path, small_config())
