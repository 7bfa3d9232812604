"""Pictures: images of any kind of file, decoded no further than a window needs."""

import io
import math
import os
import stat
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import simplejpeg
from PIL import Image, UnidentifiedImageError

from googlenet_jax.data.pictures import jpeg, tiles
from googlenet_jax.data.pictures.pillow import EXTENSIONS, FORMATS, HEAD, excess, is_heic, orientation, rgb, upright
from googlenet_jax.errors import UserError, reason, where

MAX_PIXELS = 100_000_000
MAX_BYTES = 256 << 20
_MARGIN = 2  # pixels around a window that a decoder looks at to interpolate its colours
HEIC_HINT = "convert it to JPEG first, by `magick a.heic a.jpg` or with the package pillow-heif"
_SHRINKS = (8, 4, 2)  # a JPEG decoder's inverse transform can give so many times smaller images

Box = tuple[float, float, float, float]


class BadImageError(UserError):
    """A file that cannot be read as an image; the message names it."""


class TooManyPixelsError(BadImageError):
    """An image that is larger than a reader takes, which its header tells."""


class Region(NamedTuple):
    """Decoded pixels around a window: of the image, or of it so many times smaller.

    Attributes:
      pixels: (h, w, 3 or 4) uint8 array, RGB first; the window and what a decoder could not but decode beside it.
      box: the window's left, top, right, bottom, counted in these pixels from their upper left corner; of an image that
        was decoded smaller they may be fractions.
    """

    pixels: np.ndarray
    box: Box


class Picture(Protocol):
    """An image that gives any window of itself.

    Attributes:
      width, height: pixels.
      oddity: what is unusual about its file and was put right, such as "a.jpg: CMYK"; else empty.
    """

    width: int
    height: int
    oddity: str

    def region(self, box: Box, shrink: int = 1, padded: bool = False) -> Region:
        """Decodes at least a window.

        Args:
          box: left, top, right, bottom, pixels.
          shrink: how many times smaller the pixels may be; the result's box says by how much they are.
          padded: a fourth channel of any content is welcome.

        Returns:
          A `Region`.

        Raises:
          BadImageError: if the file is damaged.
        """

    def pixels(self) -> np.ndarray:
        """All of it as (h, w, 3) uint8 RGB array; raises as `region`."""


class Pixels:
    """A picture that is decoded already.

    Args:
      array: (h, w, 3 or 4) uint8 array, RGB first.
      oddity: see `Picture`.
    """

    def __init__(self, array: np.ndarray, oddity: str = ""):
        self._array, self.oddity = array, oddity
        self.height, self.width = array.shape[:2]

    def region(self, box: Box, shrink: int = 1, padded: bool = False) -> Region:
        """As `Picture.region`."""
        return Region(self._array if padded else self.pixels(), box)

    def pixels(self) -> np.ndarray:
        """As `Picture.pixels`."""
        return self._array[..., :3]


class Jpeg:
    """A JPEG file in RGB or grey.

    Args:
      data: the file.
      name: for messages.
      frame: of it.
      offsets: of its restart intervals, see `tiles.splice`; None: it has none that are known.
    """

    oddity = ""

    def __init__(self, data: bytes, name: str, frame: jpeg.Frame, offsets: np.ndarray | None = None):
        self._data, self._name, self._frame, self._offsets = data, name, frame, offsets
        self.width, self.height = frame.width, frame.height

    def region(self, box: Box, shrink: int = 1, padded: bool = False) -> Region:
        """As `Picture.region`; rows below the window are not decoded, nor tiles beside it."""
        left, top, right, bottom = int(box[0]), int(box[1]), math.ceil(box[2]), math.ceil(box[3])
        data: bytes | bytearray = self._data
        x, y = 0, 0
        margin = _MARGIN * shrink
        if self._offsets is not None:
            wanted = (left - margin, top - margin, right + margin, bottom + margin)
            try:
                data, x, y = tiles.splice(self._data, self._frame, self._offsets, wanted)
            except (ValueError, IndexError) as error:
                raise BadImageError(f"{self._name}: a damaged index of tiles ({error})") from None
        elif self._frame.baseline:
            data = jpeg.cut_below(self._data, self._frame, bottom + margin)
        pixels = self._decode(data, shrink, padded)
        found = ((box[0] - x) / shrink, (box[1] - y) / shrink, (box[2] - x) / shrink, (box[3] - y) / shrink)
        return Region(pixels, found)

    def pixels(self) -> np.ndarray:
        """As `Picture.pixels`."""
        return self._decode(self._data, 1, False)

    def _decode(self, data: bytes | bytearray, shrink: int, padded: bool) -> np.ndarray:
        at = self._frame.size_at
        height, width = data[at] << 8 | data[at + 1], data[at + 2] << 8 | data[at + 3]
        colors = "RGBX" if padded else "RGB"
        try:
            # Not strict: like other readers it takes damage within a file, `open_picture` saw that the end is there.
            if shrink > 1:
                if simplejpeg.decode_jpeg_header(data)[:2] != (height, width):
                    raise ValueError("a header that can be read in two ways")
                height, width = -(-height // shrink), -(-width // shrink)
                return simplejpeg.decode_jpeg(data, colors, min_height=height, min_width=width, strict=False)
            # The buffer bounds the memory of a file that the decoder takes for a larger one.
            buffer = np.empty((height, width, len(colors)), np.uint8)
            pixels = simplejpeg.decode_jpeg(data, colors, strict=False, buffer=buffer)
            if pixels.shape != buffer.shape:
                raise ValueError("a header that can be read in two ways")
            return pixels
        except ValueError as error:
            raise BadImageError(f"{self._name}: a damaged image ({error})") from None


def largest_shrink(box: Box, size: float) -> int:
    """How many times smaller a window may be decoded, so that decoding costs less and nothing is enlarged after it.

    Args:
      box: left, top, right, bottom of the window, pixels.
      size: that both of its sides shall still have at the least, pixels.

    Returns:
      8, 4, 2 (what a JPEG decoder's inverse transform can do) or 1: for `Picture.region`'s `shrink`.
    """
    side = min(box[2] - box[0], box[3] - box[1])
    return next((shrink for shrink in _SHRINKS if side >= shrink * size), 1)


def open_picture(data: bytes, name: str, offsets: np.ndarray | None = None, most_pixels: int = MAX_PIXELS) -> Picture:
    """A picture from a file's content, recognised by that and not by its name.

    Args:
      data: the file.
      name: for messages, and for what its extension claims.
      offsets: of a JPEG file's restart intervals, see `tiles.splice`.
      most_pixels: width times height at the most; of a larger one nothing but the header is read.

    Returns:
      A `Picture`: in CMYK, of 16 bits, with an EXIF orientation or several frames, as a viewer would show it first.

    Raises:
      BadImageError: if it is empty, cut off, damaged, or no image; `TooManyPixelsError` if it is too large.
    """
    if not data:
        raise BadImageError(f"{name}: an empty file, not an image")
    if jpeg.is_jpeg(data):
        try:
            frame = jpeg.parse(data)
        except ValueError:
            frame = None
        if (frame is None or not frame.baseline) and jpeg.has_too_many_scans(data):
            raise BadImageError(f"{name}: too many scans; save it anew")
        if frame is None:
            return _decoded(data, name, most_pixels, "an unusual header")
        _check_size(name, frame.width, frame.height, most_pixels)
        claimed = os.path.splitext(name)[1].lower()
        plain = frame.components in (1, 3) and frame.orientation == 1
        if plain and (claimed in FORMATS["JPEG"] or claimed not in EXTENSIONS):
            if data.find(b"\xff\xd9", -64) < 0:
                _check_whole(data, name)
            return Jpeg(data, name, frame, offsets)
    return _decoded(data, name, most_pixels)


def decode_image(data: bytes, name: str) -> np.ndarray:
    """Decodes a whole file to an (h, w, 3) uint8 RGB array; arguments and errors as for `open_picture`."""
    return open_picture(data, name).pixels()


def read_file(path: str | Path) -> bytes:
    """An image file's content; raises `BadImageError` if it cannot be read, `OSError` if that is the disk's fault."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
            raise BadImageError(f"{where(path)}: not a file, or of more than {MAX_BYTES >> 20} MiB")
        return Path(path).read_bytes()
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise BadImageError(f"{where(path)}: {error.strerror}") from None


def read_image(path: str | Path) -> np.ndarray:
    """Reads and decodes an image file, see `decode_image`."""
    return decode_image(read_file(path), str(path))


def _check_size(name: str, width: int, height: int, most_pixels: int) -> None:
    if width * height > most_pixels:
        raise TooManyPixelsError(f"{name}: {width}x{height} pixels are more than {most_pixels:,}; scale it down")


def _check_whole(data: bytes, name: str) -> None:
    try:
        simplejpeg.decode_jpeg(data)
    except ValueError as error:
        raise BadImageError(f"{name}: a damaged image ({reason(error)})") from None


def _decoded(data: bytes, name: str, most_pixels: int, *oddity: str) -> Pixels:
    """Whatever Pillow can read, as a viewer would show it."""
    oddities = list(oddity)
    if too_many := excess(data):
        raise BadImageError(f"{name}: too many {too_many}; save it anew")
    try:
        with Image.open(io.BytesIO(data), formats=list(FORMATS)) as image:
            _check_size(name, *image.size, most_pixels)
            claimed = os.path.splitext(name)[1].lower()
            if image.format in FORMATS and claimed in EXTENSIONS and claimed not in FORMATS[image.format]:
                oddities.append(f"a {image.format} file, whatever its name says")
            if getattr(image, "is_animated", False):  # to count frames may take minutes
                oddities.append("several frames")
            if orientation(image) != 1:
                oddities.append("an EXIF orientation")
            if image.mode == "CMYK":
                oddities.append("CMYK")
            if image.mode.startswith("I") or (data[:4] == b"\x89PNG" and data[24:25] == b"\x10"):
                oddities.append("16 bits a channel")
            return Pixels(rgb(upright(image)), f"{name}: {', '.join(oddities)}" if oddities else "")
    except (BadImageError, MemoryError):
        raise
    except Image.DecompressionBombError:
        raise TooManyPixelsError(f"{name}: more than {most_pixels:,} pixels; scale it down") from None
    except UserError as error:
        raise BadImageError(f"{name}: {error}") from None
    except UnidentifiedImageError:
        if is_heic(data[:HEAD]):
            raise BadImageError(f"{name}: a HEIC file; {HEIC_HINT}") from None
        raise BadImageError(f"{name}: not an image that can be read") from None
    except Exception as error:  # Pillow's decoders raise many kinds for damaged data
        raise BadImageError(f"{name}: a damaged image ({reason(error)})") from None
