"""Caffe's bvlc_googlenet: its weights, a NetParameter, and beside them the network as prototxt."""

import dataclasses
from pathlib import Path

import numpy as np

from googlenet_jax.export import prototxt
from googlenet_jax.export.target import Options
from googlenet_jax.export.weights import weights_target
from googlenet_jax.exported.description import Description
from googlenet_jax.formats.caffe import write_caffemodel
from googlenet_jax.importers.namings import CAFFE
from googlenet_jax.net import Net


def _encode(tensors: dict[str, np.ndarray]) -> bytes:
    layers: dict[str, tuple[str, list[np.ndarray]]] = {}
    for name, array in tensors.items():
        layer = name.removesuffix(CAFFE[0].weight).removesuffix(CAFFE[0].bias)
        kind = "Convolution" if array.ndim == 4 else "InnerProduct"
        layers.setdefault(layer, (kind, []))[1].append(array)
    return write_caffemodel(prototxt.NET_NAME, layers)


_WEIGHTS = weights_target(CAFFE[0], ".caffemodel", _encode)


def _write(net: Net, path: Path, options: Options, description: Description) -> list[Path]:
    """Writes the weights and the prototxts that they fit; see `Target.write`."""
    _WEIGHTS.write(net, path, options, description)
    texts = {
        "deploy": prototxt.deploy(net.model, description.preprocess),
        "train_val": prototxt.train_val(net.model, description.preprocess),
    }
    further = {path.with_name(f"{path.name}.{name}.prototxt"): text for name, text in texts.items() if text}
    for place, text in further.items():
        place.write_text(text)
    return list(further)


TARGET = dataclasses.replace(_WEIGHTS, write=_write)
