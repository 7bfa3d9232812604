"""What a report tells of the network's inside: filters, branches, dead channels, heads, crops, precisions."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from PIL import Image

from googlenet_jax.data.bad_images import BadImageLog
from googlenet_jax.data.loader import Batch, eval_batches
from googlenet_jax.data.order import spread
from googlenet_jax.data.sources.base import Source, Subset
from googlenet_jax.evaluate.evaluator import Evaluator, Member, eval_batch_size, windows_of
from googlenet_jax.net import Net
from googlenet_jax.report.cards import Album
from googlenet_jax.report.collect import BRANCHES, Inside, Predictions
from googlenet_jax.report.probe import Probe
from googlenet_jax.report.statistics import mcnemar
from googlenet_jax.system.parallel import replicate

_SCALE = 4  # a filter's pixels in its picture
_PROTOCOLS = (10, 144)


def inside(
    net: Net,
    probe: Probe,
    found: Inside,
    predictions: Predictions,
    source: Source,
    config: ml_collections.ConfigDict,
    album: Album,
    few: int,
    crops: int,
) -> dict[str, Any]:
    """The report's section.

    Args:
      net: the network.
      probe: of it.
      found: what `collect` counted.
      predictions: likewise.
      source: the images.
      config: how they are loaded.
      album: for the picture of the filters.
      few: images that other precisions see; 0: none.
      crops: images of which 10 and 144 crops are seen; 0: none.

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
        "crops": _crops(net, source, predictions, config, crops) if crops else [],
        "precision": _precisions(net, probe, source, predictions, config, few) if few else [],
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


def _crops(
    net: Net, source: Source, predictions: Predictions, config: ml_collections.ConfigDict, sample: int
) -> list[dict[str, Any]]:
    """Top-1 by test protocol, on the same images."""
    rows = spread(len(predictions.places), sample)
    few = Subset(source, predictions.places[rows])
    right = predictions.log_probabilities[rows].argmax(-1) == predictions.labels[rows]
    found: list[dict[str, Any]] = [{"crops": 1, "top1": float(right.mean()), "images": len(rows)}]
    devices = jax.devices()
    member = Member(net.model, net.preprocess, net.model.num_classes, net.temperature)
    variables = [replicate(net.variables, devices)]
    for crops in _PROTOCOLS:
        cut = windows_of([net.preprocess], crops)
        bad_images = BadImageLog(config.dataset.bad_images)
        batches = eval_batches(few, config, cut, bad_images, eval_batch_size(config, devices, crops))
        by_crops: list[np.ndarray] = []

        def told(batch: Batch, classes: jax.Array, _: jax.Array, by_crops: list[np.ndarray] = by_crops) -> None:
            by_crops.append((np.ravel(classes) == batch.labels)[batch.weights > 0])

        result = Evaluator([member], devices, mirror=True).run(variables, batches, told=told)
        p = mcnemar(right, np.concatenate(by_crops)).p
        found.append({"crops": crops, "top1": result.values["top1"], "images": int(result.seen.sum()), "p": p})
    return found


def _precisions(
    net: Net, probe: Probe, source: Source, predictions: Predictions, config: ml_collections.ConfigDict, few: int
) -> list[dict[str, Any]]:
    """Top-1 in other precisions, and how often the likeliest class stays the same, on the same images.

    Batch norm is folded away first. int8: weights rounded to 8 bits by output channel, activations as they are.
    """
    rows = spread(len(predictions.places), few)
    crops = np.stack([net.preprocess.crop(source[int(i)][0]) for i in predictions.places[rows]])
    labels = predictions.labels[rows]
    half = Probe(dataclasses.replace(net, model=net.model.clone(dtype=jnp.bfloat16)), config)
    classes = {
        "float32": predictions.log_probabilities[rows].argmax(-1),
        "bfloat16": half.look(crops)[0].argmax(-1),
        "int8 weights": probe.look(crops, _rounded)[0].argmax(-1),
    }
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
