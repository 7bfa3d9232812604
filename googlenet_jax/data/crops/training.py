"""Training's crops on the host: from a picture and random numbers to a square of pixels."""

import dataclasses
from collections.abc import Callable, Sequence

import ml_collections
import numpy as np
from PIL import Image

from googlenet_jax.config.choices import CROPS, SAMPLINGS
from googlenet_jax.data.crops.resize import FILTERS, crop_at, for_windows, resize
from googlenet_jax.data.crops.windows import Window
from googlenet_jax.data.pictures.picture import Picture


@dataclasses.dataclass(frozen=True)
class TrainCrop:
    """What `config.augment.crop` says, for a picture at a time.

    Attributes:
      cut: the function of the chosen row of `CROPS`.
      size: side of the result, pixels.
      area, aspect: of a resized crop.
      window: draws a resized crop's place.
      random_filter: whether the way of resizing is drawn too.
      antialias: see `resize`.
      crop_fraction, square: of a random crop, see `crop_at`.
      evaluation: evaluation's crop.
    """

    cut: "Callable[[TrainCrop, Picture, Sequence[float]], np.ndarray]"
    size: int
    area: tuple[float, float]
    aspect: tuple[float, float]
    window: Callable[[int, int, Sequence[float], Sequence[float], Sequence[float]], Window]
    random_filter: bool
    antialias: bool
    crop_fraction: float
    square: bool
    evaluation: Callable[[Picture], np.ndarray]

    def __call__(self, picture: Picture, draws: Sequence[float]) -> np.ndarray:
        """One crop.

        Args:
          picture: of any size.
          draws: `windows.DRAWS` uniform numbers, 0 to below 1.

        Returns:
          (size, size, 3) uint8 array.

        Raises:
          BadImageError: if the picture is damaged.
        """
        return self.cut(self, picture, draws)

    def prepared(self, picture: Picture) -> Picture:
        """The picture as several crops are best cut from it; raises as `__call__`."""
        return for_windows(picture, self.size, self.antialias)


def central(crop: TrainCrop, picture: Picture, draws: Sequence[float]) -> np.ndarray:
    """Evaluation's crop; arguments and result as of `TrainCrop.__call__`, as for the others."""
    return crop.evaluation(picture)


def random(crop: TrainCrop, picture: Picture, draws: Sequence[float]) -> np.ndarray:
    """A square of evaluation's size at a random place."""
    return crop_at(picture, crop.size, crop.crop_fraction, crop.square, draws[0], draws[1], crop.antialias)


def resized(crop: TrainCrop, picture: Picture, draws: Sequence[float]) -> np.ndarray:
    """A random part, resized."""
    box = crop.window(picture.width, picture.height, draws, crop.area, crop.aspect)
    filter = FILTERS[int(len(FILTERS) * draws[-1])] if crop.random_filter else Image.Resampling.BILINEAR
    return resize(picture, crop.size, box, crop.antialias, filter)


def make_train_crop(config: ml_collections.ConfigDict, evaluation: Callable[[Picture], np.ndarray]) -> TrainCrop:
    """The crop that a configuration describes.

    Args:
      config: the whole configuration.
      evaluation: evaluation's crop.

    Returns:
      A `TrainCrop`.
    """
    augment = config.augment
    return TrainCrop(
        cut=CROPS[augment.crop].load(),
        size=config.dataset.image_size,
        area=tuple(augment.area),
        aspect=tuple(augment.aspect),
        window=SAMPLINGS[augment.sampling].load(),
        random_filter=augment.interpolation == "random",
        antialias=augment.antialias,
        crop_fraction=config.eval.crop_fraction,
        square=config.eval.resize == "square",
        evaluation=evaluation,
    )
