"""Sources that need no files: digits from a package, synthetic images, and none."""

import importlib.metadata

import ml_collections
import numpy as np

from googlenet_jax.data.sources.base import ArraySource, Source, Splits
from googlenet_jax.errors import UserError


def refuse_none(place: str, config: ml_collections.ConfigDict) -> Splits:
    """Imported networks have no images of their own: a `UserError` that says so."""
    raise UserError("there are no images with an imported network: say which, with --dataset or config.dataset.name")


def open_digits(place: str, config: ml_collections.ConfigDict) -> Splits:
    """scikit-learn's handwritten digits, from its wheel: 1,797 8x8 images, every fifth of each class to validate."""
    # The package's file without the package: to import it takes a second.
    file = importlib.metadata.distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz")
    table = np.loadtxt(str(file), delimiter=",", dtype=np.uint8)
    pixels, classes = table[:, :-1].reshape(-1, 8, 8, 1), table[:, -1].astype(np.int64)
    images = np.repeat(np.round(pixels * (255 / 16)).astype(np.uint8), 3, axis=-1)
    labels = [str(digit) for digit in range(10)]
    val = np.zeros(len(images), bool)
    val[np.argsort(classes, kind="stable")[::5]] = True
    return ArraySource(images[~val], classes[~val], labels), ArraySource(images[val], classes[val], labels)


def open_synthetic(place: str, config: ml_collections.ConfigDict) -> Splits:
    """Noise around one random pattern a class: learnable, of any size, for tests and for timing."""
    num_classes, size = config.dataset.synthetic_classes, config.dataset.image_size
    rng = np.random.default_rng(config.seed)
    patterns = rng.integers(64, 192, (num_classes, size, size, 3))
    labels = [f"class {i}" for i in range(num_classes)]

    def draw(n: int) -> Source:
        classes = np.arange(n) % num_classes
        noise = rng.integers(-64, 64, (n, size, size, 3), dtype=np.int16)
        return ArraySource((patterns[classes] + noise).astype(np.uint8), classes, labels)

    count = config.dataset.synthetic_images
    return draw(count), draw(max(count // 5, 1))
