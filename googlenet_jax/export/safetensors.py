"""Weights in .safetensors, with class names and preprocessing in the header."""

from pathlib import Path
from typing import Any

import jax
import numpy as np

from googlenet_jax.export import torchvision
from googlenet_jax.export.target import Options, Target
from googlenet_jax.export.weights import misfit
from googlenet_jax.exported.description import KEY, Description
from googlenet_jax.exported.safetensors import NAMED, open_safetensors
from googlenet_jax.formats.safetensors import write_safetensors
from googlenet_jax.importers.convert import unconvert
from googlenet_jax.importers.namings import TORCHVISION
from googlenet_jax.net import Net


def write(net: Net, path: Path, options: Options, description: Description) -> None:
    """Writes a .safetensors; see `Target.write`."""
    if net.model.variant.name in NAMED and not misfit(net, TORCHVISION[0]):
        aux = "aux1" in net.variables["params"]
        tensors = torchvision.complete(unconvert(net.variables, TORCHVISION[0], aux))
    else:
        leaves = jax.tree_util.tree_leaves_with_path(net.variables)
        tensors = {"/".join(key.key for key in path): np.asarray(leaf, np.float32) for path, leaf in leaves}
    metadata = {"format": "pt", KEY: description.to_json(), "classes": "\n".join(description.labels)}
    path.write_bytes(write_safetensors(tensors, metadata))


def _read_back(net: Net, path: Path) -> Any:
    return open_safetensors(path)[1]


TARGET = Target(suffix=".safetensors", write=write, read_back=_read_back)
