"""What classifies pictures, whatever runs it: a checkpoint in JAX, or an exported file in its own runtime."""

import abc
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from googlenet_jax.data.pictures.arrays import as_pixels, each_image
from googlenet_jax.data.preprocess import Preprocess
from googlenet_jax.errors import UserError

MOST = 64  # images at once
NOT_FINITE = "the network gives numbers that are not finite: it diverged in training, or its weights are damaged"


class Prediction(NamedTuple):
    """One image's most likely classes, the likeliest first.

    Attributes:
      labels: class names.
      probabilities: 0..1, of all classes they sum to 1.
      classes: indices of the classes.
    """

    labels: list[str]
    probabilities: list[float]
    classes: list[int]


class Classifier(abc.ABC):
    """Class names, preprocessing, and probabilities from crops.

    Attributes:
      labels: class names by index.
      preprocess: from pictures to crops, and to the network's input.
    """

    labels: Sequence[str]
    preprocess: Preprocess

    @abc.abstractmethod
    def classify(self, crops: np.ndarray) -> np.ndarray:
        """Class probabilities (n, classes), float32, of uint8 crops (n, size, size, 3) as `preprocess.crop` gives."""

    def probabilities(self, images: Any) -> np.ndarray:
        """Class probabilities.

        Args:
          images: one or several, also mixed, of uint8 RGB arrays (h, w, 3), grey ones (h, w) and (h, w, 1), RGBA ones,
            which are laid over white, the same of uint16, PIL images, paths, open files, and the bytes of image files;
            or an array (n, h, w, 3). A file with transparency keeps its colours, as in training.

        Returns:
          (n, classes) float32 array.

        Raises:
          UserError: for an image that cannot be read, or something else; if the result is not finite.
        """
        crops = [self.preprocess.crop(as_pixels(image)) for image in each_image(images)]
        if not crops:
            return np.zeros((0, len(self.labels)), np.float32)
        # A few batch sizes are compiled, not one a number of images.
        size = min(1 << (len(crops) - 1).bit_length(), MOST)
        padded = crops + [crops[0]] * (-len(crops) % size)
        batches = (np.stack(padded[i : i + size]) for i in range(0, len(padded), size))
        found = np.concatenate([np.asarray(self.classify(batch)) for batch in batches])[: len(crops)]
        if not np.isfinite(found).all():
            raise UserError(NOT_FINITE)
        return found

    def predict(self, images: Any, top: int = 5) -> list[Prediction]:
        """Classifies images.

        Args:
          images: as for `probabilities`.
          top: how many classes to name.

        Returns:
          One `Prediction` an image.

        Raises:
          UserError: as `probabilities`, and for a `top` under 1.
        """
        if top < 1:
            raise UserError(f"top={top}: at least 1 class must be named")
        predictions = []
        for row in self.probabilities(images):
            classes = likeliest(row, top).tolist()
            predictions.append(Prediction([self.labels[i] for i in classes], [float(row[i]) for i in classes], classes))
        return predictions


def likeliest(probabilities: np.ndarray, top: int) -> np.ndarray:
    """Indices (..., top) of the largest of (..., classes) values, the largest first, of equal ones the first first."""
    return np.argsort(-probabilities, axis=-1, kind="stable")[..., :top]
