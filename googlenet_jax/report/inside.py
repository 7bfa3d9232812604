"""What a report tells of the network's inside: filters, branches, dead channels, heads, crops, precisions."""

from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from PIL import Image

from googlenet_jax.data.bad_images import BadImageLog
from googlenet_jax.data.loader import eval_batches
from googlenet_jax.data.order import spread
from googlenet_jax.data.sources.base import Source
from googlenet_jax.evaluate.evaluator import Evaluator, Member, eval_batch_size, windows_of
from googlenet_jax.models.folding import fold
from googlenet_jax.net import Net
from googlenet_jax.report.cards import Album
from googlenet_jax.report.collect import BRANCHES, Inside, Predictions
from googlenet_jax.system.parallel import replicate

_SCALE = 4  # a filter's pixels in its picture
_PROTOCOLS = (1, 10, 144)


class Sample:
    """Some images of a source, evenly spread.

    Args:
      source: of the images.
      indices: of those that are taken.
    """

    def __init__(self, source: Source, indices: np.ndarray):
        self._source, self._indices = source, indices
        self.labels = source.labels

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> Any:
        return self._source[int(self._indices[index])]


def inside(
    net: Net,
    found: Inside,
    predictions: Predictions,
    source: Source,
    config: ml_collections.ConfigDict,
    album: Album,
    sample: int,
) -> dict[str, Any]:
    """The report's section.

    Args:
      net: the network.
      found: what `collect` counted.
      predictions: likewise.
      source: the images.
      config: how they are loaded.
      album: for the picture of the filters.
      sample: images that further passes see; 0: there are none.

    Returns:
      See the section "inside" of the report's data.
    """
    right = {name: classes == predictions.labels for name, classes in found.heads.items()}
    right["main"] = predictions.log_probabilities.argmax(-1) == predictions.labels
    blocks = zip(net.model.blocks, found.shares, strict=True)
    return {
        "filters": album.add(_filters(net), 8 * (7 * _SCALE + 1)),
        "branches": [{"block": name} | dict(zip(BRANCHES, map(float, row), strict=True)) for name, row in blocks],
        "dead": [
            {"layer": f"inception_{name}", "dead": int((largest <= 0).sum()), "channels": len(largest)}
            for name, largest in found.largest.items()
        ],
        "heads": [{"name": name, "top1": float(each.mean())} for name, each in right.items()],
        "crops": _crops(net, source, config, sample) if sample else [],
        "precision": _precisions(net, source, predictions, sample) if sample else [],
    }


def _filters(net: Net) -> Image.Image:
    """conv1's 64 filters, 8 x 8 of them, each from dark to light by its own range."""
    kernel = np.asarray(net.variables["params"]["conv1"]["kernel"], np.float32).transpose(3, 0, 1, 2)
    if net.preprocess.channel_order == "bgr":
        kernel = kernel[..., ::-1]
    low, high = kernel.min((1, 2, 3), keepdims=True), kernel.max((1, 2, 3), keepdims=True)
    pixels = ((kernel - low) / np.maximum(high - low, 1e-12) * 255).round().astype(np.uint8)
    side = 7 * _SCALE + 1
    sheet = np.full((8 * side, 8 * side, 3), 255, np.uint8)
    for number, one in enumerate(pixels):
        top, left = number // 8 * side, number % 8 * side
        sheet[top : top + side - 1, left : left + side - 1] = one.repeat(_SCALE, 0).repeat(_SCALE, 1)
    return Image.fromarray(sheet)


def _crops(net: Net, source: Source, config: ml_collections.ConfigDict, sample: int) -> list[dict[str, Any]]:
    """Top-1 by test protocol, on the same images."""
    few = Sample(source, spread(len(source), sample))
    devices = jax.devices()
    member = Member(net.model, net.preprocess, net.model.num_classes, net.temperature)
    variables = [replicate(net.variables, devices)]
    rows = []
    for crops in _PROTOCOLS:
        bad_images = BadImageLog(config.dataset.bad_images)
        cut = windows_of([net.preprocess], crops)
        batches = eval_batches(few, config, cut, bad_images, eval_batch_size(config, devices, crops))
        result = Evaluator([member], devices, mirror=crops > 1).run(variables, batches)
        rows.append({"crops": crops, "top1": result.values["top1"], "images": int(result.seen.sum())})
    return rows


def _precisions(net: Net, source: Source, predictions: Predictions, sample: int) -> list[dict[str, Any]]:
    """Top-1 in other precisions, and how often the likeliest class stays the same, on the same images.

    Batch norm is folded away first. int8: weights rounded to 8 bits by output channel, activations as they are.
    """
    rows = spread(len(predictions.places), sample)
    crops = np.stack([net.preprocess.crop(source[int(i)][0]) for i in predictions.places[rows]])
    labels = predictions.labels[rows]
    model, variables = fold(net.model, net.variables)
    programs = {
        "float32": (model, variables),
        "bfloat16": (model.clone(dtype=jnp.bfloat16), variables),
        "int8 weights": (model, jax.tree.map(_rounded, variables)),
    }
    classes = {}
    for name, (its_model, its_variables) in programs.items():

        @jax.jit
        def run(variables: Any, images: jax.Array, its_model: Any = its_model) -> jax.Array:
            return its_model.apply(variables, net.preprocess.normalize(images), train=False).argmax(-1)

        parts = [np.asarray(run(its_variables, part)) for part in np.array_split(crops, -(-len(crops) // 32))]
        classes[name] = np.concatenate(parts)
    return [
        {
            "name": name,
            "top1": float((each == labels).mean()),
            "agreement": float((each == classes["float32"]).mean()),
            "images": len(rows),
        }
        for name, each in classes.items()
    ]


def _rounded(leaf: Any) -> np.ndarray:
    """A kernel as 8 bits by output channel hold it; anything else as it is."""
    values = np.asarray(leaf, np.float32)
    if values.ndim < 2:
        return values
    step = np.maximum(np.abs(values).max(tuple(range(values.ndim - 1)), keepdims=True), 1e-12) / 127
    return (np.round(values / step) * step).astype(np.float32)
