"""A folder of images into records."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from googlenet_jax.config.fields import default_config
from googlenet_jax.data.pictures.picture import BadImageError
from googlenet_jax.data.sources.folders import open_folder
from googlenet_jax.data.sources.tree import FileSource
from googlenet_jax.errors import UserError
from googlenet_jax.prepare.pack import Advance, Item, pack


class _Files:
    def __init__(self, split: str, source: FileSource):
        self.split, self.source, self.total = split, source, len(source)

    def items(self, start: Any) -> Iterator[Item]:
        for index in range(start or 0, self.total):
            path = self.source.paths[index]
            try:
                data = self.source.tree.read(path)
            except BadImageError as error:
                raise UserError(
                    f"{error}; put it right and run the command again, or remove it and take another --output"
                ) from None
            yield Item(self.source.classes[index], path, data, index + 1, index + 1)

    def check(self, images: Sequence[int]) -> None:
        pass  # what the folder holds is what there should be


def prepare_folder(
    root: str, output: Path, tiles: bool, advance: Advance, val_fraction: float | None = None
) -> dict[str, Any]:
    """Packs a folder dataset.

    Args:
      root: as in config.dataset.name=folder:ROOT.
      output: directory to write.
      tiles, advance: as for `pack`.
      val_fraction: see `config.dataset.val_fraction`.

    Returns:
      As `pack`.

    Raises:
      UserError: if the folder is no dataset, or as `pack`.
    """
    config = default_config()
    config.dataset.val_fraction = val_fraction
    train, val = open_folder(root, config)
    streams = [_Files("train", train), _Files("val", val)]
    listing = json.dumps([[source.paths, source.classes] for source in (train, val)]).encode()
    origin = f"folder:{root} of {hashlib.sha256(listing).hexdigest()[:16]}"  # what is gone on with must be the same
    return pack(output, origin, train.labels, streams, tiles, advance)
