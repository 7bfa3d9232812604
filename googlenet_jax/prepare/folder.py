"""A folder of images into records."""

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from googlenet_jax.config.fields import default_config
from googlenet_jax.data.pictures.picture import BadImageError
from googlenet_jax.data.sources.folders import open_folder
from googlenet_jax.data.sources.tree import FileSource
from googlenet_jax.errors import UserError
from googlenet_jax.prepare.form import Form
from googlenet_jax.prepare.pack import Advance, Item, pack

log = logging.getLogger(__name__)
_MOST_IN_A_ROW = 100


class _Files:
    def __init__(self, split: str, source: FileSource):
        self.split, self.source, self.total = split, source, len(source)

    def items(self, start: Any) -> Iterator[Item]:
        in_a_row = 0
        for index in range(start or 0, self.total):
            path = self.source.paths[index]
            try:
                data = self.source.tree.read(path)
            except BadImageError as error:
                in_a_row += 1
                if in_a_row >= _MOST_IN_A_ROW:  # rather the disk than the files
                    raise UserError(
                        f"{error}; so were {in_a_row - 1} before it: put it right and run the command again, or remove "
                        "them and take another --output"
                    ) from None
                log.warning("%s: left out", error)
                continue
            in_a_row = 0
            yield Item(self.source.classes[index], path, data, index + 1, index + 1)

    def check(self, images: Sequence[int]) -> None:
        gone = [c for c, count in enumerate(images) if not count and c in self.source.classes]
        if gone:
            raise UserError(
                f"none of the {self.split} images of {self.source.labels[gone[0]]!r} can be opened: put them right, or "
                "remove the class, and take another --output"
            )


def prepare_folder(
    root: str, output: Path, form: Form, advance: Advance, val_fraction: float | None = None
) -> dict[str, Any]:
    """Packs a folder dataset; a file that cannot be opened is named and left out, as in training.

    Args:
      root: as in config.dataset.name=folder:ROOT.
      output: directory to write.
      form, advance: as for `pack`.
      val_fraction: see `config.dataset.val_fraction`.

    Returns:
      As `pack`, and "left_out": how many files.

    Raises:
      UserError: if the folder is no dataset, or as `pack`.
    """
    config = default_config()
    config.dataset.val_fraction = val_fraction
    train, val = open_folder(root, config)
    streams = [_Files("train", train), _Files("val", val)]
    listing = json.dumps([[source.paths, source.classes] for source in (train, val)]).encode()
    origin = f"folder:{root} of {hashlib.sha256(listing).hexdigest()[:16]}"  # what is gone on with must be the same
    summary = pack(output, origin, train.labels, streams, form, advance)
    return summary | {"left_out": len(train) + len(val) - sum(summary["images"].values())}
