"""Trainings under circumstances: read by nobody, in a thread, made longer, begun from a network that is gone."""

import json
import shutil
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from conftest import ROOT, small_config
from readback import final_bytes, newest_checkpoint

import googlenet_jax as gn
from googlenet_jax.errors import UserError
from googlenet_jax.train.loop import train_and_evaluate
from googlenet_jax.train.signals import StopSignals
from googlenet_jax.train.start import tell_unreached


def test_a_training_that_nobody_reads_goes_on_and_may_grow(finished_run, tmp_path):
    """`launch.py ... | head -1`, in a directory with a colon: the longer run ends as if nothing was."""
    run = tmp_path / "2026-01-01T10:00:00"
    shutil.copytree(finished_run, run)
    command = [sys.executable, "launch.py", f"--workdir={run}", "--config.num_epochs=3", "--config.num_devices=1"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline().startswith("resuming at step 9")
    process.stdout.close()
    errors = process.stderr.read()
    assert process.wait() == 0, errors
    assert newest_checkpoint(run).name == "14"
    log = (run / "train.log").read_text()
    assert "config.num_epochs is 3.0 from step 9 on, it was 2.0" in log
    assert "config.num_devices is 1 from step 9 on, it was 2" in log
    assert "the cosine schedule ends at epoch 3 now: the learning rate goes on at" in log
    assert "nothing can be printed any more" in log
    line = json.loads((run / "metrics.jsonl").read_text().splitlines()[-2])
    assert line["split"] == "train"
    assert line["gradient_norm"] > 0
    assert line["parameter_norm"] > 1


def test_training_in_a_thread_from_a_network_that_is_gone_later(finished_run, tmp_path):
    origin = tmp_path / "origin"
    shutil.copytree(finished_run, origin)
    config = small_config(init_from=str(origin), schedule__name="constant", model__num_classes=6)
    results = []
    for epochs in (0.25, 0.5):
        config.num_epochs = epochs
        thread = threading.Thread(target=lambda: results.append(train_and_evaluate(config, tmp_path / "run")))
        thread.start()
        thread.join()
        shutil.rmtree(origin, ignore_errors=True)
    assert [result["step"] for result in results] == [1, 2]
    with pytest.raises(UserError, match="no checkpoint there"):
        train_and_evaluate(config, tmp_path / "another")
    assert np.isfinite(results[-1]["val"]["loss"])


def test_images_may_move_but_not_change(finished_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished_run, run)
    before = final_bytes(run)
    with pytest.raises(UserError, match="was trained on other data: its labels were class 0"):
        train_and_evaluate(small_config(dataset__name="digits"), run)
    assert final_bytes(run) == before
    assert not (run / "config_history.jsonl").exists()


def test_the_checkpoints_configuration_counts_where_config_json_is_gone(finished_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished_run, run)
    (run / "config.json").unlink()
    with pytest.raises(UserError, match=r"another configuration \(optimizer.learning_rate: 0.02 -> 0.5\)"):
        train_and_evaluate(small_config(optimizer__learning_rate=0.5, num_epochs=3.0), run)
    assert not (run / "config.json").exists()
    assert train_and_evaluate(small_config(), run)["finished"]


def test_nohup_stays_nohup():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignals() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert stop.received is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_results_that_cannot_be_written_are_no_success(finished_run):
    arguments = ("-m", "googlenet_jax.cli", "evaluate", "--checkpoint", finished_run, "--json")
    with open("/dev/full", "w") as full:
        command = [sys.executable, *map(str, arguments)]
        result = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 2
    assert "No space left" in result.stderr


@pytest.mark.slow
def test_evaluation_and_use_may_see_larger_images_than_training(tmp_path):
    config = small_config(eval__image_size=48)
    train_and_evaluate(config, tmp_path, until=1)
    net = gn.load(tmp_path)
    assert net.preprocess.image_size == 48 and net.preprocess(np.zeros((1, 60, 60, 3), np.uint8)).shape[1] == 48
    config.dataset.network_size = 64
    with pytest.raises(UserError, match=r"eval\.image_size and config\.dataset\.network_size"):
        train_and_evaluate(config, tmp_path / "both")


def test_boundaries_that_are_never_reached_are_told(caplog):
    shortened = {"schedule__name": "piecewise_exponential", "schedule__boundaries": (1.0, 2.0, 3.0, 4.5)}
    tell_unreached(small_config(**shortened))
    assert "after the last epoch, 2: 3, 4.5; the learning rate" in caplog.text
    caplog.clear()
    tell_unreached(small_config(**shortened | {"schedule__name": "cosine"}))
    tell_unreached(small_config(**shortened, num_epochs=4.5))
    assert not caplog.records
