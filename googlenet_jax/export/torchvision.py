"""Weights for torchvision's GoogLeNet: a state_dict."""

import numpy as np

from googlenet_jax.export.weights import weights_target
from googlenet_jax.formats.torch import write_pth
from googlenet_jax.importers.namings import TORCHVISION


def complete(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """With the counters that torch's batch norm keeps: zero batches, as nothing depends on them."""
    whole: dict[str, np.ndarray] = {}
    for name, array in tensors.items():
        whole[name] = array
        if name.endswith(".running_var"):
            whole[name.replace("running_var", "num_batches_tracked")] = np.zeros((), np.int64)
    return whole


def _encode(tensors: dict[str, np.ndarray]) -> bytes:
    return write_pth(complete(tensors))


TARGET = weights_target(TORCHVISION[0], ".pth", _encode)
