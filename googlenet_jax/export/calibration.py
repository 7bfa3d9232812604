"""Images that the ranges of an int8 network are measured on, and the choice among ways to find those ranges."""

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from googlenet_jax.classifier import Classifier
from googlenet_jax.config import from_json, override
from googlenet_jax.data.bad_images import load
from googlenet_jax.data.classes import with_classes_of
from googlenet_jax.data.order import spread
from googlenet_jax.data.pictures.picture import BadImageError
from googlenet_jax.data.sources.opening import open_source
from googlenet_jax.errors import UserError
from googlenet_jax.export.target import Options
from googlenet_jax.exported.description import Description
from googlenet_jax.exported.opening import ExportedNet, open_exported

log = logging.getLogger(__name__)
_IMAGES = 500  # that ranges are measured on, and as many that what came of it is judged by


def calibration_crops(description: Description, options: Options, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Training images, evenly spread over the set.

    Args:
      description: of the network; says how they are cropped.
      options: `calibration` names the set.
      count: images, or all if there are fewer; those that cannot be read are left out.

    Returns:
      Crops (n, size, size, 3) uint8 RGB, and labels (n,) int32.

    Raises:
      UserError: if there is no such set, or none of the images can be read.
    """
    config = override(from_json(description.config), {"dataset.name": str(options.calibration)})
    source, _ = open_source(config)
    try:
        source = with_classes_of(source, description.labels, f"--calibration {options.calibration}", "the network")
    except UserError as error:
        log.warning("%s: ranges measured on its images may not fit others", error)
    crops, labels = [], []
    for index in spread(len(source), count).tolist():
        picture, label, _ = load(source, index, config.dataset.bad_images == "mend")
        if picture is None:
            continue
        try:
            crops.append(description.preprocess.crop(picture))
        except BadImageError:  # many pictures are decoded only when they are cropped
            continue
        labels.append(label)
    if not crops:
        raise UserError(f"--calibration {options.calibration}: none of its training images can be read")
    return np.stack(crops), np.asarray(labels, np.int32)


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Training images in two halves: ranges are measured on one, and what came of it is judged by the other.

    Attributes:
      measured, judged: crops (n, size, size, 3), uint8 RGB.
      labels: of the judged ones, (n,) int32.
    """

    measured: np.ndarray
    judged: np.ndarray
    labels: np.ndarray

    def best(self, kind: str, files: Mapping[str, Path], original: Classifier) -> Path:
        """The file that is right most often, of equal ones the one with probabilities nearest to those of the network.

        Args:
          kind: of the files, key of `RUNTIMES`.
          files: by what they were made.
          original: the network that they are of.

        Returns:
          One of the files; the log says which, and how often each was right.
        """
        scores, wanted = {}, self._probabilities(original)
        for name, file in files.items():
            net = open_exported(file, kind)
            assert isinstance(net, ExportedNet)
            found = self._probabilities(net)
            scores[name] = (found.argmax(-1) == self.labels).mean(), -np.abs(found - wanted).mean()
        best = max(scores, key=lambda name: scores[name])
        log.info(
            "int8 by %s: top-1 on %d training images that it had not seen %s",
            best,
            len(self.labels),
            ", ".join(f"{score:.1%} by {name}" for name, (score, _) in scores.items()),
        )
        return files[best]

    def _probabilities(self, net: Classifier) -> np.ndarray:
        """Of the judged crops, (n, classes); some at a time, as all at once would take much memory."""
        return np.concatenate([net.classify(self.judged[i : i + 32]) for i in range(0, len(self.judged), 32)])


def calibrate(description: Description, options: Options) -> Calibration:
    """The images for a network; see `calibration_crops`."""
    crops, labels = calibration_crops(description, options, 2 * _IMAGES)
    judged = slice(1 if len(crops) > 1 else 0, None, 2)
    return Calibration(crops[::2], crops[judged], labels[judged])
