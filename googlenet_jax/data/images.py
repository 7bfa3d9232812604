"""Decoding and cropping of single images on the host."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from googlenet_jax.errors import UserError

MAX_PIXELS = 100_000_000
EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
_RANDOM_FILTERS = (
    Image.Resampling.BILINEAR,
    Image.Resampling.BOX,
    Image.Resampling.NEAREST,
    Image.Resampling.BICUBIC,
)


class BadImageError(UserError):
    """A file that cannot be read as an image; the message names it."""


def read_image(path: str | Path) -> np.ndarray:
    """Reads and decodes an image file.

    Args:
      path: of a file in one of `EXTENSIONS`' formats.

    Returns:
      (h, w, 3) uint8 RGB array.

    Raises:
      BadImageError: if it is missing, damaged, not an image, or larger than `MAX_PIXELS`.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise BadImageError(f"{path}: {error.strerror}") from None
    return decode_image(data, str(path))


def decode_image(data: bytes, name: str) -> np.ndarray:
    """Decodes an image; `name` is for messages, the rest is as for `read_image`."""
    if not data:
        raise BadImageError(f"{name}: an empty file, not an image")
    try:
        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise BadImageError(f"{name}: {width}x{height} pixels are more than {MAX_PIXELS:,}; scale it down")
            return np.asarray(image.convert("RGB"))
    except (BadImageError, MemoryError):
        raise
    except UnidentifiedImageError:
        raise BadImageError(f"{name}: not an image that can be read") from None
    except Exception as error:  # Pillow's decoders raise many kinds for damaged data
        raise BadImageError(f"{name}: a damaged image ({error})") from None


def resize(
    image: np.ndarray, size: int, box: tuple[float, float, float, float] | None = None, filter: int = 2
) -> np.ndarray:
    """A part of an image at another size, antialiased.

    Args:
      image: (h, w, 3) uint8 array.
      size: side of the square result, pixels.
      box: left, top, right, bottom of the part, pixels; None: the whole image.
      filter: a PIL resampling filter, bilinear unless said.

    Returns:
      (size, size, 3) uint8 array.
    """
    whole = (0, 0, image.shape[1], image.shape[0])
    if image.shape[:2] == (size, size) and box in (None, whole):
        return image
    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling(filter), box))


def center_crop(image: np.ndarray, size: int, fraction: float, square: bool = False) -> np.ndarray:
    """The central square, resized: what "short side to size / fraction, then crop size" does, in one step.

    Args:
      image: (h, w, 3) uint8 array. One that is already size x size stays as it is.
      size: side of the result, pixels.
      fraction: side of the square by the short side.
      square: the image is made square first, whatever its shape, as Caffe's convert_imageset does.

    Returns:
      (size, size, 3) uint8 array.
    """
    return _crop_at(image, size, fraction, square, 0.5, 0.5)


def random_crop(image: np.ndarray, size: int, fraction: float, square: bool, rng: np.random.Generator) -> np.ndarray:
    """As `center_crop`, at a random place (Caffe's data_transformer.cpp)."""
    return _crop_at(image, size, fraction, square, *rng.uniform(size=2))


def _crop_at(image: np.ndarray, size: int, fraction: float, square: bool, right: float, down: float) -> np.ndarray:
    """The square at these shares, 0 to 1, of the way from left to right and from top to bottom."""
    height, width = image.shape[:2]
    if height == width == size:
        return image
    w, h = (fraction * width, fraction * height) if square else (fraction * min(height, width),) * 2
    left, top = (width - w) * right, (height - h) * down
    return resize(image, size, (left, top, left + w, top + h))


def random_resized_crop(
    image: np.ndarray,
    size: int,
    rng: np.random.Generator,
    area: tuple[float, float],
    aspect: tuple[float, float],
    random_filter: bool = False,
    paddle: bool = False,
) -> np.ndarray:
    """A random part of the image, resized (arXiv 1409.4842, section 6; torchvision's sampling).

    Args:
      image: (h, w, 3) uint8 array.
      size: side of the result, pixels.
      rng: source of the window.
      area: least and greatest share of the image's area.
      aspect: least and greatest width by height, uniform in the logarithm.
      random_filter: resize by bilinear, area, nearest or cubic, equally likely.
      paddle: draw the window as PaddleClas' RandCropImage does: the aspect uniform itself, the area from what fits.

    Returns:
      (size, size, 3) uint8 array.
    """
    height, width = image.shape[:2]
    filter = _RANDOM_FILTERS[rng.integers(4)] if random_filter else Image.Resampling.BILINEAR
    if paddle:
        ratio = rng.uniform(*aspect)
        most = min(width / height / ratio, height / width * ratio)
        target = height * width * rng.uniform(min(area[0], most), min(area[1], most))
        w, h = max(int(np.sqrt(target * ratio)), 1), max(int(np.sqrt(target / ratio)), 1)
        left, top = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
        return resize(image, size, (left, top, left + w, top + h), filter)
    for _ in range(10):
        target = height * width * rng.uniform(*area)
        ratio = np.exp(rng.uniform(*np.log(aspect)))
        w, h = round(np.sqrt(target * ratio)), round(np.sqrt(target / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
            return resize(image, size, (left, top, left + w, top + h), filter)
    w = min(width, round(height * aspect[1]))  # an image longer than any allowed aspect: its centre
    h = min(height, round(width / aspect[0]))
    left, top = (width - w) / 2, (height - h) / 2
    return resize(image, size, (left, top, left + w, top + h), filter)
