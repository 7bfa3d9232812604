"""From an image file or array to the network's input: the same for training, evaluation and serving."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from googlenet_jax.data.crops.resize import box_at, center_crop
from googlenet_jax.data.pictures.arrays import as_pixels, each_image
from googlenet_jax.data.pictures.picture import Box, Picture
from googlenet_jax.models.normalization import by_channel
from googlenet_jax.models.variants import get_variant


@dataclasses.dataclass(frozen=True)
class Preprocess:
    """How a trained network wants its input.

    Attributes:
      image_size: side of the square that is cropped, pixels.
      crop_fraction: side of the central square that is taken, by the image's short side.
      mean, std: subtracted from and divided into 0..255 pixels, in `channel_order`.
      channel_order: "rgb" or "bgr".
      resize: "short": the image keeps its shape; "square": it is made square first, as Caffe does.
      network_size: side that the device resizes crops to, pixels; None: image_size.
    """

    image_size: int
    crop_fraction: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    channel_order: str
    resize: str = "short"
    network_size: int | None = None

    def crop(self, image: np.ndarray | Picture) -> np.ndarray:
        """The central square at the network's size.

        Args:
          image: (h, w, 3) uint8 RGB array, or a picture.

        Returns:
          (image_size, image_size, 3) uint8 array.
        """
        return center_crop(image, self.image_size, self.crop_fraction, self.resize == "square")

    def box(self, width: int, height: int) -> Box:
        """The part that `crop` takes of an image of so many pixels: left, top, right, bottom."""
        return box_at(width, height, self.image_size, self.crop_fraction, self.resize == "square")

    def normalize(self, images: jax.Array) -> jax.Array:
        """Pixels as the network's input.

        Args:
          images: (n, h, w, 3) RGB array, 0 to 255, uint8 or float: squares of `image_size` as `crop` gives them, which
            are resized to `network_size`; those of another size keep it.

        Returns:
          (n, h', w', 3) float32 array in `channel_order`.
        """
        pixels = images.astype(jnp.float32)
        if self.network_size not in (None, self.image_size) and images.shape[1] == self.image_size:
            n, size = images.shape[0], self.network_size
            pixels = jax.image.resize(pixels, (n, size, size, 3), "bilinear")
        if self.channel_order == "bgr":
            pixels = pixels[..., ::-1]
        return (pixels - by_channel(jnp.asarray(self.mean))) / by_channel(jnp.asarray(self.std))

    def __call__(self, images: Any) -> jax.Array:
        """What the network sees of images: each one's central square, normalised.

        Args:
          images: one or several as for `Classifier.probabilities`, such as (h, w, 3) uint8 RGB arrays of any size.

        Returns:
          (n, side, side, 3) float32 array in `channel_order`; side is `network_size`, or else `image_size`.

        Raises:
          UserError: for an image that cannot be read, or something else.
        """
        return self.normalize(jnp.asarray(np.stack([self.crop(as_pixels(image)) for image in each_image(images)])))

    @property
    def of_rgb(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation, (3,) float32 arrays, for pixels in the order RGB."""
        step = -1 if self.channel_order == "bgr" else 1
        return np.asarray(self.mean, np.float32)[::step], np.asarray(self.std, np.float32)[::step]

    def replace(self, **changes: Any) -> "Preprocess":
        """With other values in these fields."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> "Preprocess":
        """From what `to_dict` gave; raises `ValueError`, `KeyError` or `TypeError` if that makes no sense."""
        p = cls(**stored | {"mean": tuple(stored["mean"]), "std": tuple(stored["std"])})
        sizes = p.image_size, p.image_size if p.network_size is None else p.network_size
        fitting = (
            all(type(size) is int and 0 < size <= 4096 for size in sizes)
            and isinstance(p.crop_fraction, int | float)
            and 0 < p.crop_fraction <= 1
            and len(p.mean) == len(p.std) == 3
            and all(isinstance(value, int | float) and math.isfinite(value) for value in (*p.mean, *p.std))
            and all(p.std)
            and p.channel_order in ("rgb", "bgr")
            and p.resize in ("short", "square")
        )
        if not fitting:
            raise ValueError("an input that makes no sense")
        return p


def make_preprocess(config: ml_collections.ConfigDict) -> Preprocess:
    """What a configuration does to images in use: its crop, and its normalisation or its family's."""
    size = config.eval.image_size or config.dataset.image_size
    dataset, family = config.dataset, get_variant(config.model.variant).normalization
    return Preprocess(
        image_size=size,
        crop_fraction=config.eval.crop_fraction,
        mean=dataset.mean or family.mean,
        std=dataset.std or family.std,
        channel_order=dataset.channel_order or family.channel_order,
        resize=config.eval.resize,
        network_size=dataset.network_size or size,
    )
