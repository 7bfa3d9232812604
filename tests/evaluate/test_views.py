"""Each crop's window, against a slow and plain reference that crops whole, resized pictures with PIL."""

import numpy as np
import pytest
from PIL import Image

from googlenet_jax.data.pictures.picture import Pixels
from googlenet_jax.data.preprocess import Preprocess
from googlenet_jax.evaluate.views import windows

BILINEAR = Image.Resampling.BILINEAR


def preprocess(size, resize="short"):
    return Preprocess(size, 0.875, (0.0,) * 3, (1.0,) * 3, "rgb", resize)


def test_the_device_resizes_to_the_networks_size():
    preprocess = Preprocess(8, 1.0, (0.0,) * 3, (1.0,) * 3, "rgb", network_size=16)
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    got = np.asarray(preprocess(images))
    expected = [np.asarray(Image.fromarray(image).resize((16, 16), BILINEAR)) for image in images]
    np.testing.assert_allclose(got, np.stack(expected), atol=1)


def picture(height, width):
    """Every place has its own colour, so that no other window looks the same."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 255 // height, columns * 255 // width, (rows + columns) % 256], -1).astype(np.uint8)


def resized(image, short):
    picture_ = Image.fromarray(image)
    width, height = picture_.size
    if width < height:
        return picture_.resize((short, round(height * short / width)), BILINEAR)
    return picture_.resize((round(width * short / height), short), BILINEAR)


def corners_and_centre(square, size):
    width, height = square.size
    x, y = round((width - size) / 2), round((height - size) / 2)
    lefts_tops = [(0, 0), (width - size, 0), (0, height - size), (width - size, height - size), (x, y)]
    return [square.crop((left, top, left + size, top + size)) for left, top in lefts_tops]


@pytest.mark.parametrize(("height", "width"), [(375, 500), (500, 333), (300, 300)])
def test_144_crops_of_the_paper(height, width):
    """Section 7: short sides 256, 288, 320, 352; three squares; four corners, centre and the square itself."""
    image, expected = picture(height, width), []
    for short in (256, 288, 320, 352):
        whole = resized(image, short)
        long = max(whole.size)
        for start in (0, round((long - short) / 2), long - short):
            box = (start, 0, start + short, short) if width >= height else (0, start, short, start + short)
            square = whole.crop(box)
            expected += [*corners_and_centre(square, 224), square.resize((224, 224), BILINEAR)]
    got = windows(Pixels(image), 144, preprocess(224))
    assert got.shape == (72, 224, 224, 3)  # the device adds their mirror images
    for number, (view, reference) in enumerate(zip(got, expected, strict=True)):
        np.testing.assert_array_equal(view, np.asarray(reference), err_msg=str(number))


@pytest.mark.parametrize("resize", ["short", "square"])
def test_10_crops(resize):
    image = picture(120, 90)
    whole = resized(image, 73) if resize == "short" else Image.fromarray(image).resize((73, 73), BILINEAR)
    got = windows(Pixels(image), 10, preprocess(64, resize))
    for view, reference in zip(got, corners_and_centre(whole, 64), strict=True):
        np.testing.assert_array_equal(view, np.asarray(reference))


@pytest.mark.parametrize("resize", ["short", "square"])
def test_1_crop_is_resize_then_crop(resize):
    """Torchvision's Resize(256) and CenterCrop(224), or Caffe's 256x256 and its centre; ours resamples once."""
    image = np.asarray(Image.fromarray(picture(400, 300)).resize((600, 800), Image.Resampling.BICUBIC))
    whole = resized(image, 256) if resize == "short" else Image.fromarray(image).resize((256, 256), BILINEAR)
    expected = corners_and_centre(whole, 224)[-1]
    got = windows(Pixels(image), 1, preprocess(224, resize))[0]
    inner = (slice(2, -2), slice(2, -2), slice(0, 2))  # the third colour wraps around
    assert np.abs(got[inner].astype(int) - np.asarray(expected)[inner].astype(int)).max() <= 2
