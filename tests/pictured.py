"""Pictures to encode, and what Pillow sees in a file."""

import io

import numpy as np
from PIL import Image


def scene(height, width, seed=0):
    """Smooth shapes and some noise, so that every filter has something to do."""
    y, x = np.mgrid[:height, :width]
    waves = [127 + 100 * np.sin(x / (7 + i) + y / (11 - i)) for i in range(3)]
    noise = np.random.default_rng(seed).normal(0, 8, (height, width, 3))
    return (np.stack(waves, -1) + noise).clip(0, 255).astype(np.uint8)


def encoded(image, format="JPEG", **options):
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, format, **options)
    return file.getvalue()


def pillow(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
