"""Weights for Caffe's bvlc_googlenet: a NetParameter."""

import numpy as np

from googlenet_jax.export.weights import weights_target
from googlenet_jax.formats.caffe import write_caffemodel
from googlenet_jax.importers.namings import CAFFE


def _encode(tensors: dict[str, np.ndarray]) -> bytes:
    layers: dict[str, tuple[str, list[np.ndarray]]] = {}
    for name, array in tensors.items():
        layer = name.removesuffix(CAFFE[0].weight).removesuffix(CAFFE[0].bias)
        kind = "Convolution" if array.ndim == 4 else "InnerProduct"
        layers.setdefault(layer, (kind, []))[1].append(array)
    return write_caffemodel("GoogleNet", layers)


TARGET = weights_target(CAFFE[0], ".caffemodel", _encode)
