"""Weights for Caffe's bvlc_googlenet: a NetParameter."""

from pathlib import Path

import numpy as np

from googlenet_jax.export.weights import write_weights
from googlenet_jax.formats.caffe import write_caffemodel
from googlenet_jax.importers.namings import CAFFE
from googlenet_jax.net import Net


def export(net: Net, output: Path) -> list[str]:
    """Writes a .caffemodel; arguments and result as of `write_weights`."""
    return write_weights(net, CAFFE[0], output, ".caffemodel", _encode)


def _encode(tensors: dict[str, np.ndarray]) -> bytes:
    layers: dict[str, tuple[str, list[np.ndarray]]] = {}
    for name, array in tensors.items():
        layer = name.removesuffix(CAFFE[0].weight).removesuffix(CAFFE[0].bias)
        kind = "Convolution" if array.ndim == 4 else "InnerProduct"
        layers.setdefault(layer, (kind, []))[1].append(array)
    return write_caffemodel("GoogleNet", layers)
