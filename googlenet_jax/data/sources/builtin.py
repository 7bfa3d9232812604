"""Sources that need no files: digits from a package, synthetic images, and none."""

import ml_collections
import numpy as np

from googlenet_jax.data.sources.base import ArraySource, Source, Splits
from googlenet_jax.errors import UserError


def refuse_none(place: str, config: ml_collections.ConfigDict) -> Splits:
    """Imported networks have no images of their own: a `UserError` that says so."""
    raise UserError("there are no images with an imported network: say which, with --dataset or config.dataset.name")


def open_digits(place: str, config: ml_collections.ConfigDict) -> Splits:
    """scikit-learn's handwritten digits, from its wheel: 1,797 8x8 images, a fixed fifth of each class to validate."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, classes = load_digits(return_X_y=True)
    images = np.repeat(np.round(images.reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8), 3, axis=-1)
    labels = [str(digit) for digit in range(10)]
    train, val = train_test_split(np.arange(len(images)), test_size=0.2, random_state=0, stratify=classes)
    return ArraySource(images[train], classes[train], labels), ArraySource(images[val], classes[val], labels)


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
