"""A few validation images, always the same, and what the network says of them."""

from collections.abc import Sequence

import jax
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from googlenet_jax.data.loader import Batch
from googlenet_jax.data.order import spread
from googlenet_jax.errors import shown

_SIDE = 160  # of a picture, pixels
_TEXT = 13
_LETTERS = 24  # of a class name beside its probability
_RIGHT, _WRONG = "#1a7f37", "#c0262d"


class Sample:
    """Images evenly spread over an evaluation, and what it makes of them.

    Args:
      images: that this process loads in an evaluation.
      count: how many of them to keep; those that cannot be read are left out.
    """

    def __init__(self, images: int, count: int):
        self._places, self._begin = spread(images, count), 0
        self._kept: list[int] = []  # places
        self._crops: list[np.ndarray] = []
        self._labels: list[int] = []
        self._guesses: list[tuple[int, jax.Array, jax.Array]] = []

    def __len__(self) -> int:
        return len(self._crops)

    @property
    def crops(self) -> np.ndarray:
        """What the network saw, (n, h, w, 3) uint8."""
        return np.stack(self._crops)

    def take(self, batch: Batch, classes: jax.Array, probabilities: jax.Array) -> None:
        """Keeps what it wants of the evaluation's next batch, see `Evaluator.run`; does not wait for the devices."""
        rows = self._places - self._begin
        for row in rows[(rows >= 0) & (rows < len(batch.labels))]:
            if batch.weights[row]:
                self._kept.append(int(row) + self._begin)
                self._crops.append(batch.images[0][row, 0].copy())  # a window alone, of one network alone
                self._labels.append(int(batch.labels[row]))
                self._guesses.append((int(row), classes, probabilities))
        self._begin += len(batch.labels)

    def pictures(self, names: Sequence[str], count: int) -> dict[str, np.ndarray]:
        """Pictures with the true class, the likeliest one and its probability below them.

        Args:
          names: of the classes.
          count: how many, evenly spread.

        Returns:
          (h, w, 3) uint8 arrays by the names under which writers show them: "val/image_" and the image's place.
        """
        found = {}
        for number in spread(len(self), count):
            row, classes, probabilities = self._guesses[number]
            guess, probability = (np.asarray(array).reshape(-1)[row] for array in (classes, probabilities))
            true = self._labels[number]
            words = names[true], f"{shown(names[guess], _LETTERS)} {probability:.0%}", bool(guess == true)
            found[f"val/image_{self._kept[number]}"] = _picture(self._crops[number], *words)
        return found


def _picture(crop: np.ndarray, true: str, guess: str, right: bool) -> np.ndarray:
    """A crop over two lines of text."""
    image = Image.fromarray(crop)
    whole = _SIDE % image.width == 0  # then pixels stay squares, which they should where there are few
    image = image.resize((_SIDE, _SIDE), Image.Resampling.NEAREST if whole else Image.Resampling.LANCZOS)
    line = round(1.5 * _TEXT)
    sheet = Image.new("RGB", (_SIDE, _SIDE + 2 * line), "white")
    sheet.paste(image)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(_TEXT)
    draw.text((2, _SIDE + line / 2), shown(true, _LETTERS), "black", font, "lm")
    draw.text((2, _SIDE + 3 * line / 2), guess, _RIGHT if right else _WRONG, font, "lm")
    return np.asarray(sheet)
