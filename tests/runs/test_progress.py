"""How far a run is, by its directory alone."""

import json

import pytest

from googlenet_jax.runs.progress import read_progress


def leave(run, step, epoch, **values):
    meta = run / "checkpoints" / str(step) / "meta"
    meta.mkdir(parents=True)
    (meta / "metadata").write_text(json.dumps({"step": step, "epoch": epoch}))
    with (run / "metrics.jsonl").open("a") as file:
        line = {"step": step, "epoch": round(epoch, 4), "split": "val", "seconds": 1.0, **values}
        file.write(json.dumps(line) + "\n")


def test_epochs_that_end_within_a_batch_count_at_their_step(tmp_path):
    """Of 9,469 images in batches of 128 an epoch is 73.98 steps; epoch 4 ends at step 296, which is epoch 4.0012."""
    per_epoch = 9469 / 128
    for epoch in (1, 2, 3, 4):
        leave(tmp_path, round(epoch * per_epoch), round(epoch * per_epoch) / per_epoch, top1=epoch / 10)
    progress = read_progress(tmp_path)
    assert progress.epoch == pytest.approx(4.0012, abs=1e-4)
    assert [progress.reached(epoch) for epoch in (1, 3.999, 4, 4.01, 5)] == [True, True, True, False, False]
    assert [progress.last("val", "top1", epoch) for epoch in (1, 2, 3, 4)] == [0.1, 0.2, 0.3, 0.4]
    assert len(progress.measured("val", "top1")) == 4
    assert progress.measured("train", "top1") == []


def test_what_is_not_saved_does_not_count(finished_run, tmp_path):
    assert read_progress(tmp_path) == (0, 0.0, [])
    assert not read_progress(tmp_path).reached(0.1)
    real = read_progress(finished_run)
    assert (real.step, real.epoch) == (9, 2.0)
    assert real.reached(2.0)
    leave(tmp_path, 2, 1.0, top1=0.5)
    (tmp_path / "checkpoints" / "4.orbax-checkpoint-tmp").mkdir()
    (tmp_path / "checkpoints" / "6").mkdir()  # its meta is gone
    (tmp_path / "metrics.jsonl").open("a").write('{"step": 4, "epoch": 2.0, "split": "val", "seconds": 2, "top1": 1}\n')
    progress = read_progress(tmp_path)
    assert (progress.step, progress.measured("val", "top1")) == (2, [(1.0, 0.5)])
