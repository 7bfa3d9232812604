"""Explanations of what a network says of pictures."""

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from googlenet_jax.classifier import Classifier
from googlenet_jax.config.choices import EXPLANATIONS, chosen, nearest
from googlenet_jax.data.pictures.arrays import as_pixels, each_image
from googlenet_jax.errors import UserError
from googlenet_jax.explain.methods import class_activation, occlusion

log = logging.getLogger(__name__)


class Explanation(NamedTuple):
    """What of one picture speaks for a class.

    Attributes:
      label: the class's name.
      probability: that the network gives it, 0 to 1.
      map: (h, w) float32, laid over the crop; above 0 speaks for the class, below 0 against it.
      crop: what the network saw, (s, s, 3) uint8.
      box: left, top, right, bottom of the crop in the picture, pixels.
      picture: (height, width, 3) uint8.
    """

    label: str
    probability: float
    map: np.ndarray
    crop: np.ndarray
    box: tuple[float, float, float, float]
    picture: np.ndarray


def explain(
    net: Classifier, images: Any, label: str | int | None = None, method: str | None = None
) -> list[Explanation]:
    """Explains what a network says of pictures.

    Args:
      net: the network.
      images: as for `Classifier.probabilities`.
      label: the class that is asked about, by name or index; None: of each picture the likeliest.
      method: key of `EXPLANATIONS`; None: "cam", or "occlusion" for an exported file, and where the network's last
        block sees one place alone, as at 32 px, of which no map tells.

    Returns:
      One a picture.

    Raises:
      UserError: for a picture that cannot be read, an unknown class or method, or one that needs more of the network
        than an exported file shows.
    """
    run = None if method is None else chosen(EXPLANATIONS, method, "--method").load()
    pictures = [as_pixels(image) for image in each_image(images)]
    if not pictures:
        return []
    crops = np.stack([net.preprocess.crop(picture) for picture in pictures])
    probabilities = net.probabilities(crops)
    classes = probabilities.argmax(-1) if label is None else np.full(len(crops), class_of(net.labels, label))
    maps = _by_default(net, crops, classes) if run is None else run(net, crops, classes)
    return [
        Explanation(
            net.labels[index],
            float(row[index]),
            its_map,
            crop,
            net.preprocess.box(picture.shape[1], picture.shape[0]),
            picture,
        )
        for index, row, its_map, crop, picture in zip(classes, probabilities, maps, crops, pictures, strict=True)
    ]


def _by_default(net: Classifier, crops: np.ndarray, classes: np.ndarray) -> np.ndarray:
    if not hasattr(net, "look"):
        return occlusion(net, crops, classes)
    maps = class_activation(net, crops, classes)
    if maps.shape[1:] != (1, 1):
        return maps
    log.info("at %d px the last block sees one place alone: by occlusion, not by its activations", crops.shape[1])
    return occlusion(net, crops, classes)


def class_of(labels: Sequence[str], name: str | int) -> int:
    """The index of a class.

    Args:
      labels: class names.
      name: its name, one of its names ("tabby" of "tabby, tabby cat"), or its number as text; an int is its index.

    Returns:
      The index.

    Raises:
      UserError: if there is none, or several; the message names the nearest.
    """
    if not isinstance(name, str):
        if not 0 <= name < len(labels):
            raise UserError(f"class {name} is none of the network's {len(labels)}")
        return int(name)
    if list(labels).count(name) == 1:
        return list(labels).index(name)
    wanted = name.lower()
    for kind in (_words_of, lambda label: [label.lower()]):
        found = [i for i, label in enumerate(labels) if wanted in kind(label)]
        if len(found) == 1:
            return found[0]
        if found:
            numbers = ", ".join(map(str, found[:9]))
            raise UserError(f"class {name!r} is {len(found)} classes: give the number of one, {numbers}")
    if name.isdecimal() and int(name) < len(labels):
        return int(name)
    raise UserError(f"class {name!r} is none of the network's: {nearest(name, labels[:1000])}")


def _words_of(label: str) -> list[str]:
    """The synonyms of an ImageNet label, without its number: "n02123045 tabby, tabby cat"."""
    first, _, rest = label.partition(" ")
    words = rest if first[:1] == "n" and first[1:].isdecimal() and rest else label
    return [word.strip().lower() for word in words.split(",")]
