"""What callers have for images, as pixels: paths, encoded files, Pillow's images, arrays of several shapes."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from googlenet_jax.data.pictures.picture import decode_image, read_image
from googlenet_jax.data.pictures.pillow import rgb, upright
from googlenet_jax.errors import UserError, reason, shown

TAKEN = (
    "uint8 or uint16 arrays (h, w), (h, w, 1), (h, w, 3) RGB or (h, w, 4) RGBA, PIL images, paths, "
    "open files, or the bytes of image files"
)
_ONE = (str, Path, bytes, bytearray, memoryview, Image.Image)


def each_image(images: Any) -> Iterable[Any]:
    """One image as a list of it, several as they are.

    Args:
      images: of the kinds in `TAKEN`: one, a sequence of any of them mixed, or an array of several, (n, h, w, 3).

    Returns:
      An iterable of images for `as_pixels`.

    Raises:
      UserError: if it is no image and holds none.
    """
    if isinstance(images, _ONE) or getattr(images, "ndim", 0) in (2, 3) or hasattr(images, "read"):
        return [images]
    if not isinstance(images, Iterable) or isinstance(images, dict) or getattr(images, "ndim", 1) == 0:
        raise UserError(f"{_described(images)} is not taken for images: give {TAKEN}; or several")
    return images


def as_pixels(image: Any) -> np.ndarray:
    """An image's pixels. A transparent image is laid over white, but a file keeps its colours, as in training.

    Args:
      image: of the kinds in `TAKEN`. A PIL image is turned upright as its EXIF tag says; of 16 bits the upper 8 count.

    Returns:
      (h, w, 3) uint8 RGB array.

    Raises:
      UserError: if it is of another kind; also `BadImageError`, for a file that cannot be read.
    """
    if isinstance(image, str | Path):
        return read_image(image)
    if isinstance(image, bytes | bytearray | memoryview):
        return decode_image(bytes(image), f"an image of {len(image)} bytes")
    if isinstance(image, Image.Image):
        return _of_pillow(image)
    if hasattr(image, "read"):
        return as_pixels(_content(image))
    return _of_array(image)


def _content(file: Any) -> bytes:
    data = file.read()
    if not isinstance(data, bytes):
        raise UserError(f"{_described(file)} gives no bytes: open image files as open(path, 'rb')")
    return data


def _of_pillow(image: Image.Image) -> np.ndarray:
    try:
        turned = upright(image)
        return rgb(_over_white(turned) if turned.has_transparency_data else turned)
    except (OSError, SyntaxError, ValueError, UserError) as error:  # also when it is read only now, and damaged
        raise UserError(f"a PIL image of mode {image.mode}: {reason(error)}") from None


def _of_array(image: Any) -> np.ndarray:
    try:
        array = np.asarray(image)
    except Exception:  # of whatever it is that claims to be an array
        raise UserError(f"{_described(image)} is not taken for an image: give {TAKEN}") from None
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.dtype not in (np.uint8, np.uint16) or array.ndim not in (2, 3) or channels not in (1, 3, 4):
        turned = array.ndim == 3 and array.shape[0] in (1, 3, 4) and channels not in (1, 3, 4)
        hint = "; channels come last" if turned else ""
        raise UserError(f"{_described(array)} is not taken for an image: give {TAKEN}{hint}")
    if not array.size:
        raise UserError(f"{_described(array)} has no pixels")
    pixels = (array >> 8).astype(np.uint8) if array.dtype == np.uint16 else array
    if channels == 4:
        return rgb(_over_white(Image.fromarray(np.ascontiguousarray(pixels))))
    return pixels if channels == 3 else np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, -1)


def _over_white(image: Image.Image) -> Image.Image:
    front = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", front.size, "white"), front)


def _described(value: Any) -> str:
    """What was given, for a message."""
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"an array of {value.dtype}, shape {tuple(value.shape)}"
    return f"{type(value).__name__} {shown(repr(value), 40)}"
