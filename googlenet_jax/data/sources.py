"""Where images come from: each source is a random-access sequence of labelled images with class names."""

import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import ml_collections
import numpy as np

from googlenet_jax.data.images import EXTENSIONS, BadImageError, read_image
from googlenet_jax.errors import UserError

log = logging.getLogger(__name__)


class Source(Protocol):
    """Labelled images.

    Attributes:
      labels: class names; a label is an index into them.
    """

    labels: list[str]

    def __len__(self) -> int:
        """Number of images."""

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        """The (h, w, 3) uint8 RGB image and its label; raises `BadImageError` for one that cannot be read."""


class ArraySource:
    """Images held in memory."""

    def __init__(self, images: np.ndarray, classes: np.ndarray, labels: Sequence[str]):
        self.images, self.classes, self.labels = images, classes, list(labels)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return self.images[index], int(self.classes[index])


class FileSource:
    """Images in files."""

    def __init__(self, paths: Sequence[Path], classes: Sequence[int], labels: Sequence[str]):
        self.paths, self.classes, self.labels = list(paths), list(classes), list(labels)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return read_image(self.paths[index]), self.classes[index]


class BadImageLog:
    """Names each unreadable image once and counts them, or lets them stop the run.

    Args:
      policy: "skip" or "error", see `dataset.bad_images`.
    """

    def __init__(self, policy: str):
        self.policy = policy
        self.names: set[str] = set()
        self._lock = threading.Lock()

    def report(self, error: BadImageError) -> None:
        """Takes note of one; raises it if the policy is "error"."""
        if self.policy == "error":
            raise BadImageError(f"{error}; config.dataset.bad_images=skip goes on without it")
        with self._lock:
            if str(error) not in self.names:
                self.names.add(str(error))
                log.warning("skipped %s (%d unreadable so far)", error, len(self.names))


def open_source(config: ml_collections.ConfigDict, seed: int = 0) -> tuple[Source, Source]:
    """The training and the validation images that `config.dataset` names.

    Args:
      config: the `dataset` group.
      seed: of the synthetic images.

    Returns:
      (train, validation), with the same class names.

    Raises:
      UserError: if a folder cannot be read, is empty, or its classes do not agree.
    """
    if config.name == "none":
        raise UserError(
            "there are no images with an imported network: say which, with --dataset or config.dataset.name"
        )
    if config.name == "digits":
        return _digits()
    if config.name == "synthetic":
        return _synthetic(config.synthetic_images, config.synthetic_classes, config.image_size, seed)
    return _folder(Path(config.name.removeprefix("folder:")).expanduser())


def _digits() -> tuple[Source, Source]:
    """scikit-learn's handwritten digits, from its wheel: 1,797 8x8 images, a fixed fifth of each class to validate."""
    from sklearn.datasets import load_digits  # imported here: it takes a second that others need not wait
    from sklearn.model_selection import train_test_split

    images, classes = load_digits(return_X_y=True)
    images = np.repeat(np.round(images.reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8), 3, axis=-1)
    labels = [str(digit) for digit in range(10)]
    train, val = train_test_split(np.arange(len(images)), test_size=0.2, random_state=0, stratify=classes)
    return ArraySource(images[train], classes[train], labels), ArraySource(images[val], classes[val], labels)


def _synthetic(count: int, num_classes: int, size: int, seed: int) -> tuple[Source, Source]:
    """Noise around one random pattern a class: learnable, of any size, for tests and for timing."""
    rng = np.random.default_rng(seed)
    patterns = rng.integers(64, 192, (num_classes, size, size, 3))
    labels = [f"class {i}" for i in range(num_classes)]

    def draw(n: int) -> Source:
        classes = np.arange(n) % num_classes
        noise = rng.integers(-64, 64, (n, size, size, 3), dtype=np.int16)
        return ArraySource((patterns[classes] + noise).astype(np.uint8), classes, labels)

    return draw(count), draw(max(count // 5, 1))


def _folder(root: Path) -> tuple[Source, Source]:
    """`train/<class>/*` and `val/<class>/*`, or `train_list.txt` and `val_list.txt` with lines `path label`."""
    if not root.is_dir():
        raise UserError(f"config.dataset.name=folder:{root}: there is no such directory")
    if (root / "train_list.txt").is_file():
        return _listed(root)
    val = next((name for name in ("val", "test") if (root / name).is_dir()), "val")
    classes = {}
    for split in ("train", val):
        if not (root / split).is_dir():
            raise UserError(
                f"{root} has no directory {split!r}: give it train/<class>/* and val/<class>/*, or *_list.txt"
            )
        classes[split] = sorted(
            entry.name
            for entry in (root / split).iterdir()
            if entry.is_dir() and not entry.name.startswith((".", "__"))
        )
        if not classes[split]:
            raise UserError(f"{root / split} has no class directories: images go into {split}/<class>/")
    if classes["train"] != classes[val]:
        odd = sorted(set(classes["train"]) ^ set(classes[val]))
        where = "train" if odd[0] in classes["train"] else val
        raise UserError(
            f"{root}: the classes of train and {val} differ: {odd[0]!r} is in {where} alone"
            + (f", {len(odd)} such classes in all" if len(odd) > 1 else "")
        )
    return _class_folders(root / "train", classes["train"]), _class_folders(root / val, classes["train"])


def _class_folders(root: Path, labels: Sequence[str]) -> Source:
    paths: list[Path] = []
    classes: list[int] = []
    for index, label in enumerate(labels):
        found = sorted(p for p in (root / label).rglob("*") if p.suffix.lower() in EXTENSIONS and not p.is_dir())
        paths += found
        classes += [index] * len(found)
    if not paths:
        raise UserError(f"{root} holds no images ({', '.join(EXTENSIONS)})")
    return FileSource(paths, classes, labels)


def _listed(root: Path) -> tuple[Source, Source]:
    splits = {}
    for split in ("train", "val"):
        listing = root / f"{split}_list.txt"
        if not listing.is_file():
            raise UserError(f"{listing} is missing: {root} has the other list")
        try:
            rows = [line.rsplit(maxsplit=1) for line in listing.read_text("utf-8").splitlines() if line.strip()]
        except UnicodeDecodeError:
            raise UserError(f"{listing} is not a text file in UTF-8") from None
        for number, row in enumerate(rows, 1):
            if len(row) != 2 or not row[1].isdecimal():
                raise UserError(
                    f"{listing}, line {number}: expected 'path label' with a whole number, got {' '.join(row)!r}"
                )
        if not rows:
            raise UserError(f"{listing} is empty")
        splits[split] = [root / path for path, _ in rows], [int(label) for _, label in rows]
    count = max(max(classes) for _, classes in splits.values()) + 1
    names = root / "labels.txt"
    labels = names.read_text().splitlines() if names.is_file() else [str(i) for i in range(count)]
    if len(labels) < count:
        raise UserError(f"{names} names {len(labels)} classes, but the lists use {count}")
    train, val = (FileSource(paths, classes, labels) for paths, classes in splits.values())
    return train, val
