"""TensorFlow Datasets into the ArrayRecord files that training reads without TensorFlow; this alone needs it."""

import importlib.util
from pathlib import Path

from googlenet_jax.errors import UserError, reason


def prepare_tfds(name: str, data_dir: Path | None, manual_dir: Path | None) -> Path:
    """Downloads and prepares a dataset, or takes archives that are there.

    Args:
      name: as TFDS has it, such as cifar10.
      data_dir: where to; None: TFDS's own, $TFDS_DATA_DIR or ~/tensorflow_datasets.
      manual_dir: archives under their official names, instead of or before a download.

    Returns:
      The prepared directory.

    Raises:
      UserError: if the dataset is not known, TensorFlow is missing, or an archive cannot be had or is a wrong one.
    """
    if manual_dir is not None and not manual_dir.is_dir():
        raise UserError(f"--manual_dir {manual_dir}: there is no such directory")
    if importlib.util.find_spec("tensorflow") is None:
        raise UserError(
            "preparing a TFDS dataset needs TensorFlow: pip install 'googlenet-jax[prepare]' (training does not)"
        )
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder(name, data_dir=data_dir, file_format="array_record")
        config = tfds.download.DownloadConfig(manual_dir=manual_dir)
        builder.download_and_prepare(download_config=config)
    except OSError:
        raise
    except Exception as error:  # TFDS, requests and TensorFlow each raise their own kinds
        raise UserError(
            f"tfds:{name}: {type(error).__name__}: {reason(error, 300)}; without a network, put the official archives "
            "into a directory and give it as --manual_dir"
        ) from error
    return Path(str(builder.data_path))
