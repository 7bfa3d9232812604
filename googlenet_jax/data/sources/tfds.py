"""TensorFlow Datasets, read from prepared ArrayRecord files without TensorFlow."""

import logging
from typing import Any

import ml_collections

from googlenet_jax.data.pictures.picture import BadImageError, Picture, open_picture
from googlenet_jax.data.sources.base import Splits
from googlenet_jax.errors import UserError, reason, where


class TfdsSource:
    """Pictures of a TFDS data source.

    Args:
      name: of the dataset and split, for messages.
      source: from `tfds.data_source`, of encoded images.
      labels: class names.
    """

    def __init__(self, name: str, source: Any, labels: list[str]):
        self.name, self.source, self.labels = name, source, labels

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> tuple[Picture, int]:
        name = f"tfds:{self.name}/{index}"
        try:
            example = self.source[index]
        except Exception as error:  # ArrayRecord and protobuf raise many kinds for damaged data
            raise BadImageError(f"{name}: damaged ({reason(error, 120)})") from None
        return open_picture(bytes(example["image"]), name), int(example["label"])


def open_tfds(name: str, config: ml_collections.ConfigDict) -> Splits:
    """A TFDS image classification set, prepared with `googlenet prepare tfds:NAME`.

    Args:
      name: as TFDS has it, such as cifar10 or imagenet2012; a data_dir other than TFDS's own ($TFDS_DATA_DIR or
        ~/tensorflow_datasets) comes behind an @: cifar10@/data/tfds.
      config: nothing of it is asked for.

    Returns:
      (train, validation), the latter from the split `validation`, or else `test`.

    Raises:
      UserError: if it is not known, not prepared, or not of one label an image.
    """
    logging.getLogger("absl").setLevel(logging.ERROR)  # TFDS tells of each file that it opens
    import tensorflow_datasets as tfds

    name, _, data_dir = name.partition("@")
    hint = f"googlenet prepare tfds:{name}" + (f" --output {data_dir}" if data_dir else "")
    try:
        builder = tfds.builder(name, data_dir=data_dir or None, file_format="array_record")
    except (tfds.core.DatasetNotFoundError, tfds.core.registered.DatasetNotFoundError):
        raise UserError(f"config.dataset.name=tfds:{name}: TFDS knows no such dataset") from None
    except Exception as error:
        raise UserError(f"config.dataset.name=tfds:{name}: {reason(error)}") from None
    features = builder.info.features
    if not {"image", "label"} <= set(features or {}) or not hasattr(features["label"], "names"):
        raise UserError(f"tfds:{name} is not a set of images with one label each")
    splits = builder.info.splits
    val = next((split for split in ("validation", "test") if split in splits), None)
    if "train" not in splits:
        raise UserError(f"tfds:{name} is not prepared in {where(builder.data_dir)}: run {hint}")
    if val is None:
        raise UserError(f"tfds:{name} has neither a split `validation` nor `test`: it has {', '.join(splits)}")
    skip = {"image": tfds.decode.SkipDecoding()}
    train_source, val_source = (
        TfdsSource(f"{name}/{split}", builder.as_data_source(split, decoders=skip), list(features["label"].names))
        for split in ("train", val)
    )
    return train_source, val_source
