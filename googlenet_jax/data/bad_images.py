"""What becomes of images that are unusual or cannot be read: `config.dataset.bad_images`."""

import logging
from collections.abc import Iterable
from typing import NamedTuple

from googlenet_jax.data.pictures.picture import BadImageError, Picture
from googlenet_jax.data.sources.base import Source
from googlenet_jax.errors import shown

log = logging.getLogger(__name__)
_MOST_SHOWN = 500  # characters of a line


class Loaded(NamedTuple):
    """An attempt at an image.

    Attributes:
      picture: None if it is to be left out.
      label: its class.
      note: what there is to say of it, or empty.
    """

    picture: Picture | None
    label: int
    note: str


def load(source: Source, index: int, mend: bool) -> Loaded:
    """Reads an image of a source.

    Args:
      source: of images.
      index: which.
      mend: whether an unusual image is taken as it was put right, or left out as well.

    Returns:
      A `Loaded`.
    """
    try:
        picture, label = source[index]
    except BadImageError as error:
        return Loaded(None, 0, str(error))
    return Loaded(picture if mend or not picture.oddity else None, label, picture.oddity)


class BadImageLog:
    """Names each image that was mended or left out once and counts them, or lets the latter stop the run.

    Args:
      policy: "mend", "skip" or "error", see `config.dataset.bad_images`.

    Attributes:
      mended, skipped: what was said of each.
    """

    def __init__(self, policy: str):
        self.policy = policy
        self.mended: set[str] = set()
        self.skipped: set[str] = set()

    def report(self, mended: Iterable[str], skipped: Iterable[str]) -> None:
        """Takes note of images, each a line that begins with the name; raises `BadImageError` if so asked."""
        for line in skipped:
            if self.policy == "error":
                raise BadImageError(f"{line}; config.dataset.bad_images=mend goes on without what cannot be read")
            if line not in self.skipped:
                self.skipped.add(line)
                log.warning("skipped %s (%d so far)", shown(line, _MOST_SHOWN), len(self.skipped))
        for line in mended:
            if line not in self.mended:
                self.mended.add(line)
                log.info("mended %s", shown(line, _MOST_SHOWN))
