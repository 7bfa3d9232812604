"""What a source of images is: a random-access sequence of labelled pictures with class names."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from googlenet_jax.data.pictures.picture import Picture, Pixels


class Source(Protocol):
    """Labelled pictures.

    Attributes:
      labels: class names; a label is an index into them.
    """

    labels: list[str]

    def __len__(self) -> int:
        """Number of pictures."""

    def __getitem__(self, index: int) -> tuple[Picture, int]:
        """The picture and its label; raises `BadImageError` for one that cannot be read."""


Splits = tuple[Source, Source]  # of training and of validation, with the same class names


class ArraySource:
    """Pictures held in memory."""

    def __init__(self, images: np.ndarray, classes: np.ndarray, labels: Sequence[str]):
        self.images, self.classes, self.labels = images, classes, list(labels)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Picture, int]:
        return Pixels(self.images[index]), int(self.classes[index])


class Subset:
    """Some images of a source.

    Args:
      source: of the images.
      indices: of those that are taken.
    """

    def __init__(self, source: Source, indices: np.ndarray):
        self._source, self._indices = source, indices
        self.labels = source.labels

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> tuple[Picture, int]:
        return self._source[int(self._indices[index])]
