"""Windows of pictures, and resizing, against Pillow."""

import numpy as np
import pytest
from pictured import encoded, pillow, scene
from PIL import Image

from googlenet_jax.data.crops.resize import FILTERS, center_crop, crop_at, resize
from googlenet_jax.data.crops.windows import DRAWS, paddle_window, torchvision_window
from googlenet_jax.data.pictures.picture import Pixels, open_picture

JPEGS = {
    "4:4:4": {"subsampling": 0, "quality": 90},
    "4:2:0": {"subsampling": 2, "quality": 75},
    "4:2:2": {"subsampling": 1},
    "restarts": {"restart_marker_rows": 1},
    "progressive": {"progressive": True},
}


@pytest.mark.parametrize("options", JPEGS.values(), ids=JPEGS)
def test_a_window_has_the_pixels_that_the_whole_has(options):
    data = encoded(scene(83, 117), **options)
    whole, picture = pillow(data), open_picture(data, "a.jpg")
    np.testing.assert_array_equal(picture.pixels(), whole)
    rng = np.random.default_rng(0)
    for _ in range(40):
        left, top = int(rng.integers(116)), int(rng.integers(82))
        box = (left, top, int(rng.integers(left + 1, 118)), int(rng.integers(top + 1, 84)))
        pixels, edges = picture.region(box)
        a, b, c, d = map(int, edges)
        np.testing.assert_array_equal(pixels[b:d, a:c], whole[box[1] : box[3], box[0] : box[2]])


def test_antialiased_windows_are_pillows():
    """As torchvision has them: cut, then resized; every filter of the paper."""
    data = encoded(scene(300, 401), quality=92)
    picture, whole = open_picture(data, "a.jpg"), Image.fromarray(pillow(data))
    for box in ((10, 20, 211, 180), (0, 0, 401, 300), (200, 100, 230, 140)):
        for filter in FILTERS:
            expected = np.asarray(whole.crop(box).resize((64, 64), filter)).astype(int)
            assert np.abs(resize(picture, 64, box, True, filter) - expected).mean() < 1, (box, filter)


def test_windows_without_antialiasing_are_near_the_pixels_they_sample():
    image = scene(90, 120)
    for box in ((5, 6, 45, 46), (0, 0, 120, 90)):
        y, x = ((np.arange(32) + 0.5) * (box[i + 2] - box[i]) / 32 - 0.5 + box[i] for i in (1, 0))
        y, x = y.clip(box[1], box[3] - 1), x.clip(box[0], box[2] - 1)
        top, left = np.floor(y).astype(int), np.floor(x).astype(int)
        down, right = np.minimum(top + 1, box[3] - 1), np.minimum(left + 1, box[2] - 1)
        v, u = (y - top)[:, None, None], (x - left)[None, :, None]
        rows = [(image[a][:, left] * (1 - u) + image[a][:, right] * u) for a in (top, down)]
        expected = rows[0] * (1 - v) + rows[1] * v
        assert np.abs(resize(Pixels(image), 32, box, antialias=False) - expected).max() <= 1.01


def test_large_jpegs_are_decoded_smaller():
    image = np.asarray(Image.fromarray(scene(50, 70)).resize((1120, 800), Image.Resampling.BICUBIC))
    data = encoded(image, quality=95)
    picture, whole = open_picture(data, "a.jpg"), Image.fromarray(pillow(data))
    box = (100, 50, 1060, 750)
    expected = np.asarray(whole.resize((64, 64), Image.Resampling.BILINEAR, box)).astype(int)
    assert picture.region(box, 4)[0].shape[1] < 300
    assert np.abs(resize(picture, 64, box, antialias=True) - expected).mean() < 1
    nearest = np.asarray(whole.resize((64, 64), Image.Resampling.NEAREST, box)).astype(int)
    assert np.abs(resize(picture, 64, box, antialias=False) - expected).mean() < np.abs(nearest - expected).mean()


def test_central_crops_are_pillows_to_the_bit():
    data = encoded(scene(120, 160))
    whole = Image.fromarray(pillow(data))
    expected = np.asarray(whole.resize((56, 56), Image.Resampling.BILINEAR, (27.5, 7.5, 132.5, 112.5)))
    np.testing.assert_array_equal(center_crop(open_picture(data, "a.jpg"), 56, 0.875), expected)


def test_center_crop_is_resize_then_crop():
    """Against the two-step form: short side to size / fraction, then the central square."""
    y, x = np.mgrid[:120, :160]
    image = np.stack([x, y, (x + y) // 2], -1).astype(np.uint8)
    two_steps = np.asarray(Image.fromarray(image).resize((64 * 160 // 120, 64), Image.Resampling.BILINEAR))
    left = (two_steps.shape[1] - 56) // 2
    expected = two_steps[4:60, left : left + 56].astype(int)
    assert np.abs(center_crop(image, 56, 56 / 64).astype(int) - expected).max() <= 2


def test_random_crop_is_a_window_of_the_resized_image():
    picture = Pixels(scene(64, 64))
    places = np.random.default_rng(0).random((20, 2))
    crops = [crop_at(picture, 56, 56 / 64, True, *place) for place in places]
    assert {crop.shape for crop in crops} == {(56, 56, 3)}
    assert len({crop.tobytes() for crop in crops}) == 20


def windows(draw, area, aspect, count=2000, width=400, height=300):
    numbers = np.random.default_rng(0).random((count, DRAWS)).tolist()
    left, top, right, bottom = np.array([draw(width, height, row, area, aspect) for row in numbers]).T
    assert ((left >= 0) & (left < right) & (right <= width) & (top >= 0) & (top < bottom) & (bottom <= height)).all()
    return (right - left) / (bottom - top), (right - left) * (bottom - top) / (width * height), left, top


def test_torchvisions_windows():
    """Areas uniform, aspects uniform in the logarithm, where nothing has to be rejected."""
    aspects, areas, left, top = windows(torchvision_window, (0.1, 0.4), (0.5, 2.0))
    assert abs(np.log(aspects).mean()) < 0.03
    assert abs(areas.mean() - 0.25) < 0.01
    assert abs(np.quantile(areas, 0.25) - 0.175) < 0.01
    assert left.std() > 50 and top.std() > 30
    sides = torchvision_window(1000, 10, [0.5] * DRAWS, (0.9, 1.0), (0.75, 4 / 3))
    assert sides == (493, 0, 506, 10)  # no try fits: the central part of the longest aspect allowed


def test_paddles_windows_have_uniform_aspects():
    """RandCropImage: the aspect itself is uniform, where torchvision's is in the logarithm; no crop is tried twice."""
    aspects, areas, *_ = windows(paddle_window, (0.05, 0.2), (0.5, 2.0), width=400, height=400)
    assert abs(aspects.mean() - 1.25) < 0.03  # uniform in the logarithm it would be 1.08
    assert 0.04 < areas.min() < areas.max() <= 0.2


def test_very_wide_images_are_cropped_like_others():
    picture = open_picture(encoded(scene(20, 30_000)), "wide.jpg")
    assert (picture.width, picture.height) == (30_000, 20)
    assert center_crop(picture, 16, 0.875).shape == (16, 16, 3)
