"""Damaged checkpoints: set aside once, and passed over alike by all who read."""

import json
import shutil

import pytest

from googlenet_jax.errors import UserError
from googlenet_jax.runs import checkpoint


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
