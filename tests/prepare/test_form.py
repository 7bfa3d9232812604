"""Images stored smaller."""

import math

import cv2
import msgpack
import numpy as np
import pytest
from data.test_pictures import encoded, scene
from PIL import Image
from prepared import names, opened, quiet

from googlenet_jax.data.pictures.picture import Jpeg, open_picture
from googlenet_jax.prepare.folder import prepare_folder
from googlenet_jax.prepare.form import Form, storing


def stored(data, name="a.jpg", **form):
    result = storing(Form(**form))(3, name, data)
    label, *rest = msgpack.unpackb(result.record)
    assert label == 3
    return result, *rest


def smooth(height, width):
    return cv2.resize(scene(height // 5, width // 5), (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("tiles", [False, True], ids=["plain", "tiles"])
@pytest.mark.parametrize(("height", "width"), [(300, 401), (401, 300), (97, 96 * 12)])
def test_a_larger_image_is_shrunk(height, width, tiles):
    whole = smooth(height, width)
    result, name, image, *offsets = stored(encoded(whole, quality=98), short_side=96, tiles=tiles)
    assert result.shrunk
    assert (result.plain, name) == (None if tiles else "not asked for", "a.jpg")
    picture = open_picture(image, name, np.frombuffer(offsets[0], "<u4") if tiles else None)
    assert isinstance(picture, Jpeg)
    assert min(picture.height, picture.width) == 96
    longer = 96 * max(height, width) / min(height, width)
    assert math.isclose(max(picture.height, picture.width), longer, abs_tol=0.5)
    expected = cv2.resize(whole, (picture.width, picture.height), interpolation=cv2.INTER_AREA)
    assert np.abs(picture.pixels().astype(int) - expected).mean() < 5  # of 255


def test_another_kind_of_image_becomes_a_jpeg_as_a_viewer_shows_it():
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned to the right
    whole = smooth(120, 240)
    result, name, image = stored(encoded(whole, "PNG", exif=exif), "a.png", short_side=60)
    assert (result.shrunk, name) == (True, "a.png.jpg")
    picture = open_picture(image, name)
    assert (picture.oddity, picture.width, picture.height) == ("", 60, 120)
    expected = cv2.resize(np.rot90(whole, 3), (60, 120), interpolation=cv2.INTER_AREA)
    assert np.abs(picture.pixels().astype(int) - expected).mean() < 5  # of 255


def test_what_is_small_or_no_image_stays_as_it_is():
    strip = encoded(Image.new("L", (13, 80_000)), "PNG")  # shrunk still longer than a JPEG file can be
    broken = encoded(scene(300, 300))[:2000], b"", b"text"
    for data in (encoded(scene(12, 200)), strip, *broken):
        result, _, image = stored(data, short_side=12)
        assert (result.shrunk, result.unreadable, image) == (False, data in broken, data)


def test_a_folder_of_them(image_folder, tmp_path):
    (image_folder / "train" / "cat" / "large.png").write_bytes(encoded(scene(90, 130), "PNG"))
    summary = prepare_folder(str(image_folder), tmp_path / "out", Form(short_side=40), quiet)
    train, _ = opened(f"records:{tmp_path / 'out'}")
    sizes = [min(train[i][0].width, train[i][0].height) for i in range(len(train))]
    assert max(sizes) == 40
    assert summary["shrunk"] >= 1
    assert any(name.endswith("large.png.jpg") for name in names(train))
