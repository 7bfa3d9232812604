"""Training's crops on the host: from a picture and random numbers to a square of pixels."""

import dataclasses
from collections.abc import Callable, Sequence

import ml_collections
import numpy as np
from PIL import Image

from googlenet_jax.data.images import Picture
from googlenet_jax.data.resize import FILTERS, crop_at, resize
from googlenet_jax.data.sampling import Window, paddle_window, torchvision_window

_WINDOWS = {"torchvision": torchvision_window, "paddleclas": paddle_window}


@dataclasses.dataclass(frozen=True)
class TrainCrop:
    """What `config.augment.crop` says, for a picture at a time.

    Attributes:
      kind: `augment.crop`.
      size: side of the result, pixels.
      area, aspect: of a resized crop.
      window: draws a resized crop's place.
      random_filter: whether the way of resizing is drawn too.
      antialias: see `resize`.
      crop_fraction, square: of a random crop, see `crop_at`.
      central: evaluation's crop, for the other kinds.
    """

    kind: str
    size: int
    area: tuple[float, float]
    aspect: tuple[float, float]
    window: Callable[[int, int, Sequence[float], Sequence[float], Sequence[float]], Window]
    random_filter: bool
    antialias: bool
    crop_fraction: float
    square: bool
    central: Callable[[Picture], np.ndarray]

    def __call__(self, picture: Picture, draws: Sequence[float]) -> np.ndarray:
        """One crop.

        Args:
          picture: of any size.
          draws: `sampling.DRAWS` uniform numbers, 0 to below 1.

        Returns:
          (size, size, 3) uint8 array.

        Raises:
          BadImageError: if the picture is damaged.
        """
        if self.kind == "resized":
            box = self.window(picture.width, picture.height, draws, self.area, self.aspect)
            filter = FILTERS[int(len(FILTERS) * draws[-1])] if self.random_filter else Image.Resampling.BILINEAR
            return resize(picture, self.size, box, self.antialias, filter)
        if self.kind == "random":
            return crop_at(picture, self.size, self.crop_fraction, self.square, draws[0], draws[1], self.antialias)
        return self.central(picture)


def make_train_crop(config: ml_collections.ConfigDict, central: Callable[[Picture], np.ndarray]) -> TrainCrop:
    """The crop that a configuration describes.

    Args:
      config: the whole configuration.
      central: evaluation's crop.

    Returns:
      A `TrainCrop`.
    """
    augment = config.augment
    return TrainCrop(
        kind=augment.crop,
        size=config.dataset.image_size,
        area=tuple(augment.area),
        aspect=tuple(augment.aspect),
        window=_WINDOWS[augment.sampling],
        random_filter=augment.interpolation == "random",
        antialias=augment.antialias,
        crop_fraction=config.eval.crop_fraction,
        square=config.eval.resize == "square",
        central=central,
    )
