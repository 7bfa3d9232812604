"""What became of an attempt, from its status and what it printed."""

import subprocess
import sys

import pytest

from googlenet_jax.runs.progress import Progress
from googlenet_jax.sweep.attempts import Attempts, Outcome

NOTHING, THERE = Progress(0, 0.0, []), Progress(10, 2.0, [])


def attempts(tmp_path, printed="", earlier="error: of another attempt\n"):
    made = Attempts(tmp_path / "attempts" / "a.jsonl", tmp_path / "a.log")
    made.log.write_text(earlier)
    made.begin(2.0)
    made.log.write_text(earlier + printed)
    return made


@pytest.mark.parametrize(
    ("status", "printed", "kind", "error"),
    [
        (0, "", "saved", ""),
        (-15, "", "saved", ""),
        (138, "", "saved", ""),
        (-9, "", "crashed", "killed by SIGKILL"),
        (137, "", "crashed", "killed by SIGKILL"),
        (None, "SIGTERM: saved at step 3 of 9 and stopped\n", "saved", ""),
        (None, "", "crashed", "it ended without a word"),
        (2, "error: config.batch_size=3 does not divide\n", "refused", "config.batch_size=3 does not divide"),
        (2, "error: /run: No space left on device\n", "failed", "/run: No space left on device"),
        (2, "error: training diverged: config.x\n", "diverged", "training diverged: config.x"),
        (1, "Traceback (most recent call last):\n  x\nValueError: no\n", "failed", "ValueError: no"),
        (2, "error: out of device memory: lower config.batch_size\n", "failed", None),
        (2, "error: /data/config.v2/config.json: No space left\n", "failed", None),
        (2, "error: config.dataset.name='folder:/x': there is no such directory\n", "failed", None),
        (None, "error: /run: gone\n", "failed", "/run: gone"),
    ],
)
def test_outcomes(tmp_path, status, printed, kind, error):
    outcome = attempts(tmp_path, printed).judge(status, NOTHING)
    assert outcome.kind == kind
    assert error is None or outcome.error == error


def test_what_was_asked_for_counts_whatever_the_status(tmp_path):
    assert attempts(tmp_path).judge(-9, THERE).kind == "done"


def test_a_sweep_tells_of_a_divergence_without_the_way_out():
    told = "training diverged: the loss is not finite. Begin again in another --workdir"
    assert Outcome("diverged", told).brief == "training diverged: the loss is not finite"
    assert Outcome("failed", "a. b").brief == "a. b"


def test_who_diverges_in_the_last_step_has_diverged(tmp_path):
    assert attempts(tmp_path, "error: training diverged: config.x\n").judge(2, THERE).kind == "diverged"


def test_what_ended_it_for_good_is_known_though_nobody_noted_it(tmp_path):
    made = attempts(tmp_path, "error: training diverged: config.x\n")
    assert made.final() == ("diverged", "training diverged: config.x")
    made.end(made.judge(2, THERE))
    assert made.final() == ("diverged", "training diverged: config.x")
    made.begin(3.0)
    assert made.final() is None


def test_an_attempt_is_under_way_while_any_process_has_its_file(tmp_path):
    made = attempts(tmp_path)
    assert not made.under_way()
    with made.take() as file:
        sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
        child = subprocess.Popen(sleeper, pass_fds=[file.fileno()])
    assert made.under_way()
    assert made.take() is None
    child.kill()
    child.wait()
    assert not made.under_way()


def test_lines_that_a_crash_cut_off_are_left_out(tmp_path):
    made = attempts(tmp_path)
    made.path.write_bytes(made.path.read_bytes() + b'{"event": "en')
    made.end(made.judge(0, NOTHING))
    assert [line["event"] for line in made.lines()] == ["begin", "end"]
    assert made.last() == ("saved", "")
