"""What a training shows beside numbers: images with predictions, histograms, a trace of steps."""

import gzip
import json
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from boards import read_board
from conftest import small_config
from readback import final_bytes

import googlenet_jax as gn
from googlenet_jax.data.loader import Batch
from googlenet_jax.errors import UserError
from googlenet_jax.train.display import TrainingDisplay
from googlenet_jax.train.loop import train_and_evaluate
from googlenet_jax.train.profiler import Profiler
from googlenet_jax.train.sample import Sample


def test_what_is_shown_changes_no_bit_of_the_training(finished_run, tmp_path):
    config = small_config(eval__histograms=True, eval__every_epochs=1.0, eval__show_images=3, profile=(2, 4))
    for until in (1.0, None):  # it goes on where it stopped
        train_and_evaluate(config, tmp_path, until)
    assert final_bytes(tmp_path) == final_bytes(finished_run)

    board = read_board(tmp_path / "tensorboard")
    names = board.Tags()["images"]
    assert len(names) == 3
    for name in names:
        assert [image.step for image in board.Images(name)] == [4, 9]

    tags = set(board.Tags()["tensors"])
    net = gn.load(str(tmp_path / "checkpoints" / "9"))
    leaves = jax.tree_util.tree_leaves_with_path(net.variables["params"])
    weights = {"/".join(key.key for key in path): leaf for path, leaf in leaves}
    assert {tag.removeprefix("weights/") for tag in tags if tag.startswith("weights/")} == weights.keys()
    blocks = {"conv1", "conv2_reduce", "conv2", "inception_3a", "classifier"}
    assert {tag.removeprefix("activations/") for tag in tags if tag.startswith("activations/")} == blocks
    *_, last = board.Tensors("weights/conv1/kernel")
    buckets, kernel = np.frombuffer(last.tensor_proto.tensor_content).reshape(-1, 3), weights["conv1/kernel"]
    assert last.step == 9
    assert buckets[:, 2].sum() == kernel.size
    np.testing.assert_allclose((buckets[0, 0], buckets[-1, 1]), (kernel.min(), kernel.max()), rtol=1e-6)

    (trace,) = (tmp_path / "tensorboard" / "plugins" / "profile").glob("*/*.trace.json.gz")
    assert json.loads(gzip.decompress(trace.read_bytes()))["traceEvents"]
    assert "steps 3 to 4 are traced in" in (tmp_path / "train.log").read_text()


def test_a_sample_is_evenly_spread_and_leaves_out_what_cannot_be_read():
    images = np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1, 1) * np.ones((1, 1, 8, 8, 3), np.uint8)
    classes, probabilities = np.arange(10) % 2, np.linspace(0.1, 1, 10)
    sample = Sample(10, 4)
    for start in (0, 5):
        rows = slice(start, start + 5)
        weights = (np.arange(10)[rows] != 6).astype(np.float32)
        batch = Batch((images[rows],), np.ones(5, np.int32), weights)
        sample.take(batch, jnp.asarray(classes[rows]), jnp.asarray(probabilities[rows]))
    assert sample.crops[:, 0, 0, 0].tolist() == [0, 3, 9]  # of 0, 3, 6, 9
    pictures = sample.pictures(["cat", "dog " * 30 + "\n"], 2)
    assert list(pictures) == ["val/image_0", "val/image_9"]
    wrong, right = pictures.values()
    assert wrong.shape == right.shape == (200, 160, 3)
    assert (right[:160] == 9).all()
    reds, others = (int(((p[180:, :, 0] > 180) & (p[180:, :, 1] < 90)).sum()) for p in (wrong, right))
    assert reds > 20
    assert others == 0


@pytest.mark.parametrize(
    ("steps", "traced"),
    [(range(10), (2, 5)), (range(3, 10), (3, 5)), (range(5, 10), None), (range(4), (2, 4))],
    ids=["all", "resumed within", "resumed after", "stopped within"],
)
def test_steps_that_are_still_to_be_trained_are_traced(steps, traced, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO", "googlenet_jax")
    calls, now = [], [0]
    monkeypatch.setattr(jax.profiler, "start_trace", lambda path: calls.append(now[0]))
    monkeypatch.setattr(jax.profiler, "stop_trace", lambda: calls.append(now[0]))
    profiler = Profiler((2, 5), 10, tmp_path)
    for now[0] in steps:
        profiler.before(now[0], jnp.zeros(()))
        now[0] += 1
        profiler.after(now[0], jnp.zeros(()))
    profiler.close()
    assert tuple(calls) == (traced or ())
    assert caplog.text.count("are traced in") == (traced is not None)


def test_a_trace_that_fails_ends_no_training(tmp_path, monkeypatch, caplog):
    def busy(path):
        raise RuntimeError("Only one profile may be run at a time.")

    monkeypatch.setattr(jax, "profiler", SimpleNamespace(start_trace=busy))
    profiler = Profiler((0, 2), 2, tmp_path)
    for step in (0, 1):
        profiler.before(step, jnp.zeros(()))
        profiler.after(step + 1, jnp.zeros(()))
    profiler.close()
    assert caplog.text.count("nothing is traced: Only one profile") == 1


def test_steps_beyond_the_end_are_refused_before_anything_is_made(tmp_path):
    with pytest.raises(UserError, match=r"config.profile=\(5, 99\): the training ends at step 9"):
        train_and_evaluate(small_config(profile=(5, 99)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_is_decoded_for_a_cache_is_shown_meanwhile(tmp_path, monkeypatch):
    told = []
    for name in ("__enter__", "cached"):
        do = getattr(TrainingDisplay, name)
        monkeypatch.setattr(TrainingDisplay, name, lambda *args, name=name, do=do: [told.append(name), do(*args)][1])
    train_and_evaluate(small_config(dataset__cache="host"), tmp_path / "run", until=0.2)
    assert told[:2] == ["__enter__", "cached"]
