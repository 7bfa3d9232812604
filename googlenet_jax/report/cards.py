"""Images in a report: small pictures, each stored once, and cards that tell what the network said of one."""

import base64
import io
from collections.abc import Iterable
from typing import Any

import numpy as np
from PIL import Image

from googlenet_jax.data.pictures.picture import BadImageError, largest_shrink
from googlenet_jax.data.sources.base import Source
from googlenet_jax.report.collect import Predictions

_SIDE, _LARGE = 96, 160  # pixels
_QUALITY = 72
_TOP = 5


class Album:
    """The small pictures of a report.

    Attributes:
      thumbnails: data URIs.
    """

    def __init__(self) -> None:
        self.thumbnails: list[str] = []
        self._known: dict[tuple[int, int, int], int] = {}

    def add(self, image: Image.Image, side: int = _SIDE) -> int:
        """Stores a picture, its longer side at most `side`; gives its number."""
        small = image.convert("RGB")
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
        target = io.BytesIO()
        small.save(target, "WEBP", quality=_QUALITY, method=4)
        self.thumbnails.append(f"data:image/webp;base64,{base64.b64encode(target.getvalue()).decode()}")
        return len(self.thumbnails) - 1

    def of(self, source: Source, index: int, side: int = _SIDE) -> int:
        """The number of a source's image, which is stored the first time."""
        key = id(source), index, side
        if key not in self._known:
            try:
                picture = source[index][0]
                whole = (0.0, 0.0, float(picture.width), float(picture.height))
                pixels = picture.region(whole, largest_shrink(whole, side)).pixels
            except BadImageError:
                pixels = np.full((side, side, 3), 128, np.uint8)
            self._known[key] = self.add(Image.fromarray(pixels), side)
        return self._known[key]

    def large(self, source: Source, index: int) -> int:
        """As `of`, larger."""
        return self.of(source, index, _LARGE)


def name_of(source: Source, index: int) -> str:
    """What an image of a source is called: its path, or its number."""
    paths = getattr(source, "paths", None)
    return str(paths[index]) if paths is not None else f"image {index}"


class Cards:
    """Makes cards of the images that were classified.

    Args:
      album: that gets their pictures.
      source: of the images.
      predictions: of them.
      training: source of the training images, among which the nearest are; None if there are none.

    Attributes:
      nearest: of some rows of the predictions the training image that is nearest by features.
    """

    def __init__(self, album: Album, source: Source, predictions: Predictions, training: Source | None):
        self._album, self._source, self._predictions = album, source, predictions
        self._training = training
        self.nearest: dict[int, int] = {}

    def __call__(self, row: int, **more: Any) -> dict[str, Any]:
        """The card of a row of the predictions."""
        p = self._predictions
        logs, index = p.log_probabilities[row], int(p.places[row])
        top = np.argsort(-logs, kind="stable")[:_TOP]
        card = {
            "thumb": self._album.of(self._source, index),
            "name": name_of(self._source, index),
            "true": int(p.labels[row]),
            "predicted": int(top[0]),
            "top": [[int(i), round(float(np.exp(logs[i])), 4)] for i in top],
            "nearest": None,
        }
        if self._training is not None and row in self.nearest:
            other = self.nearest[row]
            card["nearest"] = {
                "thumb": self._album.of(self._training, other),
                "name": name_of(self._training, other),
                "class": int(self._training[other][1]),
            }
        return card | more

    def picture(self, row: int) -> int:
        """The number of a row's larger picture."""
        return self._album.large(self._source, int(self._predictions.places[row]))

    def all(self, rows: Iterable[int]) -> list[dict[str, Any]]:
        """The cards of several."""
        return [self(int(row)) for row in rows]
