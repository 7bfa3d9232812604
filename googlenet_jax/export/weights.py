"""Weights as torchvision's and Caffe's own files; the reverse of `googlenet_jax.importers`."""

import dataclasses
from pathlib import Path

import numpy as np

from googlenet_jax.errors import UserError
from googlenet_jax.formats.caffe import write_caffemodel
from googlenet_jax.formats.torch import write_pth
from googlenet_jax.importers.convert import unconvert
from googlenet_jax.importers.names import NAMINGS, Naming
from googlenet_jax.models.variants import PRESETS
from googlenet_jax.net import Net
from googlenet_jax.system.files import replace_file

SUFFIXES = {"torchvision": ".pth", "caffe": ".caffemodel"}


def export_weights(net: Net, system: str, output: Path) -> list[str]:
    """Writes a network's weights as another system reads them.

    Args:
      net: of that system's family, or one with the same layers.
      system: a key of `SUFFIXES`.
      output: the file to write.

    Returns:
      Names of the tensors written.

    Raises:
      UserError: if the network is of another family, or the file exists or cannot be written.
    """
    naming = next(naming for naming in NAMINGS if naming.system == system)
    theirs, ours = PRESETS[naming.variant], net.model.variant
    if theirs != dataclasses.replace(ours, dropout=theirs.dropout, aux_dropout=theirs.aux_dropout):
        stem = " with another stem" if theirs.name == ours.name else ""
        raise UserError(
            f"--format {system} holds networks of the variant {naming.variant!r}; this one is {ours.name!r}{stem}, "
            "whose layers compute something else"
        )
    if output.exists():
        raise UserError(f"--output {output} exists already: choose another name, or remove it")
    tensors = unconvert(net.variables, naming, aux="aux1" in net.variables["params"])
    data = _pth(tensors) if system == "torchvision" else _caffemodel(tensors, naming)
    replace_file(output, data)
    return list(tensors)


def _pth(tensors: dict[str, np.ndarray]) -> bytes:
    """With the counters that torch's batch norm keeps: zero batches, as nothing depends on them."""
    complete: dict[str, np.ndarray] = {}
    for name, array in tensors.items():
        complete[name] = array
        if name.endswith(".running_var"):
            complete[name.replace("running_var", "num_batches_tracked")] = np.zeros((), np.int64)
    return write_pth(complete)


def _caffemodel(tensors: dict[str, np.ndarray], naming: Naming) -> bytes:
    layers: dict[str, tuple[str, list[np.ndarray]]] = {}
    for name, array in tensors.items():
        layer = name.removesuffix(naming.weight).removesuffix(naming.bias)
        kind = "Convolution" if array.ndim == 4 else "InnerProduct"
        layers.setdefault(layer, (kind, []))[1].append(array)
    return write_caffemodel("GoogleNet", layers)
