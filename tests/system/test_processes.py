"""Waiting for other processes: it says so at once, and ends with one line."""

import os
import re
import subprocess
import sys

import pytest
from conftest import ROOT

from googlenet_jax.errors import UserError
from googlenet_jax.system.processes import join_processes

STEP = {
    "SLURM_JOB_ID": "1",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_NTASKS": "4",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
    "SLURM_STEP_NODELIST": "localhost",
}


def test_a_shell_within_a_slurm_step_waits_aloud_and_not_for_ever():
    """`srun -n 4 --pty bash`: one process is started where Slurm tells of four."""
    env = os.environ | STEP | {"GOOGLENET_JAX_WAIT": "1"}
    code = "from googlenet_jax.system.processes import join_processes; join_processes()"
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    first, *_, last = result.stderr.splitlines()
    assert re.match(r"process 0 of 4 \(as Slurm says\) waits up to 1 s .*unset SLURM_STEP_NUM_TASKS", first)
    assert re.match("error: process 0 of 4 .* in vain: .*unset SLURM_STEP_NUM_TASKS", last)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        (
            {"SLURM_STEP_NUM_TASKS": "4"},
            "SLURM_JOB_ID, SLURM_STEP_NODELIST, SLURM_NTASKS, .* not set.*unset SLURM",
        ),
        (STEP | {"SLURM_PROCID": "x"}, "numbers are none"),
        ({"JAX_COORDINATOR_ADDRESS": "host:1"}, "needs JAX_NUM_PROCESSES and JAX_PROCESS_ID"),
        ({"JAX_PROCESS_ID": "1"}, "JAX_COORDINATOR_ADDRESS=host:port needs"),
        (
            {"JAX_COORDINATOR_ADDRESS": "h:1", "JAX_NUM_PROCESSES": "2", "JAX_PROCESS_ID": "2"},
            "JAX_PROCESS_ID=2 is none of JAX_NUM_PROCESSES=2 processes",
        ),
    ],
)
def test_a_part_of_the_variables_is_one_line(monkeypatch, variables, words):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=words):
        join_processes()


@pytest.mark.parametrize("tasks", ["", "1"])
def test_alone_is_alone(monkeypatch, tasks):
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", tasks)
    join_processes()


@pytest.mark.parametrize(
    ("variables", "visible"),
    [
        ({"SLURM_STEP_TASKS_PER_NODE": "2(x3),1", "SLURM_NODEID": "3"}, "all"),
        ({"SLURM_STEP_TASKS_PER_NODE": "2", "SLURM_NODEID": "0", "CUDA_VISIBLE_DEVICES": "0"}, "all"),
        ({"SLURM_STEP_TASKS_PER_NODE": "2", "SLURM_NODEID": "0", "CUDA_VISIBLE_DEVICES": "0,1"}, "0"),
        ({"SLURM_STEP_TASKS_PER_NODE": "1", "SLURM_NODEID": "0", "JAX_LOCAL_DEVICE_IDS": "3"}, "3"),
    ],
)
def test_a_task_alone_on_its_node_has_all_its_gpus(variables, visible):
    """JAX's own choice is one GPU a task; none is needed to see which it would take."""
    step = STEP | {"SLURM_STEP_NUM_TASKS": "2", "SLURM_NTASKS": "1", "SLURM_JOB_ID": str(os.getpid())}
    code = """if True:
    from googlenet_jax.system.processes import join_processes
    import jax
    join_processes()
    print(jax.config.values["jax_cuda_visible_devices"])"""
    result = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | step | variables, cwd=ROOT, capture_output=True, text=True
    )
    assert result.stdout == f"{visible}\n", result.stderr
