"""Images that the ranges of an int8 network are measured on."""

import logging

import numpy as np

from googlenet_jax.classifier import check_classes
from googlenet_jax.config import from_json, override
from googlenet_jax.data.bad_images import load
from googlenet_jax.data.pictures.picture import BadImageError
from googlenet_jax.data.sources.opening import open_source
from googlenet_jax.errors import UserError
from googlenet_jax.export.target import Options
from googlenet_jax.exported.description import Description

log = logging.getLogger(__name__)


def calibration_crops(description: Description, options: Options, count: int = 500) -> tuple[np.ndarray, np.ndarray]:
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
        check_classes(source.labels, description.labels, f"--calibration {options.calibration}", "the network")
    except UserError as error:
        log.warning("%s: ranges measured on its images may not fit others", error)
    crops, labels = [], []
    for index in np.linspace(0, len(source) - 1, min(count, len(source))).astype(int).tolist():
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
