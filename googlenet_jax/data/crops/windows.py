"""Where a training image's resized crop lies: the rows of `SAMPLINGS`, functions of uniform numbers.

They draw nothing themselves: the loader gives each position in the training its numbers (`order.draws`), and with them
its crop.
"""

import math
from collections.abc import Sequence

DRAWS = 24  # uniform numbers that an image's crop may use; a multiple of 4, see `order.draws`
_TRIES = 10

Window = tuple[int, int, int, int]


def torchvision_window(
    width: int, height: int, draws: Sequence[float], area: Sequence[float], aspect: Sequence[float]
) -> Window:
    """A window as torchvision's RandomResizedCrop takes it (arXiv 1409.4842, section 6).

    Args:
      width, height: of the image, pixels.
      draws: at least 22 uniform numbers, 0 to below 1.
      area: least and greatest share of the image's area.
      aspect: least and greatest width by height, uniform in the logarithm.

    Returns:
      left, top, right, bottom, pixels; the central part if ten tries do not fit, as with very long images.
    """
    low, high = math.log(aspect[0]), math.log(aspect[1])
    for i in range(_TRIES):
        target = width * height * (area[0] + (area[1] - area[0]) * draws[2 * i])
        ratio = math.exp(low + (high - low) * draws[2 * i + 1])
        w, h = round(math.sqrt(target * ratio)), round(math.sqrt(target / ratio))
        if 0 < w <= width and 0 < h <= height:
            return _placed(width, height, w, h, draws)
    w = max(min(width, round(height * aspect[1])), 1)
    h = max(min(height, round(width / aspect[0])), 1)
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h


def paddle_window(
    width: int, height: int, draws: Sequence[float], area: Sequence[float], aspect: Sequence[float]
) -> Window:
    """As `torchvision_window`, but as PaddleClas' RandCropImage: the aspect uniform itself, the area from what fits."""
    ratio = aspect[0] + (aspect[1] - aspect[0]) * draws[0]
    most = min(width / height / ratio, height / width * ratio)
    low, high = min(area[0], most), min(area[1], most)
    target = width * height * (low + (high - low) * draws[1])
    w, h = max(int(math.sqrt(target * ratio)), 1), max(int(math.sqrt(target / ratio)), 1)
    return _placed(width, height, min(w, width), min(h, height), draws)


def _placed(width: int, height: int, w: int, h: int, draws: Sequence[float]) -> Window:
    left, top = int((width - w + 1) * draws[20]), int((height - h + 1) * draws[21])
    return left, top, left + w, top + h
