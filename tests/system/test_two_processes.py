"""Two processes train as one does, stop together, and go on after being killed."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
from conftest import ROOT, small
from readback import final_bytes


def start(run):
    """Two processes with a device each, the first of which writes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    processes = []
    for number in range(2):
        env = os.environ | {
            "JAX_COORDINATOR_ADDRESS": address,
            "JAX_NUM_PROCESSES": "2",
            "JAX_PROCESS_ID": str(number),
            "XLA_FLAGS": os.environ["XLA_FLAGS"].replace("device_count=8", "device_count=1"),
        }
        command = [sys.executable, *map(str, small(run))]
        out = subprocess.PIPE
        processes.append(subprocess.Popen(command, cwd=ROOT, env=env, stdout=out, stderr=out, text=True))
    return processes


def wait_for(path, processes, text=""):
    while not (path.exists() and text in path.read_text()):
        assert all(process.poll() is None for process in processes), [process.communicate() for process in processes]
        time.sleep(0.05)


def finished(processes):
    """What they printed, once all have ended well."""
    output, errors = zip(*(process.communicate(timeout=200) for process in processes), strict=True)
    assert [process.returncode for process in processes] == [0, 0], errors
    return output


def test_two_processes_train_as_one_and_stop_together(finished_run, run_command, tmp_path):
    """And one process can go on with what they saved."""
    run = tmp_path / "run"
    processes = start(run)
    wait_for(run / "metrics.jsonl", processes, '"step": 2')
    processes[1].send_signal(signal.SIGTERM)  # told to one, obeyed by both
    first, second = finished(processes)
    assert "SIGTERM: saved at step" in first
    assert "saved at step" not in second
    assert "resuming at step" in run_command(*small(run)).stdout
    assert final_bytes(run)[0] == "9"
    ours, theirs = ((path / "metrics.jsonl").read_text().splitlines() for path in (run, finished_run))
    assert len(ours) == len(theirs)
    # Later on, what the order of additions rounded otherwise has grown.
    ours, theirs = json.loads(ours[0]), json.loads(theirs[0])
    np.testing.assert_allclose(ours["loss"], theirs["loss"], rtol=1e-4)
