"""Sources, crops, the loader's order, and what it does with bad images."""

import logging
from unittest import mock

import jax
import numpy as np
import pytest
from conftest import small_config
from PIL import Image

from googlenet_jax.data.augment import augment, recolor, shift
from googlenet_jax.data.images import (
    BadImageError,
    center_crop,
    decode_image,
    random_crop,
    random_resized_crop,
    read_image,
)
from googlenet_jax.data.loader import eval_batches, train_batches
from googlenet_jax.data.sources import BadImageLog, open_source
from googlenet_jax.errors import UserError
from googlenet_jax.preprocess import Preprocess


def take(iterator, count):
    return [next(iterator) for _ in range(count)]


def no_crop(image):
    return center_crop(image, 32, 1.0)


def test_batches_are_a_function_of_seed_and_number(image_folder):
    config = small_config(batch_size=4, dataset__name=f"folder:{image_folder}", augment__crop="resized")
    source = open_source(config.dataset)[0]

    def batches(first=0, **changes):
        changed = config.copy_and_resolve_references()
        changed.update_from_flattened_dict({name.replace("__", "."): value for name, value in changes.items()})
        return train_batches(source, changed, no_crop, BadImageLog("error"), first)

    whole = take(batches(), 8)
    for other in (take(batches(dataset__num_threads=1), 8), take(batches(dataset__num_threads=4), 8)):
        jax.tree.map(np.testing.assert_array_equal, whole, other)
    jax.tree.map(np.testing.assert_array_equal, whole[5:], take(batches(first=5), 3))
    assert any((a.images != b.images).any() for a, b in zip(whole, take(batches(seed=1), 8), strict=True))
    assert next(batches(first=500_000)).images.shape == (4, 32, 32, 3)


def test_every_epoch_is_a_new_permutation_of_all_images():
    config = small_config(batch_size=9, dataset__synthetic_images=72, augment__crop="none", augment__flip=False)
    source = open_source(config.dataset)[0]
    batches = take(train_batches(source, config, no_crop, BadImageLog("error")), 16)
    rows = [image.tobytes() for batch in batches for image in batch.images]
    assert len(set(rows[:72])) == len(set(rows[72:])) == 72
    assert rows[:72] != rows[72:]


def test_evaluation_sees_each_image_once_and_fills_the_last_batch():
    config = small_config(dataset__synthetic_images=72)
    source = open_source(config.dataset)[1]
    batches = list(eval_batches(source, config, no_crop, BadImageLog("error"), 4))
    assert [batch.images.shape for batch in batches] == [(4, 32, 32, 3)] * 4
    weights = np.concatenate([batch.weights for batch in batches])
    assert (len(source), weights.sum(), list(weights[-2:])) == (14, 14, [0, 0])


def damage(folder):
    """A truncated, an empty and a text file among the training images, and a truncated one to validate."""
    (folder / "train" / "cat" / "0.jpg").write_bytes((folder / "train" / "cat" / "0.jpg").read_bytes()[:300])
    (folder / "train" / "cat" / "2.jpg").write_bytes(b"")
    (folder / "train" / "dog" / "0.jpg").write_text("not an image")
    (folder / "val" / "dog" / "0.jpg").write_bytes((folder / "val" / "dog" / "0.jpg").read_bytes()[:300])


def test_bad_images_are_skipped_named_once_and_counted(image_folder, caplog):
    damage(image_folder)
    config = small_config(batch_size=4, dataset__name=f"folder:{image_folder}", augment__crop="none")
    train, val = open_source(config.dataset)
    log = BadImageLog("skip")
    with caplog.at_level(logging.WARNING):
        batches = take(train_batches(train, config, no_crop, log), 9)
    assert all(batch.weights.all() for batch in batches)
    assert len(log.names) == 3
    for name in ("cat/0.jpg", "cat/2.jpg", "dog/0.jpg"):
        assert caplog.text.count(name) == 1
    weights = np.concatenate([batch.weights for batch in eval_batches(val, config, no_crop, BadImageLog("skip"), 4)])
    assert weights.sum() == 5


def test_a_bad_image_stops_the_run_if_asked(image_folder):
    damage(image_folder)
    config = small_config(batch_size=4, dataset__name=f"folder:{image_folder}", augment__crop="none")
    train = open_source(config.dataset)[0]
    with pytest.raises(BadImageError, match="bad_images=skip"):
        take(train_batches(train, config, no_crop, BadImageLog("error")), 6)


def test_image_lists(image_folder):
    (image_folder / "train_list.txt").write_text("train/cat/0.jpg 0\ntrain/dog/1.png 1\n")
    (image_folder / "val_list.txt").write_text("val/dog/0.jpg 1\n")
    (image_folder / "labels.txt").write_text("a cat\na dog\n")
    train, val = open_source(small_config(dataset__name=f"folder:{image_folder}").dataset)
    assert (train.labels, len(train), len(val), train[1][1], val[0][1]) == (["a cat", "a dog"], 2, 1, 1, 1)
    (image_folder / "val_list.txt").write_text("val/dog/0.jpg one\n")
    with pytest.raises(UserError, match="line 1"):
        open_source(small_config(dataset__name=f"folder:{image_folder}").dataset)


def test_folder_mistakes_name_the_thing(image_folder, tmp_path):
    def message(path):
        with pytest.raises(UserError) as error:
            open_source(small_config(dataset__name=f"folder:{path}").dataset)
        return str(error.value)

    assert "no such directory" in message(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "no directory 'train'" in message(tmp_path / "empty")
    (image_folder / "val" / "bird").mkdir()
    assert "'bird' is in val alone" in message(image_folder)
    (image_folder / "train" / "bird").mkdir()
    for path in (image_folder / "val").rglob("*.*"):
        path.unlink()
    assert "holds no images" in message(image_folder)


def test_digits_are_sklearns():
    train, val = open_source(small_config(dataset__name="digits").dataset)
    assert (len(train), len(val), train.labels) == (1437, 360, list("0123456789"))
    rows = {image.tobytes() for image in val.images} & {image.tobytes() for image in train.images}
    assert len(rows) == 0


def test_center_crop_is_resize_then_crop():
    """Against the two-step form: short side to size / fraction, then the central square."""
    y, x = np.mgrid[:120, :160]
    image = np.stack([x, y, (x + y) // 2], -1).astype(np.uint8)
    two_steps = np.asarray(Image.fromarray(image).resize((64 * 160 // 120, 64), Image.Resampling.BILINEAR))
    left = (two_steps.shape[1] - 56) // 2
    expected = two_steps[4:60, left : left + 56].astype(int)
    assert np.abs(center_crop(image, 56, 56 / 64).astype(int) - expected).max() <= 2


def test_random_resized_crop_stays_in_bounds_and_varies():
    y, x = np.mgrid[:90, :60]
    image = np.stack([x, y, x], -1).astype(np.uint8)
    crops = [
        random_resized_crop(image, 24, np.random.default_rng(i), (0.08, 1), (0.75, 4 / 3), i % 2 == 0)
        for i in range(40)
    ]
    assert {crop.shape for crop in crops} == {(24, 24, 3)}
    spans = np.array([[np.ptp(crop[..., 0]), np.ptp(crop[..., 1])] for crop in crops])
    assert spans.std(0).min() > 3
    assert random_resized_crop(image[:2], 8, np.random.default_rng(0), (0.5, 1), (1, 1)).shape == (8, 8, 3)


def test_paddles_crops_have_uniform_aspects():
    """RandCropImage: the aspect itself is uniform, where torchvision's is in the logarithm; no crop is tried twice."""
    image = np.zeros((400, 400, 3), np.uint8)
    boxes = []

    def record(image, size, box, filter):
        boxes.append(box)
        return image[:size, :size]

    with mock.patch("googlenet_jax.data.images.resize", record):
        for i in range(400):
            random_resized_crop(image, 8, np.random.default_rng(i), (0.05, 0.2), (0.5, 2.0), paddle=True)
    left, top, right, bottom = np.array(boxes).T
    aspects, areas = (right - left) / (bottom - top), (right - left) * (bottom - top) / 400**2
    assert abs(aspects.mean() - 1.25) < 0.07  # uniform in the logarithm it would be 1.08
    assert 0.04 < areas.min() < areas.max() <= 0.2
    assert (np.array(boxes) >= 0).all()
    assert (np.array(boxes) <= 400).all()


def test_random_crop_is_a_window_of_the_resized_image():
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    crops = [random_crop(image, 56, 56 / 64, True, np.random.default_rng(i)) for i in range(20)]
    assert {crop.shape for crop in crops} == {(56, 56, 3)}
    assert len({crop.tobytes() for crop in crops}) == 20


def test_the_device_resizes_to_the_networks_size():
    preprocess = Preprocess(8, 1.0, (0.0,) * 3, (1.0,) * 3, "rgb", network_size=16)
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    got = np.asarray(preprocess(images))
    expected = [np.asarray(Image.fromarray(image).resize((16, 16), Image.Resampling.BILINEAR)) for image in images]
    np.testing.assert_allclose(got, np.stack(expected), atol=1)


def test_device_augmentation():
    images = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 3), dtype=np.uint8)
    keys = jax.random.split(jax.random.key(0), 64)
    config = small_config(augment__crop="none", augment__flip=True).augment
    flipped = np.asarray(augment(images, keys, config))
    same, mirrored = (
        np.array([(f == i).all() for f, i in zip(flipped, o, strict=True)]) for o in (images, images[:, :, ::-1])
    )
    assert (same | mirrored).all()
    assert 16 < same.sum() < 48
    moved = {shift(images[0], key, 2).tobytes() for key in keys}
    padded = np.pad(images[0], ((2, 2), (2, 2), (0, 0)))
    assert moved <= {padded[i : i + 8, j : j + 8].tobytes() for i in range(5) for j in range(5)}
    assert len(moved) > 15


def test_recolor_by_its_definition():
    image = np.random.default_rng(0).integers(60, 120, (6, 6, 3)).astype(np.float32)
    bright = np.asarray(recolor(image, jax.random.key(1), 0.5, 0.0, 0.0))
    factors = bright / image
    assert factors.std() < 1e-6
    assert 0.5 <= factors.mean() <= 1.5
    gray = image @ np.array([0.299, 0.587, 0.114])
    contrast = np.asarray(recolor(image, jax.random.key(2), 0.0, 0.5, 0.0))
    ratio = (contrast - gray.mean()) / (image - gray.mean())
    assert ratio.std() < 1e-3
    saturated = np.asarray(recolor(image, jax.random.key(3), 0.0, 0.0, 0.5))
    np.testing.assert_allclose(saturated @ np.array([0.299, 0.587, 0.114]), gray, rtol=1e-4)
    turned = np.asarray(recolor(image, jax.random.key(4), 0.0, 0.0, 0.0, 0.5))
    np.testing.assert_allclose(turned @ np.array([0.299, 0.587, 0.114]), gray, rtol=2e-3)  # hue keeps luma
    assert np.abs(turned - image).mean() > 2


def test_images_that_cannot_be_read(tmp_path):
    for name, data in {"empty.jpg": b"", "text.jpg": b"hello", "cut.png": b"\x89PNG\r\n\x1a\n1234"}.items():
        with pytest.raises(BadImageError, match=name):
            decode_image(data, name)
    with pytest.raises(BadImageError, match="No such file"):
        read_image(tmp_path / "none.jpg")
    bomb = tmp_path / "bomb.png"
    Image.new("1", (30_000, 30_000)).save(bomb)
    with pytest.raises(BadImageError, match="bomb"):
        read_image(bomb)
