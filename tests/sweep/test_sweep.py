"""Sweeps as a user runs them: launch.py --sweep, real trainings, a driver that is killed."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT, SMALL, small_config
from readback import final_bytes

from googlenet_jax.cli.sweeping import _missing_data
from googlenet_jax.sweep.definition import Definition
from googlenet_jax.sweep.space import read_space
from googlenet_jax.system.files import lock
from googlenet_jax.system.runtime import cpu_cores

SWEPT = {name: value for name, value in SMALL.items() if name != "optimizer.learning_rate"}
SWEPT |= {"num_epochs": 3.0, "num_devices": 1, "eval.every_epochs": 1.0, "dataset.synthetic_images": 64}

JOBS = str(min(2, cpu_cores()))
ASKED = ("--sweep", "optimizer.learning_rate=0.02,0.1,0.3", "--prune", "asha", "--jobs", JOBS)


def command(path, *arguments, **changes):
    overrides = [f"--config.{name}={value}" for name, value in (SWEPT | changes).items()]
    return ["launch.py", "--config", "configs/digits.py", "--workdir", str(path), *overrides, *arguments]


def table(path):
    """What was found, whatever it took: rows of results.csv without speed and attempts."""
    with (path / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [{k: row[k] for k in row if k not in ("images_per_second", "seconds", "attempts")} for row in rows]


def measured(path):
    """Lines that the trials of a sweep have written so far."""
    return sum(len(file.read_text().splitlines()) for file in path.glob("*/metrics.jsonl"))


@pytest.fixture(scope="session")
def swept(tmp_path_factory):
    """A sweep that nobody disturbed, and what its command printed; the first worker that asks runs it."""
    base = tmp_path_factory.getbasetemp()
    directory = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "swept"
    directory.mkdir(exist_ok=True)
    output = directory / "output.txt"
    with (directory / "lock").open("w") as file:
        assert lock(file, wait=float("inf"))
        if not output.exists():
            arguments = [sys.executable, *command(directory / "sweep", *ASKED)]
            done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            output.write_text(done.stdout)
    return directory / "sweep", output.read_text()


@pytest.mark.slow
def test_a_sweep_leaves_its_answer(swept):
    path, printed = swept
    rows = table(path)
    assert [row["optimizer.learning_rate"] for row in rows] == ["0.02", "0.1", "0.3"]
    assert sorted(row["epochs"] for row in rows) == ["1.0", "1.0", "3.0"]
    assert sorted(row["state"] for row in rows) == ["finished", "paused", "paused"]
    lines = [json.loads(line) for line in (path / "results.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == [row["id"] for row in rows]
    assert all(line["last_top1"] <= line["best_top1"] <= 1 for line in lines)
    assert "3 trials: 2 paused, 1 finished" in printed
    assert (path / "report.html").stat().st_size > 10_000
    assert "<svg" in (path / "results.svg").read_text()
    assert (path / rows[0]["id"] / "metrics.jsonl").exists()


@pytest.mark.slow
def test_a_killed_driver_and_its_trainings_end_in_the_same_table(swept, tmp_path):
    path, _ = swept
    arguments = command(tmp_path, *ASKED)
    for kill_trainings in (False, True):
        driver = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        written, deadline = measured(tmp_path), time.monotonic() + 50
        while measured(tmp_path) == written:  # something is trained
            assert time.monotonic() < deadline
            assert driver.poll() is None
            time.sleep(0.05)
        driver.kill()
        driver.wait()
        if kill_trainings:
            subprocess.run(["pkill", "-9", "-f", f"launch.py.*{tmp_path}"], check=False)
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert table(tmp_path) == table(path)
    for row in table(path):
        assert final_bytes(tmp_path / row["id"]) == final_bytes(path / row["id"])


@pytest.mark.slow
def test_ctrl_c_saves_and_the_same_command_goes_on(swept, tmp_path):
    arguments = command(tmp_path, "--sweep", "seed=0,1", num_epochs=400.0, **{"eval.every_epochs": 100.0})
    driver = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 50
    while not list(tmp_path.glob("*/metrics.jsonl")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    driver.send_signal(signal.SIGINT)
    output, _ = driver.communicate(timeout=50)
    assert driver.returncode == 0
    assert "1 trials are told to save and stop" in output
    assert "1 interrupted, 1 waiting" in output
    (saved,) = tmp_path.glob("*/checkpoints/*")
    assert int(saved.name) > 0


def test_a_dry_run_lists_and_leaves_nothing(run_command, tmp_path):
    path = tmp_path / "sweep"
    result = run_command(
        *command(path, "--sweep", "seed = 0..2", "--sweep", "model.variant=paper,batchnorm", "--dry_run"),
        "--config.dataset.name=folder:/nowhere",
    )
    assert result.returncode == 0, result.stderr
    assert "6 trials in" in result.stdout
    assert "config.dataset.name=folder:/nowhere is not on this machine" in result.stdout
    assert "seed=2 variant=batchnorm" in result.stdout
    assert not path.exists()


def test_data_that_no_trial_uses_is_not_missed():
    base, space = small_config(dataset__name="records:/nowhere"), read_space(["dataset.name=choice(digits,folder:/no)"])
    assert _missing_data(Definition("recipe", base, space, trials=2)) == ["folder:/no"]
    assert _missing_data(Definition("recipe", base, read_space(["dataset.name=digits"]))) == []
    assert _missing_data(Definition("recipe", base, read_space(["seed=0"]))) == ["records:/nowhere"]


def test_what_a_sweep_found_is_shown(swept, run_command):
    path, _ = swept
    shown = run_command("-m", "googlenet_jax.cli", "sweep", path)
    assert shown.returncode == 0, shown.stderr
    assert "2 paused" in shown.stdout
    about = json.loads(run_command("-m", "googlenet_jax.cli", "sweep", path, "--json").stdout)
    assert len(about["trials"]) == 3
    assert about["driver"] == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--sweep", "optimizer.lr=0.1"], "did you mean 'optimizer.learning_rate'?"),
        (["--sweep", "optimizer.learning_rate=log(1,0.1)"], "the range is empty"),
        (["--sweep", "optimizer.learning_rate=log(0.1,1)"], "say how many points to draw by --trials N"),
        (["--sweep", "schedule.warmup_epochs=1,99"], "warmup_epochs=99: config.schedule.warmup_epochs"),
        (["--sweep", "seed=0", "--trials", "3"], "no field has a range"),
        (["--sweep", "seed=0,1", "--config.seed=2"], "--config.seed has no effect"),
        (["--sweep", "seed=0", "--config.dataset.name=folder:/nowhere"], "folder:/nowhere: there is no such file"),
        (["--sweep", "seed=0", "--objective", "val.top2"], "did you mean 'val.top"),
        (["--sweep", "seed=0", "--prune", "hyperband"], "asha:ETA"),
        (["--sweep", "num_epochs=1,2", "--prune", "asha"], "num_epochs cannot be swept with it"),
        (["--sweep", "seed=0", "--search", "grid"], "the search 'grid' is not known"),
        (["--sweep", "seed=0", "--search", "tpe"], "no field has one such as log(1e-3,1)"),
        (
            ["--sweep", "num_epochs=1,2", "--sweep", "seed=int(0,9)", "--trials", "3", "--search", "tpe"],
            "num_epochs cannot be a list",
        ),
        (["--sweep", "seed=0,1", "--prune", "asha", "--config.eval.every_epochs=3"], "nothing to compare before"),
        (["--sweep", "seed=0", "--executor", "slurn"], "did you mean 'slurm'?"),
        (["--sweep", "seed=0", "--jobs", "999"], "this machine has"),
        (["--sweep", "seed=0", "--jobs", "0"], "is not a whole number above 0"),
        (["--sweep", "seed=0", "--nodes", "2"], "--nodes asks for a cluster: add --executor slurm"),
        (
            [
                "--sweep",
                "seed=0",
                "--executor",
                "slurm",
                "--nodes",
                "2",
                "--gpus_per_node",
                "8",
                "--config.num_devices=8",
            ],
            "num_devices=8, but 2 x 8 GPUs are asked for: add --config.num_devices=16",
        ),
        (["--trials", "3"], "--trials goes with --sweep"),
        (["--jobs", "2"], "--jobs goes with --sweep"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(told, tmp_path, arguments, said):
    path = tmp_path / "sweep"
    status, lines = told(*command(path, *arguments)[1:])
    assert (status, len(lines)) == (2, 1), lines
    assert said in lines[0]
    assert not path.exists()


def test_a_cluster_that_is_not_there_is_one_line(told, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    status, lines = told(*command(tmp_path / "sweep", "--sweep", "seed=0", "--executor", "slurm")[1:])
    assert status == 2
    assert "this machine has no squeue" in lines[0]
    assert not (tmp_path / "sweep").exists()


def test_every_experiment_resolves(run_command):
    """Its sweep's trials are valid configurations of the recipe that its README names."""
    sweeps = sorted((ROOT / "experiments").glob("*/sweep.py"))
    assert len(sweeps) >= 5
    for sweep in sweeps:
        words = next(
            line
            for line in (sweep.parent / "README.md").read_text().splitlines()
            if line.startswith("python launch.py")
        ).split()[1:]
        result = run_command(*words, "--dry_run")
        assert result.returncode == 0, result.stderr
        assert " trials in " in result.stdout
