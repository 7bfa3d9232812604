"""Pillow as it is used here: which formats it may open, how much it may unpack, in silence, and its images as RGB."""

import logging
import warnings

import numpy as np
from PIL import ExifTags, Image, PngImagePlugin, features

from googlenet_jax.data.pictures.jpeg import tiff_numbers
from googlenet_jax.errors import UserError

# Of its formats by name, with their extensions. No others: Pillow would start programs for some, as PostScript.
FORMATS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".jfi"),
    "PNG": (".png", ".apng"),
    "BMP": (".bmp",),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
}
# What Pillow is built with on some machines.
FORMATS |= {"AVIF": (".avif",)} if features.check("avif") else {}
FORMATS |= {"JPEG2000": (".jp2", ".j2k")} if features.check("jpg_2000") else {}
EXTENSIONS = tuple(extension for extensions in FORMATS.values() for extension in extensions)

_MOST_COMMENTS, _MOST_STRIPS = 1000, 100_000
_BIG_TIFF, _OFFSETS = 43, (ExifTags.Base.StripOffsets, ExifTags.Base.TileOffsets)
HEAD = 16  # bytes that tell what a file is
_HEADS = (
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF87a",
    b"GIF89a",
    b"II*\0",
    b"MM\0*",
    *([b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"] if "JPEG2000" in FORMATS else []),
)
_AVIF, _HEIC = (b"avif", b"avis"), (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# A photograph's PNG may carry megabytes of editing history or a printer's profile: more than Pillow's own limit of one.
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = 64 << 20
# What it says of odd files is of no use in a training's log. The filters are for all threads and times, since those of
# `warnings.catch_warnings` are not safe among threads; files that are too large are refused by their size instead.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
warnings.simplefilter("ignore", Image.DecompressionBombWarning)
logging.getLogger("PIL").addHandler(logging.NullHandler())  # without any handler Python prints its errors


def is_image(head: bytes) -> bool:
    """Whether a file is an image of a known format, by its first `HEAD` bytes."""
    if head.startswith(_HEADS):
        return True
    if head[:2] == b"BM":
        return len(head) > 14 and head[6:10] == bytes(4) and head[14] in (12, 40, 52, 56, 64, 108, 124)
    if head[:1] == b"P" and head[1:2] in b"123456":
        return head[2:3].isspace()
    if head[:4] == b"RIFF":
        return head[8:12] == b"WEBP"
    return head[4:8] == b"ftyp" and head[8:12] in (*(_AVIF if "AVIF" in FORMATS else ()), *_HEIC)


def is_heic(head: bytes) -> bool:
    """Whether a file is of Apple's format, which Pillow cannot read, by its first `HEAD` bytes."""
    return head[4:8] == b"ftyp" and head[8:12] in _HEIC


def excess(data: bytes) -> str:
    """What a file has so many of that Pillow would take minutes or gigabytes for them; "" if nothing."""
    if data[:2] in (b"P1", b"P2", b"P3") and data.count(b"#") > _MOST_COMMENTS:
        return "comments"
    if data[:2] in (b"II", b"MM") and _strips(data) > _MOST_STRIPS:
        return "strips"
    return ""


def _strips(tiff: bytes) -> int:
    """Of how many strips or tiles the first image of a TIFF file says to be."""
    number = tiff_numbers(tiff)
    # Where the directory's offset is, bytes of an offset, of the number of entries, and of an entry.
    at, offset, count, entry = (8, 8, 8, 20) if number(2, 2) == _BIG_TIFF else (4, 4, 2, 12)
    first = number(at, offset) + count
    entries = range(first, first + entry * min(number(first - count, count), 1 << 16), entry)
    return max((number(at + 4, offset) for at in entries if number(at, 2) in _OFFSETS), default=0)


def orientation(image: Image.Image) -> int:
    """How an image has to be turned, 1 to 8 as in EXIF; 1, upright, also where its metadata are damaged."""
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # there are many kinds, and the pixels are none the worse
        return 1
    return found if found in _TURNS else 1


def upright(image: Image.Image) -> Image.Image:
    """An image as a viewer shows it, turned as its metadata say."""
    found = orientation(image)
    return image.transpose(_TURNS[found]) if found != 1 else image


def rgb(image: Image.Image) -> np.ndarray:
    """An image's pixels; of one with 16 bits the upper 8, of one that is transparent the colours behind it.

    Args:
      image: of any mode.

    Returns:
      (h, w, 3) uint8 array.

    Raises:
      UserError: if its pixels are floating point numbers, whose range nobody knows.
    """
    if image.mode == "F":
        raise UserError("pixels that are floating point numbers; save it with 8 bits")
    if image.mode.startswith("I"):
        values = np.asarray(image)
        image = Image.fromarray((values >> (8 if values.max() > 255 else 0)).clip(0, 255).astype(np.uint8))
    return np.asarray(image.convert("RGB"))
