"""What can be read off a JPEG file without decoding it, and a shorter file for those who want only its upper part."""

from collections.abc import Callable
from typing import Literal, NamedTuple

_EXIF = b"Exif\0\0"
_ORIENTATION = 0x0112
_BASELINE = (0xC0, 0xC1)  # Huffman, sequential: ITU-T T.81, table B.1
_WITHOUT_LENGTH = {0x00, 0x01, *range(0xD0, 0xDA)}
_MOST_SCANS = 50
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


class Frame(NamedTuple):
    """A JPEG file's frame header and where to find it.

    Attributes:
      width, height: pixels.
      components: 1 grey, 3 colour, 4 CMYK.
      mcu_width, mcu_height: of a minimum coded unit, pixels.
      baseline: whether it is coded in one pass from top to bottom.
      size_at: offset of the height's and width's four bytes.
      scan_at: offset of the first scan's coded data.
      orientation: of EXIF, 1 to 8; 1 is upright.
    """

    width: int
    height: int
    components: int
    mcu_width: int
    mcu_height: int
    baseline: bool
    size_at: int
    scan_at: int
    orientation: int


def has_too_many_scans(data: bytes) -> bool:
    """Whether a file that is not baseline has more scans than any encoder writes: each costs a pass over the image."""
    return data.count(b"\xff\xda") > _MOST_SCANS  # coded data have no such pair, and a thumbnail few


def is_jpeg(data: bytes) -> bool:
    """Whether it begins as a JPEG file does."""
    return data[:3] == b"\xff\xd8\xff"


def parse(data: bytes) -> Frame:
    """Reads the headers up to the first scan (ITU-T T.81, annex B).

    Args:
      data: a JPEG file.

    Returns:
      Its `Frame`.

    Raises:
      ValueError: if the headers are damaged.
    """
    at, orientation, frame = 2, 1, None
    try:
        while True:
            if data[at] != 0xFF:
                raise ValueError("a damaged header")
            marker = data[at + 1]
            if marker == 0xFF:  # fill byte
                at += 1
                continue
            length = data[at + 2] << 8 | data[at + 3]
            if length < 2 or marker in _WITHOUT_LENGTH:
                raise ValueError("a damaged header")
            if marker in _FRAMES:
                frame = _frame(data, at + 4, marker)
            elif marker == 0xE1 and data[at + 4 : at + 10] == _EXIF:
                orientation = _exif_orientation(data[at + 10 : at + 2 + length])
            elif marker == 0xDA:
                if frame is None:
                    raise ValueError("a scan without a frame")
                found = Frame(*frame, scan_at=at + 2 + length, orientation=orientation)
                return found._replace(baseline=found.baseline and data[at + 4] == found.components)  # of this scan
            at += 2 + length
    except IndexError:
        raise ValueError("cut off in its header") from None


def _frame(data: bytes, at: int, marker: int) -> tuple[int, int, int, int, int, bool, int]:
    height, width, components = data[at + 1] << 8 | data[at + 2], data[at + 3] << 8 | data[at + 4], data[at + 5]
    if not width or not height:
        raise ValueError("a frame without a size")
    sampling = [data[at + 7 + 3 * i] for i in range(components)]
    # The single component of a grey image is not interleaved: its unit is one block, whatever its sampling.
    across, down = (max(s >> 4 for s in sampling), max(s & 15 for s in sampling)) if components > 1 else (1, 1)
    if not across or not down:
        raise ValueError("a component without a sampling factor")
    return width, height, components, 8 * across, 8 * down, marker in _BASELINE, at + 1


def tiff_numbers(tiff: bytes) -> Callable[[int, int], int]:
    """What reads the whole numbers of a TIFF file, or of an EXIF block: of so many bytes at a place, in its order."""
    order: Literal["big", "little"] = "big" if tiff[:2] == b"MM" else "little"
    return lambda at, size: int.from_bytes(tiff[at : at + size], order)


def _exif_orientation(tiff: bytes) -> int:
    """The orientation tag of an EXIF block's first directory; 1 where there is none that makes sense."""
    number = tiff_numbers(tiff)
    directory = number(4, 4)
    for entry in range(min(number(directory, 2), 100)):
        at = directory + 2 + 12 * entry
        if number(at, 2) == _ORIENTATION:
            value = number(at + 8, 2)
            return value if 1 <= value <= 8 else 1
    return 1


def with_size(data: bytes | bytearray, frame: Frame, width: int, height: int) -> bytearray:
    """A file, or its beginning, that says to have another size."""
    changed = bytearray(data)
    changed[frame.size_at : frame.size_at + 4] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return changed


def cut_below(data: bytes, frame: Frame, bottom: int) -> bytes | bytearray:
    """A file of the rows above `bottom`: a decoder stops there, and need not go through the rest.

    Args:
      data: a baseline JPEG file.
      frame: of it.
      bottom: first row that is not wanted.

    Returns:
      The file; it ends with a whole row of units.
    """
    height = -(-bottom // frame.mcu_height) * frame.mcu_height
    return data if height >= frame.height else with_size(data, frame, frame.width, height)
