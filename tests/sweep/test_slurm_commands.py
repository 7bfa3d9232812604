"""What is asked of Slurm, and what is made of its answers: its commands are stand-ins that write down their calls.

A real Slurm is asked in test_slurm.py, where there is one.
"""

import json
import os

import pytest
from conftest import small_config

from googlenet_jax.errors import UserError
from googlenet_jax.sweep.attempts import Attempts
from googlenet_jax.sweep.executors import slurm
from googlenet_jax.sweep.executors.base import Job, Placement
from googlenet_jax.sweep.requeue import attempt
from googlenet_jax.sweep.single import submit

COMMANDS = {
    "squeue": 'cat "$STATE/queue"',
    "sbatch": "echo 12",
    "scancel": "",
    "scontrol": 'echo "JobId=12 JobState=$(cat "$STATE/job")"',
    "srun": 'shift; exec "$@"',
}
TRAINING = """
import os, pathlib, sys
run, what = pathlib.Path(sys.argv[sys.argv.index("--workdir") + 1]), os.environ["WHAT"]
if what == "done":
    (run / "checkpoints" / "9" / "meta").mkdir(parents=True)
    (run / "checkpoints" / "9" / "meta" / "metadata").write_text('{"epoch": 2.0}')
elif what == "killed":
    os.kill(os.getpid(), 9)
elif what == "refused":
    sys.exit("error: config.seed is no good")
"""


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """How Slurm's commands were called since this was asked last."""
    state = tmp_path / "state"
    (state / "bin").mkdir(parents=True)
    for name, does in COMMANDS.items():
        (state / "bin" / name).write_text(f'#!/bin/bash\necho {name} "$@" >> "$STATE/calls"\n{does}\n')
        (state / "bin" / name).chmod(0o755)
    (state / "queue").write_text("")
    (state / "job").write_text("RUNNING")
    monkeypatch.setenv("STATE", str(state))
    monkeypatch.setenv("PATH", str(state / "bin"), prepend=os.pathsep)

    def since() -> list[str]:
        found = (state / "calls").read_text().splitlines() if (state / "calls").exists() else []
        (state / "calls").write_text("")
        return [call for call in found if not call.startswith(("squeue", "srun", "scontrol --oneliner"))]

    return since


def job(path, id):
    return Job(id, 2.0, path / f"{id}.json", path / id, Attempts(path / f"{id}.jsonl", path / f"{id}.log"))


def executor(path, **more):
    (path / "program.py").write_text(TRAINING)
    return slurm.Slurm(Placement(path / "program.py", path, "a b=c", 2, **more))


def test_trainings_are_one_array_that_may_be_gone_on_with(calls, tmp_path, monkeypatch):
    monkeypatch.setattr(slurm, "_POLL", 0.0)
    jobs = [job(tmp_path, name) for name in "xyz"]
    place = executor(tmp_path, nodes=2, gpus_per_node=8, options={"partition": "night shift", "exclusive": ""})
    place.start(jobs)
    script = tmp_path / "slurm" / "0001.sh"
    assert calls() == [f"sbatch --parsable {script}"]
    options = [line for line in script.read_text().splitlines() if line.startswith("#SBATCH")]
    for option in ("job-name=googlenet-a_b_c", "array=0-2%2", "nodes=2", "gpus-per-node=8", 'partition="night shift"'):
        assert f"#SBATCH --{option}" in options
    assert {"#SBATCH --requeue", "#SBATCH --exclusive", "#SBATCH --signal=USR1@120"} <= set(options)
    assert [task["id"] for task in json.loads((tmp_path / "slurm" / "0001.json").read_text())] == ["x", "y", "z"]
    (tmp_path / "state" / "queue").write_text("12_0 RUNNING\n12_2 PENDING\n7_0 RUNNING\n")
    ((gone, outcome),) = place.wait()
    assert (gone.id, outcome) == ("y", ("crashed", "job 12_1 left the queue: cancelled, or its node was lost"))
    assert (place.running(), place.free()) == (2, 0)
    other = executor(tmp_path)
    assert [found.id for found in other.adopt(jobs)] == ["x", "z"]
    assert slurm.in_queue(tmp_path / "slurm") == {"x": "RUNNING", "z": "PENDING"}


def test_a_single_training_is_submitted_once_and_not_again_as_another(calls, tmp_path):
    run, config = tmp_path / "run", small_config()
    run.mkdir()
    place = executor(run)
    submit(config, run, None, place)
    assert len(calls()) == 1
    (tmp_path / "state" / "queue").write_text("12_0 PENDING\n")
    submit(config, run, None, executor(run))
    with pytest.raises(UserError, match=r"in the queue with another configuration \(seed: 0 -> 1\)"):
        submit(small_config(seed=1), run, None, executor(run))
    assert calls() == []
    (tmp_path / "state" / "queue").write_text("")
    attempts = Attempts(run / "slurm" / "attempts.jsonl", run / "slurm" / "output.log")
    attempts.begin(2.0)
    attempts.log.write_text("error: training diverged: so it is\n")
    with pytest.raises(UserError, match="training diverged: so it is"):
        submit(config, run, None, executor(run))
    assert calls() == []


def test_what_runs_is_cancelled_in_two_steps(calls, tmp_path):
    executor(tmp_path).start([job(tmp_path, "x"), job(tmp_path, "y")])
    (tmp_path / "state" / "queue").write_text("12_0 RUNNING\n12_1 PENDING\n")
    calls()
    assert slurm.cancel(tmp_path / "slurm") == 2
    assert calls() == ["scancel --signal=USR1 12_0", "scancel 12_1"]
    assert slurm.cancelled(tmp_path / "slurm") == {"12_0"}
    assert slurm.cancel(tmp_path / "slurm") == 2
    assert calls() == ["scancel 12_0 12_1"]


@pytest.fixture
def attempted(calls, tmp_path, monkeypatch):
    """One attempt at a training of which this becomes: its status, and whether its job is queued again."""
    monkeypatch.setenv("SLURM_JOB_ID", "14")
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "12")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "0")
    (tmp_path / "program.py").write_text(TRAINING)

    def run(what: str) -> tuple[int, bool]:
        monkeypatch.setenv("WHAT", what)
        status = attempt(job(tmp_path, "x"), tmp_path / "slurm", str(tmp_path / "program.py"), retries=1)
        again = calls()
        assert again in ([], ["scontrol requeue 12_0"])
        return status, bool(again)

    return run


def test_a_training_that_saved_or_crashed_is_queued_again(attempted, tmp_path):
    assert attempted("saved") == (0, True)
    assert attempted("killed") == (0, True)
    assert attempted("saved") == (0, True)  # which is no failure
    assert attempted("killed") == (1, False)
    assert attempted("saved") == (1, False)  # there are no retries left
    outcomes = [line.get("outcome") for line in job(tmp_path, "x").attempts.lines() if line["event"] == "end"]
    assert outcomes == ["saved", "crashed", "saved", "crashed", "crashed"]


def test_one_that_is_done_or_refused_is_not(attempted):
    assert attempted("refused") == (1, False)
    assert attempted("done") == (0, False)
    assert attempted("killed") == (0, False)  # nothing is left to do


def test_nor_one_that_diverged_in_its_last_step_when_its_job_was_lost_before_that_was_noted(attempted, tmp_path):
    assert attempted("done") == (0, False)
    lost = job(tmp_path, "x").attempts
    begun = {"time": 0, "event": "begin", "until": 2.0, "log": lost.log.stat().st_size}
    lost.path.write_text(json.dumps(begun) + "\n")
    lost.log.write_text(lost.log.read_text() + "error: training diverged: x\n")
    assert attempted("done") == (1, False)


def test_one_that_is_cancelled_or_taken_down_is_not(attempted, tmp_path):
    (tmp_path / "state" / "job").write_text("COMPLETING")
    assert attempted("saved") == (1, False)
    (tmp_path / "state" / "job").write_text("RUNNING")
    (tmp_path / "slurm").mkdir()
    (tmp_path / "slurm" / "cancelled.jsonl").write_text('{"jobs": ["12_0"]}\n')
    assert attempted("saved") == (1, False)


def test_outside_of_slurm_it_is_one_line(calls, tmp_path, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    with pytest.raises(UserError, match="within a job of Slurm"):
        attempt(job(tmp_path, "x"), tmp_path, "program.py", 1)


def test_a_refusal_is_told_in_slurms_words(calls, tmp_path):
    place = executor(tmp_path)
    (tmp_path / "state" / "bin" / "sbatch").write_text(
        '#!/bin/bash\necho "sbatch: error: no such partition" >&2; exit 1'
    )
    with pytest.raises(UserError, match="sbatch refuses: error: no such partition"):
        place.start([job(tmp_path, "x")])
