"""Damaged checkpoints: set aside once, and passed over alike by all who read."""

import json
import shutil
from unittest import mock

import numpy as np
import pytest

from googlenet_jax.errors import UserError
from googlenet_jax.runs import checkpoint


def test_the_newest_and_the_best_are_kept(tmp_path):
    checkpoints = checkpoint.Checkpoints(tmp_path, keep=2)
    for step, top1 in enumerate((0.3, 0.9, 0.5, None, 0.4), start=1):
        tree = {"a": np.full(3, step, np.float32)}
        measured = None if top1 is None else {"top1": top1, "top5": 1.0, "loss": 0.1}
        checkpoints.save(step, {"state": tree}, {"step": step}, measured)
    checkpoints.close()
    assert {int(path.name) for path in tmp_path.iterdir() if path.name.isdecimal()} == {2, 4, 5}


def test_a_save_that_fails_is_one_line_and_leaves_what_was_saved(tmp_path):
    checkpoints = checkpoint.Checkpoints(tmp_path, keep=2)
    checkpoints.save(1, {"state": {"a": np.ones(3, np.float32)}}, {"step": 1}, None)
    checkpoints.manager.wait_until_finished()
    full = OSError(28, "No space left on device")
    with mock.patch.object(checkpoints.manager, "save", side_effect=full), pytest.raises(UserError, match="No space"):
        checkpoints.save(2, {"state": {"a": np.ones(3, np.float32)}}, {"step": 2}, None)
    step, found = checkpoints.restore({"state": {"a": np.zeros(3, np.float32)}}, lambda meta: None)
    assert (step, found["state"]["a"].tolist()) == (1, [1, 1, 1])
    checkpoints.close()


def test_what_is_damaged_is_set_aside_once(tmp_path):
    """Processes of one training all find it damaged; nothing that was set aside before is lost."""
    for expected in ("5.damaged", "5.damaged1"):
        (tmp_path / "5").mkdir()
        (tmp_path / "5" / "x").write_text(expected)
        checkpoint._set_aside(tmp_path / "5")
        checkpoint._set_aside(tmp_path / "5")
        assert (tmp_path / expected / "x").read_text() == expected
    assert {path.name for path in tmp_path.iterdir()} == {"5.damaged", "5.damaged1"}


def test_a_temperature_goes_where_it_is_read(finished_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished_run, run)
    best, next_best = checkpoint.find(run)[:2]
    for data in (run / "checkpoints" / best.rpartition("/")[2]).rglob("d/*"):
        data.write_bytes(b"")
    step = checkpoint.read(run)[0]["step"]
    with pytest.raises(UserError, match=f"is the best checkpoint now, the temperature is of step {step + 1}"):
        checkpoint.set_temperature(run, 2.5, step + 1)
    assert checkpoint.set_temperature(run, 2.5, step) == next_best
    assert checkpoint.read(run)[0]["temperature"] == 2.5
    files = [path for path in run.rglob("metadata") if "temperature" in json.loads(path.read_text())]
    assert [str(path.parents[1]) for path in files] == [next_best]
