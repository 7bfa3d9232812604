"""What callers have for images: what is taken and how, and the line that says what is not."""

import io

import numpy as np
import pytest
from PIL import Image

from googlenet_jax.data.pictures.arrays import as_pixels, each_image
from googlenet_jax.data.pictures.picture import BadImageError
from googlenet_jax.errors import UserError

NOISE = np.random.default_rng(0).integers(0, 256, (5, 7, 4), dtype=np.uint8)


def over_white(rgba):
    share = rgba[..., 3:].astype(float) / 255
    return rgba[..., :3] * share + 255 * (1 - share)


def test_transparent_images_are_laid_over_white():
    expected = over_white(NOISE)
    for image in (NOISE, Image.fromarray(NOISE), NOISE.astype(np.uint16) << 8):
        assert np.abs(as_pixels(image) - expected).max() <= 1
    palette = Image.new("P", (2, 1))
    palette.putpalette([9, 9, 9, 200, 0, 0])
    palette.putpixel((1, 0), 1)
    palette.info["transparency"] = 0
    assert as_pixels(palette).tolist() == [[[255, 255, 255], [200, 0, 0]]]


def test_the_upper_bits_count_and_grey_is_all_three():
    deep = np.array([[0, 255, 256, 65535]], np.uint16)
    assert as_pixels(deep)[..., 1].tolist() == [[0, 0, 1, 255]]
    assert as_pixels(Image.fromarray(deep))[..., 1].tolist() == [[0, 0, 1, 255]]
    for grey in (NOISE[..., 0], NOISE[..., :1]):
        np.testing.assert_array_equal(as_pixels(grey), np.repeat(NOISE[..., :1], 3, -1))


def test_pil_images_are_turned_upright_and_files_keep_their_colours():
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.fromarray(NOISE).save(file, "PNG", exif=exif)
    assert as_pixels(Image.open(file)).shape == (7, 5, 3)
    np.testing.assert_array_equal(as_pixels(file.getvalue()), np.rot90(NOISE[..., :3], -1))


def test_one_is_a_list_of_it():
    assert [image.shape for image in each_image(NOISE)] == [NOISE.shape]
    assert len(list(each_image(np.stack([NOISE] * 3)))) == 3
    assert list(each_image("a.png")) == ["a.png"]
    assert list(each_image(np.array(["a.png", "b.png"]))) == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (np.zeros((4, 4, 3)), "an array of float64, shape (4, 4, 3)"),
        (np.zeros((4, 4, 3), np.int64), "int64"),
        (np.zeros((3, 8, 8), np.uint8), "channels come last"),
        (np.zeros((4, 4, 2), np.uint8), "(4, 4, 2)"),
        (np.zeros((2, 4, 4, 4, 3), np.uint8), "(4, 4, 4, 3)"),
        (np.zeros((0, 4, 3), np.uint8), "no pixels"),
        (np.float32(1), "float32"),
        (Image.new("F", (3, 3)), "PIL image of mode F"),
        ([[1, 2], [3, 4]], "give uint8 or uint16"),
        (None, "NoneType"),
        ({"image": NOISE}, "dict"),
        ([None], "object"),
    ],
)
def test_what_is_not_taken_is_said_in_a_line(images, said):
    with pytest.raises(UserError) as error:
        [as_pixels(image) for image in each_image(images)]
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_no_image():
    with pytest.raises(BadImageError, match="5 bytes: not an image"):
        as_pixels(b"hello")
    whole = io.BytesIO()
    Image.fromarray(NOISE).save(whole, "PNG")
    with pytest.raises(UserError, match="PIL image of mode RGBA"):
        as_pixels(Image.open(io.BytesIO(whole.getvalue()[:-30])))
