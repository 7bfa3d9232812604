"""From `config.dataset.name` to the images that it names."""

import ml_collections

from googlenet_jax.config.choices import DATASETS, chosen
from googlenet_jax.data.sources.base import Source, Splits


def open_source(config: ml_collections.ConfigDict) -> Splits:
    """The training and the validation images that `config.dataset.name` names, by its row in `DATASETS`.

    Args:
      config: the whole configuration.

    Returns:
      (train, validation), with the same class names.

    Raises:
      UserError: if there is no such kind of dataset, or its images cannot be found or read, are none, or their classes
        do not agree.
    """
    kind, _, place = config.dataset.name.partition(":")
    # Imported by kind: some need libraries that take a while.
    return chosen(DATASETS, kind, "config.dataset.name: the kind of dataset").load()(place, config)


def open_validation(config: ml_collections.ConfigDict) -> tuple[Source | None, Source]:
    """What a network is evaluated on, for which a folder need not hold images to train on.

    Args:
      config: the whole configuration.

    Returns:
      (training images or None, validation images).

    Raises:
      UserError: as `open_source`.
    """
    kind, _, place = config.dataset.name.partition(":")
    if kind == "folder":
        from googlenet_jax.data.sources.folders import open_folder_to_evaluate

        return open_folder_to_evaluate(place, config)
    return open_source(config)
