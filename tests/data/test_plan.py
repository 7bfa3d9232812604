"""What is loaded ahead, and that it fits into the shared memory that there is."""

import contextlib
import functools
import itertools
import logging

import numpy as np
import pytest
from conftest import small_config

from googlenet_jax.data import plan
from googlenet_jax.data.bad_images import BadImageLog
from googlenet_jax.data.crops.resize import center_crop
from googlenet_jax.data.loader import _readable_errors, eval_batches, train_batches
from googlenet_jax.data.plan import make_plan
from googlenet_jax.data.sources.opening import open_source
from googlenet_jax.errors import UserError

IMAGE = 3 * 224**2
MIB = 1 << 20


@pytest.fixture
def machine(monkeypatch):
    """A machine of 8 cores with so many bytes of shared memory free, where nobody was warned yet."""

    def free(count):
        monkeypatch.setattr(plan, "free_shared_memory", lambda: count)
        monkeypatch.setattr(plan, "cpu_cores", lambda: 8)
        monkeypatch.setattr(plan, "_warned", set())

    return free


def planned(workers, share=256, what="training", image_bytes=IMAGE):
    config = small_config(dataset__num_workers=workers).dataset
    return make_plan(share, image_bytes, config, what)


def test_where_there_is_room_two_batches_are_ready(machine, caplog):
    for free in (None, 64 << 30):
        machine(free)
        found = planned(2)
        assert (found.size, found.threads, found.ahead, found.buffer) == (32, 4, 16, 16)
    machine(0)
    assert planned(0).workers == 0
    assert not caplog.records


def test_parts_hold_what_is_best_loaded_together(machine):
    machine(None)
    config = small_config().dataset
    assert [make_plan(share, IMAGE, config, "training", unit=12).size for share in (96, 60, 40)] == [24, 12, 20]
    config = small_config(dataset__num_workers=8).dataset
    machine(256 * MIB)
    assert make_plan(96, IMAGE, config, "training", unit=12).size == 12


@pytest.mark.parametrize(("workers", "share"), [*itertools.product((1, 2, 4, 8), (256, 64, 37))])
def test_what_is_planned_fits_into_half_of_a_containers_64_mb(machine, workers, share, caplog):
    machine(64 * MIB)
    found = planned(workers, share)
    assert found.shared_bytes(IMAGE) <= 32 * MIB
    assert (found.workers, share % found.size, found.buffer > 0) == (workers, 0, True)
    assert "docker run --shm-size=" in caplog.text
    assert "--ipc=host" in caplog.text


def test_a_warning_is_given_once(machine, caplog):
    machine(64 * MIB)
    for _ in range(3):
        planned(2)
    assert caplog.text.count("64 MiB free") == 1


def test_without_any_room_a_training_is_refused_and_threads_evaluate(machine, caplog):
    machine(2 * MIB)
    with pytest.raises(UserError, match=r"num_workers=4 needs .* MiB.*/dev/shm has 2 MiB.*--shm-size=.*num_workers=0"):
        planned(4)
    with caplog.at_level(logging.WARNING):
        found = planned(4, what="validation")
    assert (found.workers, found.size, found.threads) == (0, 32, 8)
    assert "meanwhile threads load validation images" in caplog.text


def test_small_parts_make_the_same_batches(image_folder, machine):
    """Of threads with room, of processes without, and of threads that take the place of processes."""
    changes = {"batch_size": 32, "dataset__name": f"folder:{image_folder}", "augment__crop": "resized"}

    def batches(free, workers):
        machine(free)
        config = small_config(**changes, dataset__num_workers=workers, dataset__num_threads=1)
        train, val = open_source(config)
        endless = train_batches(train, config, center, BadImageLog("mend"))
        with contextlib.closing(endless):
            images = [batch.images for batch in itertools.islice(endless, 2)]
        evaluated = eval_batches(val, config, lambda picture: (center(picture),), BadImageLog("mend"), 4)
        return images, [batch.images[0] for batch in evaluated]

    center = functools.partial(center_crop, size=32, fraction=1.0)
    wanted = batches(64 << 30, 0)
    part = 3 * 32**2 + 3 * 4096
    for there, expected in zip(batches(20 * part, 1), wanted, strict=True):
        np.testing.assert_array_equal(there, expected)


def test_a_process_that_is_killed_is_one_line():
    with pytest.raises(UserError, match=r"exit code -7.*--shm-size"), _readable_errors():
        raise RuntimeError("Worker process was terminated unexpectedly with exit code -7. Search the logs above")
    with pytest.raises(RuntimeError, match="another"), _readable_errors():
        raise RuntimeError("another")
