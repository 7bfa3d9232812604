"""The loader's order, its independence of threads, workers and hosts, and what becomes of bad images."""

import functools
import logging

import jax
import numpy as np
import pytest
from conftest import small_config

from googlenet_jax.data import order
from googlenet_jax.data.bad_images import BadImageLog
from googlenet_jax.data.crops.resize import center_crop
from googlenet_jax.data.crops.training import make_train_crop
from googlenet_jax.data.crops.windows import DRAWS
from googlenet_jax.data.loader import Process, eval_batches, train_batches
from googlenet_jax.data.pictures.picture import BadImageError
from googlenet_jax.data.sources.opening import open_source
from googlenet_jax.errors import UserError

ALONE = Process(0, 1)
no_crop = functools.partial(center_crop, size=32, fraction=1.0)


def eval_crop(picture):
    return (no_crop(picture),)


def take(iterator, count):
    return [next(iterator) for _ in range(count)]


def same(ours, theirs):
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def batches_of(folder, first=0, process=ALONE, **changes):
    config = small_config(batch_size=4, dataset__name=f"folder:{folder}", augment__crop="resized", **changes)
    return train_batches(open_source(config)[0], config, no_crop, BadImageLog("mend"), first, process)


def test_batches_are_a_function_of_seed_and_number(image_folder):
    whole = take(batches_of(image_folder), 8)
    same(whole, take(batches_of(image_folder, dataset__num_threads=1), 8))
    same(whole, take(batches_of(image_folder, dataset__num_threads=4), 8))
    same(whole[5:], take(batches_of(image_folder, first=5), 3))
    halves = [take(batches_of(image_folder, process=Process(i, 2)), 8) for i in range(2)]
    same(whole, [jax.tree.map(lambda *parts: np.concatenate(parts), *pair) for pair in zip(*halves, strict=True)])
    assert any(
        (a.images != b.images).any() for a, b in zip(whole, take(batches_of(image_folder, seed=1), 8), strict=True)
    )
    assert next(batches_of(image_folder, first=500_000)).images.shape == (4, 32, 32, 3)


def test_worker_processes_give_the_same_batches(image_folder):
    workers = batches_of(image_folder, dataset__num_workers=2, dataset__num_threads=1)
    same(take(batches_of(image_folder), 5), take(workers, 5))
    workers.close()


def test_random_numbers_belong_to_positions():
    whole = order.draws(3, 0, 50, 24)
    np.testing.assert_array_equal(whole[17:29], order.draws(3, 17, 12, 24))
    assert len(np.unique(whole)) == whole.size
    assert abs(whole.mean() - 0.5) < 0.03


def test_every_epoch_is_a_new_permutation_of_all_images():
    config = small_config(batch_size=9, dataset__synthetic_images=70, augment__crop="none", augment__flip=False)
    source = open_source(config)[0]
    batches = take(train_batches(source, config, no_crop, BadImageLog("error")), 16)
    rows = [image.tobytes() for batch in batches for image in batch.images]
    assert len(set(rows[:70])) == len(set(rows[70:140])) == 70
    assert rows[:70] != rows[70:140]


def test_an_odd_number_of_images_is_repeated_one_by_one():
    whole = order.repeated(0, 7, 0, 36, 9, 3)
    np.testing.assert_array_equal(whole.reshape(12, 3), order.indices(0, 7, 0, 12)[:, None].repeat(3, 1))


@pytest.mark.parametrize("position", [0, 5, 66])
def test_a_batch_may_have_each_image_several_times(position):
    """Batches of 12 of 4 images each, of a set of 7, two and two in turns; any part of them is the same part."""
    whole = order.repeated(0, 7, 0, 72, 12, 3)
    once = order.indices(0, 7, 0, 24).reshape(12, 1, 2)
    np.testing.assert_array_equal(whole.reshape(12, 3, 2), once.repeat(3, 1))
    np.testing.assert_array_equal(order.repeated(0, 7, position, 6, 12, 3), whole[position : position + 6])
    np.testing.assert_array_equal(order.repeated(0, 7, position, 6, 12, 1), order.indices(0, 7, position, 6))


class Counted:
    """A source that counts what is asked of it."""

    def __init__(self, source):
        self.source, self.labels, self.asked = source, source.labels, []

    def __len__(self):
        return len(self.source)

    def __getitem__(self, index):
        self.asked.append(index)
        return self.source[index]


@pytest.mark.parametrize("crop", ["resized", "random", "none"])
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("size", [20, 90])  # of images of 48x40 px: at 20 px the decoder of JPEGs may shrink them
def test_an_image_in_a_batch_several_times_is_read_once_for_the_same_crops(image_folder, crop, antialias, size):
    changes = {
        "dataset__image_size": size,
        "augment__crop": crop,
        "augment__antialias": antialias,
        "dataset__num_threads": 1,
    }
    config = small_config(batch_size=16, dataset__name=f"folder:{image_folder}", augment__repeats=4, **changes)
    source = Counted(open_source(config)[0])
    evaluation = functools.partial(center_crop, size=size, fraction=1.0)
    batches = train_batches(source, config, evaluation, BadImageLog("error"))
    batch = next(batches)
    batches.close()
    first = order.repeated(0, len(source), 0, 16, 16, 4).tolist()
    assert source.asked[:4] == list(dict.fromkeys(first))
    cut, draws = make_train_crop(config, evaluation), order.draws(0, 0, 16, DRAWS).tolist()
    alone = [cut(source.source[index][0], drawn) for index, drawn in zip(first, draws, strict=True)]
    np.testing.assert_array_equal(batch.images, alone)
    halves = [next(train_batches(source, config, evaluation, BadImageLog("error"), 0, Process(i, 2))) for i in (0, 1)]
    np.testing.assert_array_equal(batch.images, np.concatenate([half.images for half in halves]))


@pytest.mark.parametrize("hosts", [1, 2, 4])
def test_evaluation_sees_each_image_once_and_fills_the_last_batch(hosts):
    config = small_config(dataset__synthetic_images=72)
    source = open_source(config)[1]
    seen = []
    for host in range(hosts):
        process = Process(host, hosts)
        batches = list(eval_batches(source, config, eval_crop, BadImageLog("error"), 4, process))
        assert [batch.images[0].shape for batch in batches] == [(4 // hosts, 32, 32, 3)] * 4
        seen += [batch.images[0][row].tobytes() for batch in batches for row in np.flatnonzero(batch.weights)]
    assert (len(source), len(seen), len(set(seen))) == (14, 14, 14)


def damage(folder):
    """A truncated, an empty and a text file among the training images, and a truncated one to validate."""
    (folder / "train" / "cat" / "0.jpg").write_bytes((folder / "train" / "cat" / "0.jpg").read_bytes()[:300])
    (folder / "train" / "cat" / "2.jpg").write_bytes(b"")
    (folder / "train" / "dog" / "0.jpg").write_text("not an image")
    (folder / "val" / "dog" / "0.jpg").write_bytes((folder / "val" / "dog" / "0.jpg").read_bytes()[:300])


@pytest.mark.parametrize(("workers", "repeats"), [(0, 1), (1, 1), (0, 2)])
def test_bad_images_are_skipped_named_once_and_counted(image_folder, caplog, workers, repeats):
    damage(image_folder)
    changes = {"augment__crop": "none", "dataset__num_workers": workers, "augment__repeats": repeats}
    config = small_config(batch_size=4, dataset__name=f"folder:{image_folder}", **changes)
    train, val = open_source(config)
    log = BadImageLog("mend")
    batches = train_batches(train, config, no_crop, log)
    with caplog.at_level(logging.WARNING):
        assert all(batch.weights.all() for batch in take(batches, 9 * repeats))
    batches.close()
    assert len(log.skipped) == 3
    for name in ("cat/0.jpg", "cat/2.jpg", "dog/0.jpg"):
        assert caplog.text.count(name) == 1
    weights = [batch.weights for batch in eval_batches(val, config, eval_crop, BadImageLog("skip"), 4)]
    assert np.concatenate(weights).sum() == 5


def test_odd_images_are_mended_skipped_or_an_error(image_folder, caplog):
    jpeg = image_folder / "train" / "cat" / "0.jpg"
    (image_folder / "train" / "cat" / "claims.png").write_bytes(jpeg.read_bytes())

    def load(policy):
        config = small_config(dataset__name=f"folder:{image_folder}", dataset__bad_images=policy, augment__crop="none")
        log = BadImageLog(policy)
        take(train_batches(open_source(config)[0], config, no_crop, log), 2)
        return len(log.mended), len(log.skipped)

    with caplog.at_level(logging.INFO):
        assert load("mend") == (1, 0)
    assert caplog.text.count(" mended ") == 1
    assert load("skip") == (0, 1)
    with pytest.raises(BadImageError, match=r"claims.png: a JPEG file.*bad_images=mend"):
        load("error")


def test_no_readable_image_is_one_line(image_folder):
    for path in (image_folder / "train").rglob("*.*"):
        path.write_bytes(b"")
    with pytest.raises(UserError, match="12 training images one after the other"):
        next(batches_of(image_folder))
