"""Where the network looks: class activation maps, and whether they mean anything."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from googlenet_jax.data.sources.base import Source
from googlenet_jax.explain.explanation import Explanation
from googlenet_jax.explain.overlay import overlay, resized
from googlenet_jax.net import Net
from googlenet_jax.report.cards import Album, Cards
from googlenet_jax.report.collect import Predictions
from googlenet_jax.report.probe import Probe
from googlenet_jax.report.statistics import map_correlation

_STEPS = 5  # of a deletion curve
_CELLS = 14  # squares that an image is deleted by, across and down
_LARGE = 160  # pixels of a map's picture


def where(
    net: Net,
    probe: Probe,
    source: Source,
    predictions: Predictions,
    cards: Cards,
    album: Album,
    right: Sequence[int],
    wrong: Sequence[int],
) -> dict[str, Any] | None:
    """The report's section.

    Args:
      net: the network.
      probe: of it.
      source: the images.
      predictions: of them.
      cards, album: for the pictures.
      right, wrong: rows of predictions that are shown.

    Returns:
      See the section "where" of the report's data; None if the last block has one place alone, of which no map tells.
    """
    rows = [*right, *wrong]
    pictures = [source[int(predictions.places[row])][0].pixels() for row in rows]
    crops = np.stack([net.preprocess.crop(picture) for picture in pictures])
    predicted = predictions.log_probabilities[rows].argmax(-1)
    true = predictions.labels[rows]
    _, activations = probe.look(crops)
    if activations.shape[1:3] == (1, 1):
        return None
    maps = net.class_maps(activations, np.stack([predicted, true], -1))

    def picture(number: int, its_map: np.ndarray) -> int:
        box = net.preprocess.box(pictures[number].shape[1], pictures[number].shape[0])
        shown = Explanation("", 0.0, its_map, crops[number], box, pictures[number])
        return album.add(overlay(resized(shown, (_LARGE, _LARGE))), _LARGE)

    found: dict[str, list[dict[str, Any]]] = {"right": [], "wrong": []}
    for number, row in enumerate(rows):
        kind = "right" if number < len(right) else "wrong"
        more = {"map": picture(number, maps[number, 0]), "picture": cards.picture(int(row))}
        if kind == "wrong":
            more["map_true"] = picture(number, maps[number, 1])
        found[kind].append(cards(int(row), **more))
    return found | {
        "deletion": _deletion(probe, crops, predicted, maps[:, 0]),
        "random_weights": {"correlation": _random_weights(net, probe, crops, predicted, maps[:, 0])},
    }


def _deletion(probe: Probe, crops: np.ndarray, classes: np.ndarray, maps: np.ndarray) -> dict[str, Any]:
    """How a class's probability falls as squares become grey (Petsiuk et al., arXiv 1806.07421, section 3.3).

    In the order of the map, and in a random one: the further the two are apart, the more the map knows.
    """
    size = crops.shape[1]
    edges = np.linspace(0, size, _CELLS + 1).round().astype(int)
    cells = [(edges[i], edges[i + 1], edges[j], edges[j + 1]) for i in range(_CELLS) for j in range(_CELLS)]
    rng = np.random.default_rng(0)
    shares = np.linspace(0, 1, _STEPS + 1)
    steps = []
    for crop, one in zip(crops, maps, strict=True):
        large = np.asarray(Image.fromarray(one).resize((_CELLS, _CELLS), Image.Resampling.BILINEAR))
        grey = crop.mean((0, 1)).round().astype(np.uint8)
        for order in (np.argsort(-large.ravel(), kind="stable"), rng.permutation(len(cells))):
            current, done = crop.copy(), 0
            for share in shares:
                for cell in order[done : round(share * len(cells))]:
                    top, bottom, left, right = cells[cell]
                    current[top:bottom, left:right] = grey
                done = round(share * len(cells))
                steps.append(current.copy())
    left = np.exp(probe.look(np.stack(steps))[0]).reshape(len(crops), 2, len(shares), -1)
    by_map, at_random = left[np.arange(len(crops)), ..., classes].mean(0).tolist()
    return {"share": shares.tolist(), "by_map": by_map, "at_random": at_random}


def _random_weights(net: Net, probe: Probe, crops: np.ndarray, classes: np.ndarray, maps: np.ndarray) -> float | None:
    """Mean correlation of the maps with those of the network with other weights (Adebayo et al., arXiv 1810.03292).

    They are drawn anew, each kernel's with its own spread; biases are 0. Near 1, the maps would show the image's edges
    rather than what was learnt.
    """
    rng = np.random.default_rng(0)

    def drawn(leaf: np.ndarray) -> np.ndarray:
        return rng.normal(0, leaf.std() if leaf.ndim > 1 else 0, leaf.shape).astype(np.float32)

    _, activations = probe.look(crops, drawn)
    head = drawn(np.asarray(net.variables["params"]["classifier"]["kernel"], np.float32))
    untrained = dataclasses.replace(net, variables={"params": {"classifier": {"kernel": head}}})
    return map_correlation(maps, untrained.class_maps(activations, classes[:, None])[:, 0])
