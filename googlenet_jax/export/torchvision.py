"""Weights for torchvision's GoogLeNet: a state_dict."""

import numpy as np

from googlenet_jax.export.weights import weights_target
from googlenet_jax.formats.torch import write_pth
from googlenet_jax.importers.namings import TORCHVISION


def _encode(tensors: dict[str, np.ndarray]) -> bytes:
    """With the counters that torch's batch norm keeps: zero batches, as nothing depends on them."""
    complete: dict[str, np.ndarray] = {}
    for name, array in tensors.items():
        complete[name] = array
        if name.endswith(".running_var"):
            complete[name.replace("running_var", "num_batches_tracked")] = np.zeros((), np.int64)
    return write_pth(complete)


TARGET = weights_target(TORCHVISION[0], ".pth", _encode)
