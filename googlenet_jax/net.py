"""A trained network, ready to use: what `gn.load` returns."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np

from googlenet_jax.classifier import Classifier, Prediction
from googlenet_jax.config import from_json
from googlenet_jax.data.preprocess import Preprocess
from googlenet_jax.exported.opening import ExportedNet, open_exported
from googlenet_jax.models.folding import fold
from googlenet_jax.models.googlenet import GoogLeNet
from googlenet_jax.models.make_model import make_model
from googlenet_jax.runs import checkpoint

__all__ = ["UNUSED", "ExportedNet", "Net", "Prediction", "load"]

UNUSED = "unused "  # begins the names of outputs beyond the dataset's classes


@dataclasses.dataclass(frozen=True)
class Net(Classifier):
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

    def classify(self, crops: np.ndarray) -> np.ndarray:
        """See `Classifier.classify`."""
        return np.asarray(self._apply(crops))

    @functools.cached_property
    def _apply(self) -> Any:
        model, variables = fold(self.model, self.variables)

        def apply(variables: Any, images: jax.Array) -> jax.Array:
            logits: Any = model.apply(variables, self.preprocess.normalize(images), train=False)
            return jax.nn.softmax(logits)

        return functools.partial(jax.jit(apply), jax.device_put(variables))


def load(path: str | Path) -> "Net | ExportedNet":
    """Loads a trained, imported or exported network.

    Args:
      path: a run (its best checkpoint by validation top-1 is taken), one of its `checkpoints/<step>`, or an imported
        checkpoint. Also a URL of one in a bucket, such as s3://bucket/run, which is copied to this machine once. Also a
        file or directory that `googlenet export` wrote, which is run by its own runtime.

    Returns:
      A `Net`, or of an exported file an `ExportedNet`, which classifies likewise.

    Raises:
      UserError: if there is no checkpoint, it is damaged, or an exported file's runtime is missing.

    Example:
      >>> net = googlenet_jax.load("runs/digits/2026-11-21_10-00-00")
      >>> net.predict(["seven.png"])[0].labels[0]
      '7'
    """
    exported = open_exported(path)
    if exported is not None:
        return exported
    meta, variables = checkpoint.read(path)
    config = from_json(meta["config"])
    labels = meta["labels"]
    model = make_model(config, len(labels))
    return Net(model, variables, labels, Preprocess.from_dict(meta["preprocess"]), config, int(meta["step"]))
