"""launch.py as a user runs it: help, mistakes, training, being killed and going on."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, small, small_config
from readback import final_bytes, leaves_of, newest_checkpoint

import googlenet_jax as gn
from googlenet_jax.config import from_json, to_json, validate
from googlenet_jax.train.signals import StopSignals


def test_help_needs_no_jax(run_command):
    """Neither before nor after it has started itself again with large memory pages."""
    as_a_user = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    result = run_command("-X", "importtime", "launch.py", "--help", env=as_a_user)
    assert result.returncode == 0
    assert "--workdir" in result.stdout
    assert "jaxlib" not in result.stderr
    assert "tensorflow" not in result.stderr


def test_training_does_not_import_tensorflow(run_command):
    code = "import googlenet_jax.train.loop, googlenet_jax.cli, sys; sys.exit('tensorflow' in sys.modules)"
    assert run_command("-c", code).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--config.optimizer.learning_rat=1"], ["optimizer.learning_rat", "did you mean 'optimizer.learning_rate'"]),
        (["--config.optimiser.learning_rate=1"], ["did you mean 'optimizer.learning_rate'"]),
        (["--config", "configs/nowhere.py"], ["configs/nowhere.py", "no such file"]),
        (["--config.batch_size=many"], ["config.batch_size"]),
        (["--config.schedule.name=cosin"], ["config.schedule.name", "cosine"]),
        (["--config.schedule.name=piecewise"], ["as many factors as boundaries"]),
        (["--mode", "evaluate"], ["--workdir"]),
        (["--mode", "evaluate", "--workdir", "nowhere", "--until", "2"], ["--until does not go with --mode evaluate"]),
        (["stray"], ["unexpected argument 'stray'"]),
        (["--workdirr=x"], ["workdirr"]),
    ],
)
def test_mistakes_are_one_line_and_status_2(told, tmp_path, arguments, words):
    workdir = [] if "evaluate" in arguments or "--workdir" in arguments else ["--workdir", tmp_path / "run"]
    status, lines = told(*arguments, *workdir)
    assert (status, len(lines)) == (2, 1), lines
    assert all(word in lines[0] for word in words), lines


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--config.batch_size=63", "--config.num_devices=2"], ["config.batch_size=63", "divide", "64"]),
        (["--config.num_devices=99"], ["config.num_devices=99", "8 cpu devices"]),
        (["--config.dataset.name=folder:/nowhere"], ["folder:/nowhere", "no such directory"]),
        (["--mode", "evaluate"], ["nowhere", "no checkpoint"]),
    ],
)
def test_so_are_those_that_are_found_later(run_command, tmp_path, arguments, words):
    result = run_command("launch.py", *arguments, "--workdir", tmp_path / "nowhere")
    lines = [line for line in result.stderr.splitlines() if line]
    assert (result.returncode, len(lines)) == (2, 1), result.stderr
    assert all(word in lines[0] for word in words), lines


def test_a_run_leaves_what_it_promises(finished_run):
    path = finished_run
    assert "googlenet predict --checkpoint" in (path.parent / "output.txt").read_text()
    assert {p.name for p in path.iterdir()} >= {
        "config.json",
        "checkpoints",
        "metrics.jsonl",
        "tensorboard",
        "train.log",
    }
    assert to_json(from_json((path / "config.json").read_text())) == to_json(small_config())
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    train, val = ([line for line in lines if line["split"] == split] for split in ("train", "val"))
    assert [line["step"] for line in val] == [9]
    assert val[0]["epoch"] == 2
    assert {"loss", "top1", "top5", "learning_rate", "images_per_second", "seconds"} <= train[0].keys()
    assert val[0]["top1"] <= val[0]["top5"] <= 1
    assert list((path / "tensorboard").iterdir())
    assert "val top-1" in (path / "train.log").read_text()


def test_starting_again_from_config_json_alone_gives_the_same_bytes(finished_run, run_command, tmp_path):
    path = finished_run
    result = run_command("launch.py", "--config", path / "config.json", "--workdir", tmp_path / "again")
    assert result.returncode == 0, result.stderr
    assert final_bytes(tmp_path / "again") == final_bytes(path)


def test_another_configuration_is_refused_with_its_differences(finished_run, run_command):
    result = run_command(*small(finished_run, optimizer__learning_rate=0.3))
    assert result.returncode == 2
    assert "optimizer.learning_rate: 0.02 -> 0.3" in result.stderr


def test_a_killed_run_ends_with_the_same_bytes(finished_run, tmp_path):
    """SIGKILL while a checkpoint is written; then the same run until it ends."""
    run = tmp_path / "run"
    command = [sys.executable, *map(str, small(run, checkpoint__every_epochs=0.23))]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 200
    while not list(run.glob("checkpoints/*tmp*")) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL  # it had not ended by itself
    again = subprocess.run(
        [sys.executable, "launch.py", "--workdir", str(run)], cwd=ROOT, capture_output=True, text=True
    )
    assert again.returncode == 0, again.stderr
    assert final_bytes(run) == final_bytes(finished_run)
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)


@pytest.mark.slow
def test_a_signal_saves_and_leaves(tmp_path):
    run = tmp_path / "run"
    command = [sys.executable, *map(str, small(run, num_epochs=500.0))]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 200
    while not (run / "metrics.jsonl").exists() or not (run / "metrics.jsonl").read_text():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "SIGTERM: saved at step" in output
    saved = int(newest_checkpoint(run).name)
    assert f"saved at step {saved} of" in output
    assert gn.load(run / "checkpoints" / str(saved)).step == saved


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP])
def test_stop_signals_are_noted_and_handlers_put_back(number):
    inherited = signal.signal(number, signal.default_int_handler)  # nohup would leave SIGHUP ignored
    try:
        with StopSignals() as stop:
            os.kill(os.getpid(), number)
            assert stop.received == number.name
        assert signal.getsignal(number) == signal.default_int_handler
    finally:
        signal.signal(number, inherited)


def test_a_damaged_checkpoint_falls_back_to_the_one_before(finished_run, run_command, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished_run, run)
    newest = newest_checkpoint(run)
    for data in (newest / "variables").rglob("d/*"):
        data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    result = run_command("launch.py", "--workdir", run)
    assert result.returncode == 0, result.stderr
    assert f"checkpoint {newest.name} is damaged" in result.stderr
    assert final_bytes(run) == final_bytes(finished_run)


@pytest.mark.slow
def test_training_that_stays_non_finite_stops_with_its_last_good_parameters(run_command, tmp_path):
    run = tmp_path / "run"
    result = run_command(
        *small(
            run,
            precision__compute_dtype="float16",
            precision__loss_scaling="fixed",
            precision__loss_scale=1e30,
            precision__max_skipped=3,
        )
    )
    assert result.returncode == 2
    assert "training diverged" in result.stderr
    (saved,) = (run / "checkpoints").iterdir()
    assert saved.name in result.stderr
    assert all(np.isfinite(leaf).all() for _, leaf in leaves_of(gn.load(saved).variables))


@pytest.mark.slow
def test_a_training_that_ends_beyond_use_has_diverged(run_command, tmp_path):
    """Also when all steps but the last few went well, and when it is started again."""
    command = small(
        tmp_path,
        schedule__name="piecewise",
        schedule__boundaries="1,",
        schedule__factors="1e30,",
        optimizer__clip_norm="none",
        eval__every_epochs=1.0,
        checkpoint__keep=1,
    )
    for result in (run_command(*command), run_command(*command)):
        assert result.returncode == 2
        assert "training diverged: the loss on the validation images is not finite" in result.stderr
        assert f"from the best parameters by --config.init_from={tmp_path}/checkpoints/4:" in result.stderr


def test_no_permission_is_one_line(run_command, tmp_path):
    (tmp_path / "file").write_text("")
    result = run_command(*small(tmp_path / "file" / "run"))
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert str(tmp_path / "file") in result.stderr


def test_every_recipe_is_valid():
    recipes = sorted(Path(ROOT / "configs").rglob("*.py"))
    assert len(recipes) >= 11
    for recipe in recipes:
        namespace: dict = {}
        exec(recipe.read_text(), namespace)
        validate(namespace["get_config"]())
