"""What feeds the train step: from the host or from the devices, the same batches at any start."""

import itertools

import jax
import numpy as np
import pytest
from conftest import small_config

from googlenet_jax.data import cache
from googlenet_jax.data.bad_images import BadImageLog
from googlenet_jax.data.sources.opening import open_source
from googlenet_jax.errors import UserError
from googlenet_jax.train import feed as feeding
from googlenet_jax.train.feed import feed
from googlenet_jax.train.setup import build_training


def batches(config, count, first=0):
    source = open_source(config)[0]
    training = build_training(config, len(source), len(source.labels))
    fed = feed(source, training, BadImageLog("mend"), first, lambda done, total: None)
    found = [jax.tree.map(np.asarray, batch) for batch in itertools.islice(fed, count)]
    fed.close()
    return [jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), batch) for batch in found]


def same(ours, theirs):
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


@pytest.mark.parametrize(("where", "repeats"), [("host", 1), ("device", 1), ("device", 4)])
def test_cached_images_are_the_loaders(where, repeats):
    config = small_config(augment__crop="shift", augment__flip=False, augment__repeats=repeats)
    whole = batches(config, 7)
    cached = config.copy_and_resolve_references()
    cached.dataset.cache = where
    same(whole, batches(cached, 7))
    same(whole[5:], batches(cached, 2, first=5))
    cached.num_devices = 4
    same(whole, batches(cached, 7))


@pytest.mark.parametrize("crop", ["resized", "random"])
def test_crops_cut_on_the_device_depend_on_seed_and_number_alone(image_folder, crop):
    def config(**changes):
        changes |= {"dataset__name": f"folder:{image_folder}", "dataset__cache": "device", "augment__crop": crop}
        return small_config(batch_size=8, eval__crop_fraction=0.875, **changes)

    whole = batches(config(), 4)
    assert whole[0][0].shape == (8, 32, 32, 3)
    assert len({image.tobytes() for images, _ in whole for image in images}) > 28
    same(whole[2:], batches(config(), 2, first=2))
    for ours, theirs in zip(whole, batches(config(num_devices=8), 4), strict=True):
        np.testing.assert_allclose(ours[0].astype(int), theirs[0], atol=1)  # XLA rounds otherwise in other shapes
        np.testing.assert_array_equal(ours[1], theirs[1])
    assert (whole[0][0] != batches(config(seed=1), 1)[0][0]).any()


def test_a_cache_leaves_out_what_cannot_be_read(image_folder):
    (image_folder / "train" / "cat" / "0.jpg").write_bytes(b"")
    changes = {"dataset__name": f"folder:{image_folder}", "dataset__cache": "host", "augment__crop": "resized"}
    config = small_config(eval__crop_fraction=0.875, **changes)
    log, told = BadImageLog("mend"), []
    source = cache.cached(open_source(config)[0], config, log, lambda *progress: told.append(progress))
    assert (len(source), len(log.skipped), told[-1]) == (11, 1, (12, 12))
    assert source.images.shape[1:] == (37, 37, 3)  # 32 px is 0.875 of it
    assert sorted(source.classes) == [0] * 5 + [1] * 6


def test_a_cache_that_does_not_fit_is_one_line(monkeypatch):
    monkeypatch.setattr(cache, "free_memory", lambda: 10_000)
    config = small_config(dataset__cache="host")
    with pytest.raises(UserError, match=r"0\.0 GiB for 72 images of 32 px"):
        cache.cached(open_source(config)[0], config, BadImageLog("mend"))


def test_no_process_gets_a_copy_of_a_cache(monkeypatch):
    seen = []

    def batches(source, config, *_):
        seen.append(config.dataset.num_workers)
        yield from ()

    monkeypatch.setattr(feeding, "train_batches", batches)
    for where in ("host", "none"):
        config = small_config(dataset__cache=where, dataset__num_workers=2)
        source, _ = open_source(config)
        training = build_training(config, len(source), 4)
        assert list(feeding.feed(source, training, BadImageLog("mend"), 0, lambda *_: None)) == []
    assert seen == [0, 2]


def test_an_odd_number_of_different_images_is_not_mixed():
    with pytest.raises(UserError, match="4 times each"):
        build_training(small_config(batch_size=12, augment__repeats=4, augment__mixup=0.2), 72, 4)
