"""From `config.dataset.name` to the images that it names."""

import ml_collections

from googlenet_jax.config.choices import DATASETS, chosen
from googlenet_jax.data.sources.base import Splits


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
