"""The views of an image that a test protocol averages over: 1, 10, or the paper's 144 (arXiv 1409.4842, section 7).

Half of the views are mirror images of the other half; those are made on the device, so that the functions here cut 1, 5
or 72 windows.
"""

from collections.abc import Iterator

import numpy as np
from PIL import Image

from googlenet_jax.config.choices import TEST_CROPS
from googlenet_jax.data.pictures.picture import MAX_PIXELS, BadImageError, Picture
from googlenet_jax.data.preprocess import Preprocess

SCALES = (256, 288, 320, 352)  # short sides, for a network at 224 px
_BASE = 224


def windows(picture: Picture, crops: int, preprocess: Preprocess) -> np.ndarray:
    """The windows of one image.

    Args:
      picture: of any size.
      crops: a key of `TEST_CROPS`.
      preprocess: of the network; sizes scale with its `image_size`.

    Returns:
      (1, 5 or 72, image_size, image_size, 3) uint8 array.
    """
    return TEST_CROPS[crops].load()(picture, preprocess)


def one(picture: Picture, preprocess: Preprocess) -> np.ndarray:
    """The usual central crop."""
    return preprocess.crop(picture)[None]


def ten(picture: Picture, preprocess: Preprocess) -> np.ndarray:
    """The corners and the centre of the image at short side 256, or made 256 square if `preprocess.resize` says so."""
    size = preprocess.image_size
    return np.stack(_five(_scale(picture.pixels(), _side(256, size), preprocess.resize == "square"), size))


def paper_144(picture: Picture, preprocess: Preprocess) -> np.ndarray:
    """The paper's views: at each of four scales, of three squares, the corners, the centre and the whole resized.

    The squares are the left, central and right one, of an upright image the top, central and bottom one.
    """
    size, image, views = preprocess.image_size, picture.pixels(), []
    for scale in SCALES:
        for square in _squares(_scale(image, _side(scale, size), square=False)):
            views += _five(square, size)
            views.append(np.asarray(Image.fromarray(square).resize((size, size), Image.Resampling.BILINEAR)))
    return np.stack(views)


def _side(at_224: int, size: int) -> int:
    """A length for a network at 224 px, for one at another size."""
    return round(at_224 * size / _BASE)


def _scale(image: np.ndarray, short: int, square: bool) -> np.ndarray:
    height, width = image.shape[:2]
    factor = short / min(height, width)
    shape = (short, short) if square else (round(width * factor), round(height * factor))
    if shape[0] * shape[1] > MAX_PIXELS:
        raise BadImageError(f"an image of {width}x{height} pixels is too elongated to be scaled to {short} px")
    return np.asarray(Image.fromarray(image).resize(shape, Image.Resampling.BILINEAR))


def _squares(image: np.ndarray) -> Iterator[np.ndarray]:
    """Left, centre and right of a broad image; top, centre and bottom of an upright one."""
    height, width = image.shape[:2]
    side = min(height, width)
    for share in (0, 0.5, 1):
        top, left = round((height - side) * share), round((width - side) * share)
        yield np.ascontiguousarray(image[top : top + side, left : left + side])


def _five(image: np.ndarray, size: int) -> list[np.ndarray]:
    """The windows in the corners and in the centre."""
    bottom, right = image.shape[0] - size, image.shape[1] - size
    places = [(0, 0), (0, right), (bottom, 0), (bottom, right), (round(bottom / 2), round(right / 2))]
    return [image[top : top + size, left : left + size] for top, left in places]
