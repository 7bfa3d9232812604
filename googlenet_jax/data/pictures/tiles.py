"""JPEG files with restart markers every few units, of which a decoder can be given just the part that it needs.

Between two restart markers the coded data stand for themselves. So of a file that has them at known places (see
`transcode`), the byte ranges that cover a window, with their markers numbered anew and their size in the header, are a
small JPEG file with the very pixels of the large one. What is left out costs nothing, and Huffman decoding is most of
what a decoder does.
"""

import numpy as np

from googlenet_jax.data.pictures.jpeg import Frame, with_size


def splice(
    data: bytes, frame: Frame, offsets: np.ndarray, box: tuple[int, int, int, int]
) -> tuple[bytes | bytearray, int, int]:
    """A JPEG file of the tiles that a window touches, cut out of a larger file without decoding it.

    A tile is what lies between two restart markers: one row of units high, and as wide as all others but the last of
    its row, which may be less.

    Args:
      data: a file with restart markers, in which each row of units begins a new interval and all rows have as many.
      frame: of it.
      offsets: (intervals + 1,) uint32 array: the byte at which each interval begins, counted from `frame.scan_at`; the
        last entry is the end of the last. An interval's last two bytes are the marker behind it.
      box: left, top, right, bottom of the window, pixels; it may reach over the image, of which there is no more.

    Returns:
      (file, left, top): the file of those tiles, whose upper left pixel is the image's pixel (left, top).

    Raises:
      ValueError: if the offsets do not fit the file.
    """
    left, top, right, bottom = box
    rows = -(-frame.height // frame.mcu_height)
    units = -(-frame.width // frame.mcu_width)
    across, odd = divmod(len(offsets) - 1, rows)
    signed = offsets.astype(np.int64)  # so that a damaged index does not pass for a long one
    sizes = np.diff(signed)
    if odd or not across or units % across or sizes.min() < 2 or frame.scan_at + int(offsets[-1]) > len(data):
        raise ValueError("an index of tiles that does not fit its image")
    scan = np.frombuffer(data, np.uint8, offset=frame.scan_at)
    kinds = scan[signed[1:] - 1]  # of markers: restarts, and behind the last interval the image's end
    if signed[0] or (scan[signed[1:] - 2] != 0xFF).any() or (kinds[:-1] & 0xF8 != 0xD0).any() or kinds[-1] != 0xD9:
        raise ValueError("an index of tiles that does not fit its image")
    tile_width = units // across * frame.mcu_width
    first, last = max(left, 0) // tile_width, min(-(-right // tile_width), across)
    upper, lower = max(top, 0) // frame.mcu_height, min(-(-bottom // frame.mcu_height), rows)

    grid = offsets[:-1].reshape(rows, across)
    begins = grid[upper:lower, first]
    ends = offsets[1:].reshape(rows, across)[upper:lower, last - 1]
    coded = memoryview(data)[frame.scan_at :]
    pieces = [coded[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]
    width = min(frame.width, last * tile_width) - first * tile_width
    height = min(frame.height, lower * frame.mcu_height) - upper * frame.mcu_height
    spliced = with_size(data[: frame.scan_at], frame, width, height)
    spliced += bytearray().join(pieces)

    markers = frame.scan_at + np.cumsum(sizes.reshape(rows, across)[upper:lower, first:last]) - 1
    view = np.frombuffer(spliced, np.uint8)
    view[markers] = 0xD0 + (np.arange(len(markers)) & 7)
    view[-1] = 0xD9
    return spliced, first * tile_width, upper * frame.mcu_height
