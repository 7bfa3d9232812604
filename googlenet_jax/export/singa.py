"""Weights for Apache SINGA's examples/imagenet/googlenet: a pickle of arrays under Caffe's names."""

from typing import Any

import numpy as np

from googlenet_jax.export.weights import weights_target
from googlenet_jax.formats.pickled import write_arrays
from googlenet_jax.importers.namings import SINGA

_VERSION = 1100  # the last in which "_" joins a layer and its blob, as in the published file; later ones read it too


def _encode(tensors: dict[str, np.ndarray]) -> bytes:
    content: dict[str, Any] = {"SINGA_VERSION": _VERSION, **tensors}
    return write_arrays(content, protocol=2)  # SINGA ran on Python 2


TARGET = weights_target(SINGA[0], ".pickle", _encode)
