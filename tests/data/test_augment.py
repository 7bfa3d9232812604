"""Augmentation on the device: against Pillow, and against plain Python for what is drawn."""

import collections
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import small_config
from draws import assert_alike, keys_of, noise
from PIL import Image, ImageEnhance, ImageOps

from googlenet_jax.data.augment.batch import (
    augment,
    cutout,
    erase,
    random_erasing,
    random_window,
    recolor,
    resized_crop,
    shift,
)
from googlenet_jax.data.augment.trivial_augment import LARGEST, OPERATIONS, apply_operation, trivial_augment


def many(function, keys, *arguments):
    """Of each key."""
    return jax.tree.map(np.asarray, jax.jit(jax.vmap(lambda key: function(key, *arguments)))(keys))


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
    keys = jax.random.split(jax.random.key(5), 200)
    for place, center in enumerate((0.0, gray.mean(), gray[..., None])):
        amounts = [0.0, 0.0, 0.0]
        amounts[place] = 0.5
        changed = np.asarray(jax.vmap(lambda key, a=amounts: recolor(image, key, *a))(keys))
        far = np.abs(image - center) > 5
        drawn = np.array([((one - center) / (image - center))[far & (one > 0) & (one < 255)].mean() for one in changed])
        assert 0.5 <= drawn.min() < 0.6 and 1.4 < drawn.max() <= 1.5 + 1e-3
        assert drawn.mean() == pytest.approx(1, abs=0.07)
        name = ("brightness", "contrast", "saturation")[place]
        config = small_config(augment__crop="none", augment__flip=False, **{f"augment__{name}": 0.5}).augment
        assert np.abs(np.asarray(augment(image[None], keys[:1], config)) - image).max() > 1
    turned = np.asarray(recolor(image, jax.random.key(4), 0.0, 0.0, 0.0, 0.5))
    np.testing.assert_allclose(turned @ np.array([0.299, 0.587, 0.114]), gray, rtol=2e-3)  # hue keeps luma
    assert np.abs(turned - image).mean() > 2


def as_pillow(image, name, magnitude):
    """What torchvision's TrivialAugmentWide does to a PIL image, of a magnitude in parts of `LARGEST`."""
    picture, share, one = Image.fromarray(image), magnitude / LARGEST, np.asarray

    def affine(*matrix):
        return one(picture.transform(picture.size, Image.Transform.AFFINE, matrix, fillcolor=(0, 0, 0)))

    match name:
        case "identity":
            return image
        case "shear_x":
            return affine(1, 0.99 * share, 0, 0, 1, 0)
        case "shear_y":
            return affine(1, 0, 0, 0.99 * share, 1, 0)
        case "translate_x":
            return affine(1, 0, -int(32 * share), 0, 1, 0)
        case "translate_y":
            return affine(1, 0, 0, 0, 1, -int(32 * share))
        case "rotate":
            return one(picture.rotate(135 * share))
        case "brightness" | "color" | "contrast" | "sharpness":
            return one(getattr(ImageEnhance, name.capitalize())(picture).enhance(1 + 0.99 * share))
        case "posterize":
            return one(ImageOps.posterize(picture, 8 - round(abs(magnitude) / 5)))
        case "solarize":
            return one(ImageOps.solarize(picture, 255 - 8.5 * abs(magnitude)))
        case _:
            return one(getattr(ImageOps, name)(picture))


@pytest.mark.parametrize("size", [32, 49])
def test_every_operation_at_every_magnitude_is_pillows(size):
    """Exact, but for the rounding of fractions where Pillow's own is not exact."""
    y, x = np.mgrid[:size, :size]
    images = [
        noise(size, size, 3),
        (90 + noise(size, size, 3) % 40).astype(np.uint8),  # autocontrast stretches
        np.stack([x * 2, y * 4 % 256, np.where(x > y, 255, 7)], -1).astype(np.uint8),  # few values, and smooth
        np.full((size, size, 3), 9, np.uint8),
    ]
    magnitudes = np.arange(-LARGEST, LARGEST + 1)
    operation, magnitude = (a.ravel() for a in np.meshgrid(range(len(OPERATIONS)), magnitudes, indexing="ij"))
    change = jax.jit(jax.vmap(apply_operation, (None, 0, 0)))
    for image in images:
        got = np.asarray(change(image, operation, magnitude)).astype(int)
        expected = np.stack([as_pillow(image, OPERATIONS[o], m) for o, m in zip(operation, magnitude, strict=True)])
        off = np.abs(got - expected).reshape(len(OPERATIONS), -1)
        inexact = {"brightness", "color", "contrast", "sharpness", "autocontrast"}
        assert off.max() <= 1
        assert (off > 0).mean(1).max() < 0.01
        assert {name for name, row in zip(OPERATIONS, off, strict=True) if row.any()} <= inexact


def test_trivial_augment_draws_all_operations_magnitudes_and_signs_alike():
    image = noise(8, 8, 3)
    drawn = [got.tobytes() for got in many(lambda key: trivial_augment(jnp.asarray(image), key), keys_of(6000))]
    count_of = collections.Counter(drawn)

    def changed(name, magnitudes):
        images = [as_pillow(image, name, m).tobytes() for m in magnitudes]
        return [one for one in images if one != image.tobytes()]

    solarized = [count_of[one] for one in set(changed("solarize", range(LARGEST + 1)))]
    assert 2 <= min(solarized) < max(solarized) <= 35  # 6000 / 14 / 31 = 14
    for name in ("rotate", "sharpness", "posterize", "color"):
        for sign in (-1, 1):
            images = changed(name, range(0, sign * (LARGEST + 1), sign))
            share = len(images) / (LARGEST + 1) / len(OPERATIONS) / (1 if name == "posterize" else 2)
            assert sum(count_of[one] for one in set(images)) / 6000 == pytest.approx(share, abs=0.014)


def test_cutout_is_any_square_clipped_at_the_border():
    image = np.ones((8, 6, 3), np.float32)
    expected = set()
    for y in range(8):
        for x in range(6):
            holed = image.copy()
            holed[max(y - 2, 0) : y + 2, max(x - 2, 0) : x + 2] = 0
            expected.add(holed.tobytes())
    assert {got.tobytes() for got in many(lambda key: cutout(image, key, 4), keys_of(1000))} == expected
    odd = many(lambda key: cutout(np.ones((9, 9, 3), np.float32), key, 3), keys_of(100))
    assert (odd == 0).sum((1, 2, 3)).max() == 27


def window_by_trial(rng, height, width, area, aspect, fits):
    """One window as torchvision draws it in RandomResizedCrop.get_params; None if none of ten fits."""
    for _ in range(10):
        target = height * width * rng.uniform(*area)
        ratio = math.exp(rng.uniform(math.log(aspect[0]), math.log(aspect[1])))
        h, w = round(math.sqrt(target / ratio)), round(math.sqrt(target * ratio))
        if fits(h, w):
            return rng.integers(height - h + 1), rng.integers(width - w + 1), h, w
    return None


@pytest.mark.parametrize(("shape", "area"), [((40, 40), (0.08, 1.0)), ((30, 70), (0.5, 1.0)), ((20, 60), (0.4, 0.7))])
def test_windows_are_drawn_as_torchvision_does(shape, area):
    aspect = (3 / 4, 4 / 3)
    rng = np.random.default_rng(0)
    trials = [
        window_by_trial(rng, *shape, area, aspect, lambda h, w: 0 < h <= shape[0] and 0 < w <= shape[1])
        for _ in range(4000)
    ]
    corner, sides, fits = many(random_window, keys_of(4000), shape, shape, area, aspect)
    assert_alike(fits, [trial is not None for trial in trials])
    assert_alike(np.concatenate([corner, sides], 1)[fits], [trial for trial in trials if trial])
    assert ((corner >= 0) & (corner + sides <= shape))[fits].all()


def test_erasing_is_torchvisions():
    image = np.ones((24, 16, 3), np.float32)
    rng = np.random.default_rng(0)
    trials = [
        # Its aspect is height by width.
        window_by_trial(rng, 24, 16, (0.02, 0.33), (1 / 3.3, 1 / 0.3), lambda h, w: h < 24 and w < 16)
        for _ in range(4000)
    ]
    got = many(lambda key: random_erasing(image, key, 0.75), keys_of(4000))
    holes = (got == 0).all(-1)
    erased = holes.any((1, 2))
    assert erased.mean() == pytest.approx(0.75, abs=0.03)
    rows, columns = holes.any(2)[erased], holes.any(1)[erased]
    assert (holes[erased] == rows[:, :, None] & columns[:, None]).all()
    windows = np.stack([rows.argmax(1), columns.argmax(1), rows.sum(1), columns.sum(1)], 1)
    assert (np.abs(np.diff(rows, axis=1)).sum(1) <= 2).all()  # one piece
    assert (np.abs(np.diff(columns, axis=1)).sum(1) <= 2).all()
    assert_alike(windows, [trial for trial in trials if trial])


def test_what_is_erased_leaves_the_rest_of_the_randomness_alone():
    images, keys = noise(4, 16, 16, 3), keys_of(4)
    plain = small_config(augment__policy="trivial").augment
    holed = small_config(augment__policy="trivial", augment__cutout=6, augment__erasing=0.5).augment
    before, again = (np.asarray(jax.jit(lambda c=c: augment(images, keys, c))()) for c in (plain, holed))
    np.testing.assert_array_equal(before, again)
    whole = before.astype(np.float32) + 1
    got = np.asarray(jax.jit(lambda: erase(whole, keys, holed))())
    assert ((got == whole) | (got == 0)).all()
    assert (got == 0).any((1, 2, 3)).all()
    np.testing.assert_array_equal(erase(whole, keys, plain), whole)


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize(("shape", "area"), [((60, 90), (0.2, 0.9)), ((40, 40), (0.08, 0.5)), ((10, 60), (1.0, 1.0))])
def test_resized_crops_are_pillows(shape, area, antialias):
    image, aspect, keys = noise(*shape, 3), (3 / 4, 4 / 3), keys_of(12)
    got = many(lambda key: resized_crop(image, key, 24, area, aspect, antialias), keys)
    corners, sides, fits = many(random_window, keys, shape, shape, area, aspect)
    assert fits.all() or area == (1.0, 1.0)
    picture = Image.fromarray(image)
    for crop, (top, left), (h, w), fit in zip(got, corners, sides, fits, strict=True):
        if not fit:  # the centre, of the greatest width that is allowed
            (h, w), top, left = (10, 13), 0, 23
        box = (left, top, left + w, top + h)
        if antialias:
            expected = picture.resize((24, 24), Image.Resampling.BILINEAR, box)
        else:
            expected = picture.transform((24, 24), Image.Transform.EXTENT, box, Image.Resampling.BILINEAR)
        off = np.abs(np.asarray(expected).astype(int) - crop)
        if not antialias:
            off = off[1:-1, 1:-1]  # Pillow's transform takes what lies beyond the image for black
        assert off.mean() < (0.3 if antialias else 0.6)  # and it rounds down
        assert off.max() <= 1
