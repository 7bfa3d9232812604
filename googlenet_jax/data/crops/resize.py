"""Windows of pictures at another size: evaluation's crops and training's."""

import cv2
import numpy as np
from PIL import Image

from googlenet_jax.data.pictures.picture import Box, Picture, Pixels, largest_shrink

cv2.setNumThreads(0)  # the loader has its own threads
_BICUBIC, _BILINEAR, _BOX, _NEAREST = (Image.Resampling[name] for name in ("BICUBIC", "BILINEAR", "BOX", "NEAREST"))
FILTERS = (_BILINEAR, _BOX, _NEAREST, _BICUBIC)
_OPENCV = {
    _BILINEAR: cv2.INTER_LINEAR,
    _BOX: cv2.INTER_AREA,
    _NEAREST: cv2.INTER_NEAREST,
    _BICUBIC: cv2.INTER_CUBIC,
}
_GAP = 4  # antialiased: DCT scaling leaves at least so many times the wanted size, or it would show


def as_picture(image: "np.ndarray | Picture") -> Picture:
    """A picture as it is, or of an (h, w, 3) uint8 array."""
    return Pixels(image) if isinstance(image, np.ndarray) else image


def resize(
    picture: Picture,
    size: int,
    box: Box,
    antialias: bool = True,
    filter: Image.Resampling = _BILINEAR,
    context: bool = False,
) -> np.ndarray:
    """A window of a picture at another size.

    Args:
      picture: it is decoded no further than needed.
      size: side of the square result, pixels.
      box: left, top, right, bottom of the window, pixels.
      antialias: each result takes the mean over all pixels that it covers, by Pillow; else it looks at its nearest ones
        alone, by OpenCV, which is faster. Large JPEG files are then also decoded at a lower resolution.
      filter: of Pillow's kinds.
      context: the filter looks at pixels outside the window, as if the whole picture was resized and then cut.

    Returns:
      (size, size, 3) uint8 array.

    Raises:
      BadImageError: if the picture is damaged.
    """
    if picture.width == picture.height == size and box == (0, 0, size, size):
        return picture.pixels()
    if not antialias:
        return _sample(*picture.region(box, largest_shrink(box, size)), size, _OPENCV[filter])
    wanted = box
    if context:
        # As far as the filter reaches, two of the result's pixels for the widest.
        x, y = (2 * max((box[i + 2] - box[i]) / size, 1) + 1 for i in (0, 1))
        wanted = (
            max(box[0] - x, 0),
            max(box[1] - y, 0),
            min(box[2] + x, picture.width),
            min(box[3] + y, picture.height),
        )
    shrink = 1 if context else largest_shrink(box, _GAP * size)  # evaluation is exact, whatever it takes
    pixels, found = picture.region(wanted, shrink, padded=True)
    across, down = ((found[i + 2] - found[i]) / (wanted[i + 2] - wanted[i]) for i in (0, 1))
    left, top = found[0] + (box[0] - wanted[0]) * across, found[1] + (box[1] - wanted[1]) * down
    inner = (left, top, left + (box[2] - box[0]) * across, top + (box[3] - box[1]) * down)
    image = _as_image(pixels)
    if not context and all(edge == int(edge) for edge in inner):
        image = image.crop(inner)  # so that nothing outside has a part in it
        inner = (0, 0, *image.size)
    # As bytes, and not as an array of four channels: a copy of three of them would take half as long as all of this.
    resized = image.resize((size, size), filter, inner).tobytes("raw", "RGB")
    return np.frombuffer(resized, np.uint8).reshape(size, size, 3)


def for_windows(picture: Picture, size: int, antialias: bool) -> Picture:
    """A picture of which several windows are to be resized, decoded once for all of them where that saves work.

    Args:
      picture: of any size. One of which `resize` may decode windows smaller than they are comes back as it is.
      size, antialias: as for `resize`.

    Returns:
      A picture of the same pixels.

    Raises:
      BadImageError: if the picture is damaged.
    """
    whole = (0, 0, picture.width, picture.height)
    if largest_shrink(whole, _GAP * size if antialias else size) > 1:
        return picture
    return Pixels(picture.region(whole, padded=antialias).pixels, picture.oddity)


def _sample(pixels: np.ndarray, box: Box, size: int, interpolation: int) -> np.ndarray:
    left, top, right, bottom = (int(edge) for edge in box)
    if (left, top, right, bottom) == box:
        window = pixels[top:bottom, left:right]
        return (
            window if window.shape[:2] == (size, size) else cv2.resize(window, (size, size), None, 0, 0, interpolation)
        )
    # Of an image that was decoded smaller the window's edges lie between pixels.
    x, y = ((box[i + 2] - box[i]) / size for i in (0, 1))
    left, top = max(left - 1, 0), max(top - 1, 0)  # counted from nearby, OpenCV rounds alike in large and small images
    pixels = pixels[top:, left:]
    places = np.array([[x, 0, box[0] - left + x / 2 - 0.5], [0, y, box[1] - top + y / 2 - 0.5]])
    interpolation = cv2.INTER_LINEAR if interpolation == cv2.INTER_AREA else interpolation
    flags = interpolation | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(pixels, places, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _as_image(pixels: np.ndarray) -> Image.Image:
    if pixels.shape[-1] == 3:
        return Image.fromarray(pixels)
    size = (pixels.shape[1], pixels.shape[0])
    return Image.frombuffer("RGBX", size, pixels, "raw", "RGBX", 0, 1)  # of four channels Pillow makes no copy


def center_crop(image: "np.ndarray | Picture", size: int, fraction: float, square: bool = False) -> np.ndarray:
    """The central square, resized: what "short side to size / fraction, then crop size" does, in one step.

    Args:
      image: (h, w, 3) uint8 array, or a picture. One that is already size x size stays as it is.
      size: side of the result, pixels.
      fraction: side of the square by the short side.
      square: the image is made square first, whatever its shape, as Caffe's convert_imageset does.

    Returns:
      (size, size, 3) uint8 array.
    """
    return crop_at(as_picture(image), size, fraction, square, 0.5, 0.5)


def crop_at(
    picture: Picture, size: int, fraction: float, square: bool, right: float, down: float, antialias: bool = True
) -> np.ndarray:
    """As `center_crop`, the square at these shares, 0 to 1, of the way from left to right and from top to bottom."""
    box = box_at(picture.width, picture.height, size, fraction, square, right, down)
    return resize(picture, size, box, antialias, context=True)


def box_at(
    width: int, height: int, size: int, fraction: float, square: bool, right: float = 0.5, down: float = 0.5
) -> Box:
    """The part of a picture that `crop_at` takes, by default the central one: left, top, right, bottom in pixels."""
    if height == width == size:
        return 0, 0, width, height
    w, h = (fraction * width, fraction * height) if square else (fraction * min(height, width),) * 2
    left, top = (width - w) * right, (height - h) * down
    return left, top, left + w, top + h
