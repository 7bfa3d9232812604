"""Weights for torchvision's GoogLeNet: a state_dict."""

from pathlib import Path

import numpy as np

from googlenet_jax.export.weights import write_weights
from googlenet_jax.formats.torch import write_pth
from googlenet_jax.importers.namings import TORCHVISION
from googlenet_jax.net import Net


def export(net: Net, output: Path) -> list[str]:
    """Writes a .pth; arguments and result as of `write_weights`."""
    return write_weights(net, TORCHVISION[0], output, ".pth", _encode)


def _encode(tensors: dict[str, np.ndarray]) -> bytes:
    """With the counters that torch's batch norm keeps: zero batches, as nothing depends on them."""
    complete: dict[str, np.ndarray] = {}
    for name, array in tensors.items():
        complete[name] = array
        if name.endswith(".running_var"):
            complete[name.replace("running_var", "num_batches_tracked")] = np.zeros((), np.int64)
    return write_pth(complete)
