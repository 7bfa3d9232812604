"""Weights in other systems' own files, the reverse of `googlenet_jax.importers`: what the targets have in common."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from googlenet_jax.errors import UserError
from googlenet_jax.export.target import Options, Target
from googlenet_jax.exported.description import Description
from googlenet_jax.formats import recognise
from googlenet_jax.importers.convert import convert, unconvert
from googlenet_jax.importers.names import Naming
from googlenet_jax.models.googlenet import TABLE_1
from googlenet_jax.models.variants import PRESETS
from googlenet_jax.net import Net


def weights_target(naming: Naming, suffix: str, encode: Callable[[dict[str, np.ndarray]], bytes]) -> Target:
    """The target that writes a network's weights as another system reads them.

    Args:
      naming: the system's.
      suffix: of its files.
      encode: makes the file's bytes of float32 arrays by the system's names.
    """

    def write(net: Net, path: Path, options: Options, description: Description) -> None:
        if why := misfit(net, naming):
            raise UserError(f"--format {naming.system} holds {why}: onnx, stablehlo and safetensors hold it")
        path.write_bytes(encode(unconvert(net.variables, naming, aux="aux1" in net.variables["params"])))

    def read_back(net: Net, path: Path) -> Any:
        with recognise.opened(path) as (_, found):
            return convert(found.load(""), net.model.variant, naming).variables

    return Target(suffix=suffix, write=write, read_back=read_back)


def misfit(net: Net, naming: Naming) -> str:
    """Why a system's file does not hold a network: another family, or only a part of one; "" if it does."""
    theirs, ours = PRESETS[naming.variant], net.model.variant
    if theirs != dataclasses.replace(ours, dropout=theirs.dropout, aux_dropout=theirs.aux_dropout):
        stem = " with another stem" if theirs.name == ours.name else ""
        return (
            f"networks of the variant {naming.variant!r}; this one is {ours.name!r}{stem}, whose layers compute "
            "something else"
        )
    if net.model.blocks != tuple(TABLE_1):
        return f"networks of all nine inception blocks; this one has only {', '.join(net.model.blocks)}"
    return ""
