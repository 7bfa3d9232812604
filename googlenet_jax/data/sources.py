"""Where images come from: each source is a random-access sequence of labelled pictures with class names."""

from collections.abc import Callable, Sequence
from typing import Protocol

import ml_collections
import numpy as np

from googlenet_jax.data.images import Picture, Pixels
from googlenet_jax.errors import UserError


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


def open_source(config: ml_collections.ConfigDict, seed: int = 0) -> Splits:
    """The training and the validation images that `config.dataset` names.

    Args:
      config: the `dataset` group.
      seed: of the synthetic images.

    Returns:
      (train, validation), with the same class names.

    Raises:
      UserError: if they cannot be found or read, are none, or their classes do not agree.
    """
    if config.name == "none":
        raise UserError(
            "there are no images with an imported network: say which, with --dataset or config.dataset.name"
        )
    if config.name == "digits":
        return _digits()
    if config.name == "synthetic":
        return _synthetic(config.synthetic_images, config.synthetic_classes, config.image_size, seed)
    kind, _, place = config.name.partition(":")
    return _opener(kind)(place)


def _opener(kind: str) -> Callable[[str], Splits]:
    """Imported here and by kind: some need libraries that take a while."""
    if kind == "folder":
        from googlenet_jax.data.folders import open_folder

        return open_folder
    if kind == "cifar":
        from googlenet_jax.data.cifar import open_cifar

        return open_cifar
    if kind == "records":
        from googlenet_jax.data.records import open_records

        return open_records
    from googlenet_jax.data.tfds_source import open_tfds

    return open_tfds


def _digits() -> Splits:
    """scikit-learn's handwritten digits, from its wheel: 1,797 8x8 images, a fixed fifth of each class to validate."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, classes = load_digits(return_X_y=True)
    images = np.repeat(np.round(images.reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8), 3, axis=-1)
    labels = [str(digit) for digit in range(10)]
    train, val = train_test_split(np.arange(len(images)), test_size=0.2, random_state=0, stratify=classes)
    return ArraySource(images[train], classes[train], labels), ArraySource(images[val], classes[val], labels)


def _synthetic(count: int, num_classes: int, size: int, seed: int) -> Splits:
    """Noise around one random pattern a class: learnable, of any size, for tests and for timing."""
    rng = np.random.default_rng(seed)
    patterns = rng.integers(64, 192, (num_classes, size, size, 3))
    labels = [f"class {i}" for i in range(num_classes)]

    def draw(n: int) -> Source:
        classes = np.arange(n) % num_classes
        noise = rng.integers(-64, 64, (n, size, size, 3), dtype=np.int16)
        return ArraySource((patterns[classes] + noise).astype(np.uint8), classes, labels)

    return draw(count), draw(max(count // 5, 1))
