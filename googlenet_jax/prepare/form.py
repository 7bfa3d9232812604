"""In what form images are packed: as they are, smaller, in tiles."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import simplejpeg
from PIL import Image

from googlenet_jax.data.pictures.picture import BadImageError, Picture, open_picture
from googlenet_jax.data.pictures.pillow import EXTENSIONS, FORMATS
from googlenet_jax.data.sources.records import encode
from googlenet_jax.errors import UserError

_QUALITY = 95  # about that of ImageNet's own files
_MOST_SIDE = 65_500  # of a JPEG file, pixels


class Form(NamedTuple):
    """How images are stored.

    Attributes:
      tiles: JPEG files transcoded to restart-marker tiles, see `data.pictures.tiles`; others stay as they are.
      short_side: an image whose shorter side has more pixels is shrunk to that and stored as JPEG; None: none is.
    """

    tiles: bool = False
    short_side: int | None = None

    def __str__(self) -> str:
        size = "" if self.short_side is None else f", shorter sides of {self.short_side} pixels at most"
        return f"{'with' if self.tiles else 'without'} tiles{size}"


AS_THEY_ARE = Form()


class Stored(NamedTuple):
    """An image in its form.

    Attributes:
      record: for `RecordSource`.
      shrunk: whether it was.
      unreadable: whether it was to be looked at and could not be decoded.
      plain: why it has no tiles; None: it has.
    """

    record: bytes
    shrunk: bool
    unreadable: bool
    plain: str | None


def storing(form: Form) -> Callable[[int, str, bytes], Stored]:
    """What brings an image into a form.

    Args:
      form: the form.

    Returns:
      A function of the index of the class, the name and the file's content; an image that cannot be decoded stays as
      it is.

    Raises:
      UserError: if a package that it takes is not there.
    """
    transcode = _transcoder() if form.tiles else None

    def store(label: int, name: str, data: bytes) -> Stored:
        smaller, unreadable = None, False
        try:
            smaller = None if form.short_side is None else _shrink(data, name, form.short_side)
        except BadImageError:
            unreadable = True
        if smaller is not None:
            data, name = smaller, _as_jpeg(name)
        offsets, plain = None, None if transcode else "not asked for"
        if transcode:
            try:
                data, offsets = transcode(data)
            except ValueError as error:
                plain = str(error).partition(" at ")[0]
        return Stored(encode(label, name, data, offsets), smaller is not None, unreadable, plain)

    return store


def _transcoder() -> Callable[[bytes], tuple[bytes, np.ndarray]]:
    try:
        from googlenet_jax.prepare.transcode import transcode
    except ImportError:
        raise UserError("--tiles needs numba: pip install 'googlenet-jax[tiles]'") from None
    return transcode


def _shrink(data: bytes, name: str, short_side: int) -> bytes | None:
    """The image as JPEG file of that shorter side; None if it is no larger, or longer than a JPEG file can be."""
    picture: Picture = open_picture(data, name)
    factor = short_side / min(picture.width, picture.height)
    size = max(round(picture.width * factor), short_side), max(round(picture.height * factor), short_side)
    if factor >= 1 or max(size) > _MOST_SIDE:
        return None
    # Lanczos: of Pillow's filters the sharpest, as training's crops are resized once more.
    pixels = Image.fromarray(picture.pixels()).resize(size, Image.Resampling.LANCZOS)
    return simplejpeg.encode_jpeg(np.asarray(pixels), _QUALITY, colorsubsampling="420")


def _as_jpeg(name: str) -> str:
    """The name of what is a JPEG file now."""
    claimed = f".{name.rpartition('.')[2].lower()}"
    return name if claimed in FORMATS["JPEG"] or claimed not in EXTENSIONS else f"{name}.jpg"
