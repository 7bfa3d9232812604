"""Processes side by side: each has its share of the machine. The program is one that writes down what it was given."""

import json
import os
import time
from pathlib import Path

import pytest

from googlenet_jax.errors import UserError
from googlenet_jax.sweep.attempts import Attempts
from googlenet_jax.sweep.executors.base import Job, Placement
from googlenet_jax.sweep.executors.local import Local, visible_gpus

PROGRAM = """
import json, os, signal, sys, time
if "DEAF" in os.environ:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
at = sys.argv.index("--workdir")
given = {"cores": sorted(os.sched_getaffinity(0)), "gpus": os.environ.get("CUDA_VISIBLE_DEVICES"), "argv": sys.argv[1:]}
open(sys.argv[at + 1] + ".json", "w").write(json.dumps(given))
print("error: config.seed is no good", file=sys.stderr)
time.sleep(float(os.environ.get("SLEEP", "0")))
sys.exit(2)
"""


def job(path, id):
    attempts = Attempts(path / f"{id}.jsonl", path / f"{id}.log")
    return Job(id, 2.0, path / "config.json", path / id, attempts)


def local(path, jobs):
    program = path / "program.py"
    program.write_text(PROGRAM)
    return Local(Placement(program, path, "test", jobs))


def ended(executor, count):
    found = []
    while len(found) < count:
        found += executor.wait()
    return found


def test_gpus_and_cores_are_shared_out(tmp_path, monkeypatch):
    monkeypatch.delenv("JAX_PLATFORMS")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5,6,7")
    before = os.sched_getaffinity(0)
    jobs = min(2, len(before))
    executor = local(tmp_path, jobs)
    executor.start([job(tmp_path, str(number)) for number in range(jobs)])
    assert executor.free() == 0
    assert os.sched_getaffinity(0) == before
    outcomes = ended(executor, jobs)
    assert {outcome for _, outcome in outcomes} == {("refused", "config.seed is no good")}
    given = [json.loads((tmp_path / f"{number}.json").read_text()) for number in range(jobs)]
    assert [g["gpus"] for g in given] == (["3,5", "6,7"] if jobs == 2 else ["3,5,6,7"])
    assert sorted(core for g in given for core in g["cores"]) == sorted(before)
    assert given[0]["argv"][-2:] == ["--until", "2.0"]
    assert executor.free() == jobs


def test_a_training_that_an_earlier_driver_started_takes_its_place(tmp_path, monkeypatch):
    monkeypatch.setenv("SLEEP", "3")
    first, mine = local(tmp_path, 1), job(tmp_path, "a")
    first.start([mine])
    while not Path(f"{mine.workdir}.json").exists():
        time.sleep(0.02)
    second = local(tmp_path, 1)
    assert second.adopt([mine, job(tmp_path, "b")]) == [mine]
    assert second.free() == 0
    ((other, outcome),) = ended(second, 1)
    assert other is mine
    assert outcome.error == "config.seed is no good"  # which nobody saw end, but its log tells
    assert second.free() == 1


def test_a_training_that_an_earlier_driver_started_is_stopped_too(tmp_path, monkeypatch):
    monkeypatch.setenv("SLEEP", "60")
    first, mine = local(tmp_path, 1), job(tmp_path, "a")
    first.start([mine])
    while not Path(f"{mine.workdir}.json").exists():
        time.sleep(0.02)
    second = local(tmp_path, 1)
    second.adopt([mine])
    second.stop()
    first.wait()  # whose child it is
    assert len(ended(second, 1)) == 1


def test_a_second_stop_kills(tmp_path, monkeypatch):
    monkeypatch.setenv("SLEEP", "60")
    monkeypatch.setenv("DEAF", "1")
    executor, mine = local(tmp_path, 1), job(tmp_path, "a")
    executor.start([mine])
    while not Path(f"{mine.workdir}.json").exists():
        time.sleep(0.02)
    executor.stop()
    assert executor.free() == 0
    assert executor.wait() == []
    executor.stop()
    ((_, outcome),) = ended(executor, 1)
    assert outcome.kind == "crashed"
    assert outcome.error.startswith("killed by SIGKILL")


def test_more_jobs_than_devices_are_refused(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"this machine has \d+ cores; ask for at most"):
        local(tmp_path, 10_000)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert visible_gpus() == []  # JAX is told to keep to CPUs here
    monkeypatch.delenv("JAX_PLATFORMS")
    if len(os.sched_getaffinity(0)) > 1:
        with pytest.raises(UserError, match="--jobs 2: this machine has 1 GPUs"):
            local(tmp_path, 2)
    for none in ("", "-1", "-1,0"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", none)
        assert visible_gpus() == []
