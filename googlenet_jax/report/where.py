"""Where the network looks: class activation maps, and whether they mean anything."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from googlenet_jax.data.sources.base import Source
from googlenet_jax.explain.explanation import Explanation
from googlenet_jax.explain.overlay import overlay
from googlenet_jax.net import Net
from googlenet_jax.report.cards import Album, Cards
from googlenet_jax.report.collect import Predictions
from googlenet_jax.report.statistics import map_correlation

_STEPS = 10  # of a deletion curve
_CELLS = 14  # squares that an image is deleted by, across and down
_LARGE = 160  # pixels of a map's picture


def where(
    net: Net,
    source: Source,
    predictions: Predictions,
    cards: Cards,
    album: Album,
    right: Sequence[int],
    wrong: Sequence[int],
) -> dict[str, Any]:
    """The report's section.

    Args:
      net: the network.
      source: the images.
      predictions: of them.
      cards, album: for the pictures.
      right, wrong: rows of predictions that are shown.

    Returns:
      See the section "where" of the report's data.
    """
    rows = [*right, *wrong]
    pictures = [source[int(predictions.places[row])][0].pixels() for row in rows]
    crops = np.stack([net.preprocess.crop(picture) for picture in pictures])
    predicted = predictions.log_probabilities[rows].argmax(-1)
    true = predictions.labels[rows]
    _, activations = net.look(crops)
    maps = net.class_maps(activations, np.stack([predicted, true], -1))

    def picture(number: int, its_map: np.ndarray) -> int:
        box = net.preprocess.box(pictures[number].shape[1], pictures[number].shape[0])
        shown = Explanation("", 0.0, its_map, crops[number], box, pictures[number])
        return album.add(overlay(shown), _LARGE)

    found: dict[str, list[dict[str, Any]]] = {"right": [], "wrong": []}
    for number, row in enumerate(rows):
        kind = "right" if number < len(right) else "wrong"
        more = {"map": picture(number, maps[number, 0]), "picture": cards.picture(int(row))}
        if kind == "wrong":
            more["map_true"] = picture(number, maps[number, 1])
        found[kind].append(cards(int(row), **more))
    return found | {
        "deletion": _deletion(net, crops, predicted, maps[:, 0]),
        "random_weights": {"correlation": _random_weights(net, crops, predicted, maps[:, 0])},
    }


def _deletion(net: Net, crops: np.ndarray, classes: np.ndarray, maps: np.ndarray) -> dict[str, Any]:
    """How a class's probability falls as squares become grey (Petsiuk et al., arXiv 1806.07421, section 3.3).

    In the order of the map, and in a random one: the further the two are apart, the more the map knows.
    """
    size = crops.shape[1]
    edges = np.linspace(0, size, _CELLS + 1).round().astype(int)
    cells = [(edges[i], edges[i + 1], edges[j], edges[j + 1]) for i in range(_CELLS) for j in range(_CELLS)]
    rng = np.random.default_rng(0)
    shares = np.linspace(0, 1, _STEPS + 1)
    curves = np.zeros((2, _STEPS + 1))
    for crop, chosen, one in zip(crops, classes, maps, strict=True):
        large = np.asarray(jax.image.resize(one, (_CELLS, _CELLS), "bilinear"))
        grey = crop.mean((0, 1)).round().astype(np.uint8)
        for kind, order in enumerate((np.argsort(-large.ravel(), kind="stable"), rng.permutation(len(cells)))):
            steps, current = [], crop.copy()
            done = 0
            for share in shares:
                for cell in order[done : round(share * len(cells))]:
                    top, bottom, left, right = cells[cell]
                    current[top:bottom, left:right] = grey
                done = round(share * len(cells))
                steps.append(current.copy())
            curves[kind] += net.probabilities(steps)[:, chosen]
    by_map, at_random = (curves / len(crops)).tolist()
    return {"share": shares.tolist(), "by_map": by_map, "at_random": at_random}


def _random_weights(net: Net, crops: np.ndarray, classes: np.ndarray, maps: np.ndarray) -> float | None:
    """Mean correlation of the maps with those of a network that learnt nothing (Adebayo et al., arXiv 1810.03292).

    Near 1, the maps would show the image's edges rather than what was learnt.
    """
    size = net.preprocess.network_size or net.preprocess.image_size
    drawn = net.model.init(jax.random.key(0), np.zeros((1, size, size, 3), np.float32))
    untrained = Net(net.model, jax.tree.map(np.asarray, drawn), net.labels, net.preprocess, net.config, 0)
    others = untrained.class_maps(untrained.look(crops)[1], classes[:, None])[:, 0]
    return map_correlation(maps, others)
