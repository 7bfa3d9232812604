"""Two processes train as one does, stop together, and go on after being killed."""

import json
import re
import signal
import time

import numpy as np
from conftest import small
from readback import final_bytes
from several import ended, start_two


def start(run, **changes):
    """Two processes with a device each, the first of which writes."""
    return start_two(small(run, **changes))


def wait_for(path, processes, text=""):
    """Until the file has the text."""
    wait_until(lambda: path.exists() and text in path.read_text(), processes)


def wait_until(happened, processes):
    while not happened():
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


def test_one_is_killed_and_both_go_on_when_started_again(finished_run, tmp_path):
    run = tmp_path / "run"
    processes = start(run, checkpoint__every_epochs=0.5)
    wait_until(lambda: any(path.name.isdecimal() for path in run.glob("checkpoints/*")), processes)
    processes[1].kill()
    killed = time.monotonic()
    line = ended(processes[0], 3)
    assert time.monotonic() - killed < 30
    assert re.fullmatch("error: process 1 of 2 .* is gone: .* start again to resume", line)
    assert "resuming at step" in finished(start(run, checkpoint__every_epochs=0.5))[0]
    ours, theirs = (json.loads((path / "metrics.jsonl").read_text().splitlines()[-1]) for path in (run, finished_run))
    assert ours["step"] == theirs["step"] == 9
    np.testing.assert_allclose(ours["loss"], theirs["loss"], rtol=1e-2)
