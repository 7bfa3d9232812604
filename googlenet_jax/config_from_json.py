"""A run's config.json as a configuration file: `--config runs/x/config.json` comes here with that path."""

from pathlib import Path

import ml_collections

from googlenet_jax.config import read_json


def get_config(path: str) -> ml_collections.ConfigDict:
    """The configuration stored at path; raises `UserError` if it is none."""
    return read_json(Path(path))
