"""Trainings on a real Slurm: an array with a task that is killed and one that is preempted, a training on two nodes."""

import json
import os
import re
import subprocess
import time

import pytest
import slurm
from conftest import SMALL
from readback import final_bytes

from googlenet_jax.runs.lines import read_lines

pytestmark = [pytest.mark.slow]
if why := slurm.missing():
    pytestmark.append(pytest.mark.skip(reason=f"Slurm: {why}"))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Variables that lead to a Slurm of two nodes."""
    with slurm.running(tmp_path_factory.mktemp("slurm")) as variables:
        yield variables


def arguments(path, *more, **changes):
    config = SMALL | {"checkpoint.every_epochs": 0.5} | {name.replace("__", "."): v for name, v in changes.items()}
    overrides = [f"--config.{name}={value}" for name, value in config.items()]
    return ["launch.py", "--config", "configs/digits.py", "--workdir", path, *overrides, "--executor", "slurm", *more]


def wait_for(happened, seconds=50):
    deadline = time.monotonic() + seconds
    while not (found := happened()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def events(path):
    """What the attempts' file at a path tells: its begins and outcomes."""
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [line.get("outcome", line["event"]) for line in lines]


def test_an_array_whose_tasks_are_killed_and_preempted_ends_with_the_same_bytes(
    cluster, finished_run, run_command, tmp_path
):
    env = os.environ | cluster
    asked = arguments(tmp_path, "--sweep", "seed=0,1", "--jobs", "2")
    submitted = run_command(*asked, env=env)
    assert submitted.returncode == 0, submitted.stderr
    assert "submitted job" in submitted.stdout
    assert "#SBATCH --array=0-1\n" in (tmp_path / "slurm" / "0001.sh").read_text()
    killed, preempted = (task["id"] for task in json.loads((tmp_path / "slurm" / "0001.json").read_text()))
    job = json.loads((tmp_path / "slurm" / "jobs.jsonl").read_text())["job"]
    wait_for((tmp_path / killed / "train.log").exists)
    subprocess.run(["pkill", "-9", "-f", f"launch.py.*{killed}"], check=True)
    wait_for((tmp_path / preempted / "train.log").exists)
    subprocess.run(["scancel", "--signal=USR1", f"{job}_1"], env=env, check=True)
    for id in (killed, preempted):
        wait_for(lambda id=id: events(tmp_path / "attempts" / f"{id}.jsonl")[-1:] == ["done"], 100)
    assert events(tmp_path / "attempts" / f"{killed}.jsonl") == ["begin", "crashed", "begin", "done"]
    assert events(tmp_path / "attempts" / f"{preempted}.jsonl")[:2] == ["begin", "saved"]
    assert final_bytes(tmp_path / killed) == final_bytes(finished_run)  # seed 0 is what the others train
    again = run_command(*asked, env=env)
    assert "submitted" not in again.stdout
    assert "2 trials: 2 finished" in again.stdout


def test_a_training_on_two_nodes_goes_on_when_a_task_is_killed(cluster, run_command, tmp_path):
    env = os.environ | cluster
    env["XLA_FLAGS"] = env["XLA_FLAGS"].replace("device_count=8", "device_count=1")
    run = tmp_path / "run"
    submitted = run_command(*arguments(run, "--nodes", "2", model__blocks="3a"), env=env)
    assert submitted.returncode == 0, submitted.stderr
    wait_for(lambda: [path for path in run.glob("checkpoints/*") if path.name.isdecimal()])
    began = time.monotonic()
    subprocess.run(["pkill", "-9", "-n", "-f", f"launch.py.*{run} "], check=True)
    wait_for(lambda: len(events(run / "slurm" / "attempts.jsonl")) > 1, 30)
    assert time.monotonic() - began < 30
    wait_for(lambda: events(run / "slurm" / "attempts.jsonl")[-1] == "done", 100)
    printed = (run / "slurm" / "output.log").read_text()
    assert re.search(r"process [01] of 2 \(on .*\) is gone|task [01]: Killed", printed)
    assert read_lines(run)[-1]["step"] == 9


def test_what_sbatch_refuses_is_one_line_in_its_words(cluster, run_command, tmp_path):
    result = run_command(*arguments(tmp_path / "run", "--slurm", "partition=nowhere"), env=os.environ | cluster)
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert "sbatch refuses: " in result.stderr
    assert "invalid partition" in result.stderr
