"""Whether two sources hold the same images: what a run needs to go on to the bit."""

import hashlib
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from googlenet_jax.data.pictures.picture import BadImageError
from googlenet_jax.data.sources.base import Source
from googlenet_jax.errors import UserError, shown

log = logging.getLogger(__name__)
_SAMPLE = 16  # images that are compared pixel by pixel


def identity(source: Source, labels: Sequence[str]) -> dict[str, Any]:
    """What a checkpoint keeps of the images that it was trained on.

    Args:
      source: the training images.
      labels: names of the classes, and of what outputs the network has beyond them.

    Returns:
      JSON values: {"labels", "training images": how many, "sample": digests of the pixels and labels of
      some of them, spread over all; "" for one that cannot be read}.
    """
    places = np.linspace(0, len(source) - 1, min(_SAMPLE, len(source))).astype(int).tolist()
    return {
        "labels": list(labels),
        "training images": len(source),
        "sample": [_digest(source, place) for place in places],
    }


def _digest(source: Source, place: int) -> str:
    try:
        picture, label = source[place]
        pixels = picture.pixels()
    except BadImageError:
        return ""
    return hashlib.sha256(f"{label} {pixels.shape}".encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()[:16]


def check_same(stored: dict[str, Any], now: dict[str, Any], moved: bool, where: str) -> None:
    """Raises `UserError` if a run goes on with other images than before, or warns where only some seem to have changed.

    Args:
      stored, now: from `identity`; of an older run the former may lack entries.
      moved: whether they are read from another place, where other pixels are an error rather than a warning.
      where: the run, for the message.
    """
    for name in ("labels", "training images"):
        if stored.get(name) != now[name]:
            raise UserError(
                f"{where} was trained on other data: its {name} were {_brief(stored.get(name))}, now they are "
                f"{_brief(now[name])}; take another --workdir, or restore the data"
            )
    pairs = zip(stored.get("sample", now["sample"]), now["sample"], strict=False)
    changed = any(old != new for old, new in pairs if old and new)
    if changed and not moved:
        log.warning("%s: some training images are not what they were: from here on this is another training", where)
    if changed and moved:
        raise UserError(
            f"{where} was trained on other images, or on the same in another order: config.dataset.name may change "
            "where the images stay as they are; take another --workdir, or restore the data"
        )


def _brief(value: Any) -> str:
    return shown(", ".join(map(str, value)) if isinstance(value, list) else str(value))
