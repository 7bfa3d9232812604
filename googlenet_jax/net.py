"""A trained network, ready to use: what `gn.load` returns."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import ml_collections
import numpy as np

from googlenet_jax.config import from_json
from googlenet_jax.data.pictures.arrays import as_pixels, each_image
from googlenet_jax.data.preprocess import Preprocess
from googlenet_jax.errors import UserError
from googlenet_jax.models.googlenet import GoogLeNet
from googlenet_jax.models.make_model import make_model
from googlenet_jax.runs import checkpoint

UNUSED = "unused "  # begins the names of outputs beyond the dataset's classes


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


@dataclasses.dataclass(frozen=True)
class Net:
    """A network with its variables and all that it takes to use them.

    Attributes:
      model: the Flax module.
      variables: its variables, numpy arrays.
      labels: class names by index.
      preprocess: from uint8 images to the network's input.
      config: that it was trained with.
      step: training steps behind it.
    """

    model: GoogLeNet
    variables: Any
    labels: Sequence[str]
    preprocess: Preprocess
    config: ml_collections.ConfigDict
    step: int

    def probabilities(self, images: Any) -> np.ndarray:
        """Class probabilities.

        Args:
          images: one or several, also mixed, of uint8 RGB arrays (h, w, 3), grey ones (h, w) and (h, w, 1), RGBA ones,
            which are laid over white, the same of uint16, PIL images, paths, and the bytes of image files; or an array
            (n, h, w, 3). A file with transparency keeps its colours, as in training.

        Returns:
          (n, classes) float32 array.

        Raises:
          UserError: for an image that cannot be read, or something else.
        """
        crops = [self.preprocess.crop(as_pixels(image)) for image in each_image(images)]
        if not crops:
            return np.zeros((0, len(self.labels)), np.float32)
        # A few batch sizes are compiled, not one a number of images.
        size = min(1 << (len(crops) - 1).bit_length(), 64)
        padded = crops + [crops[0]] * (-len(crops) % size)
        batches = (np.stack(padded[i : i + size]) for i in range(0, len(padded), size))
        return np.concatenate([np.asarray(self._apply(batch)) for batch in batches])[: len(crops)]

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
            classes = [int(i) for i in np.argsort(-row, kind="stable")[:top]]
            predictions.append(Prediction([self.labels[i] for i in classes], [float(row[i]) for i in classes], classes))
        return predictions

    @functools.cached_property
    def _apply(self) -> Any:
        def apply(variables: Any, images: jax.Array) -> jax.Array:
            logits: Any = self.model.apply(variables, self.preprocess.normalize(images), train=False)
            return jax.nn.softmax(logits)

        return functools.partial(jax.jit(apply), jax.device_put(self.variables))


def load(path: str | Path) -> Net:
    """Loads a trained or imported network.

    Args:
      path: a run (its best checkpoint by validation top-1 is taken), one of its `checkpoints/<step>`, or an imported
        checkpoint. Also a URL of one in a bucket, such as s3://bucket/run, which is copied to this machine once.

    Returns:
      A `Net`.

    Raises:
      UserError: if there is no checkpoint, or it is damaged.

    Example:
      >>> net = googlenet_jax.load("runs/digits/2026-11-21_10-00-00")
      >>> net.predict(["seven.png"])[0].labels[0]
      '7'
    """
    meta, variables = checkpoint.read(path)
    config = from_json(meta["config"])
    labels = meta["labels"]
    model = make_model(config, len(labels))
    return Net(model, variables, labels, Preprocess.from_dict(meta["preprocess"]), config, int(meta["step"]))
