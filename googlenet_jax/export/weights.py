"""Weights in other systems' own files, the reverse of `googlenet_jax.importers`: what the targets have in common."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np

from googlenet_jax.errors import UserError, where
from googlenet_jax.importers.convert import unconvert
from googlenet_jax.importers.names import Naming
from googlenet_jax.models.googlenet import TABLE_1
from googlenet_jax.models.variants import PRESETS
from googlenet_jax.net import Net
from googlenet_jax.system.files import replace_file


def write_weights(
    net: Net, naming: Naming, output: Path, suffix: str, encode: Callable[[dict[str, np.ndarray]], bytes]
) -> list[str]:
    """Writes a network's weights as another system reads them.

    Args:
      net: of that system's family, or one with the same layers.
      naming: the system's.
      output: the file to write.
      suffix: of the system's files.
      encode: makes the file's bytes of float32 arrays by the system's names.

    Returns:
      Names of the tensors written.

    Raises:
      UserError: if the network is of another family or only a part of one, or the file has another suffix, exists or
        cannot be written.
    """
    target = f"--format {naming.system}"
    if output.suffix != suffix:
        raise UserError(f"--output {where(output)}: a file of {target} ends in {suffix}")
    if output.exists():
        raise UserError(f"--output {where(output)} exists already: choose another name, or remove it")
    theirs, ours = PRESETS[naming.variant], net.model.variant
    if theirs != dataclasses.replace(ours, dropout=theirs.dropout, aux_dropout=theirs.aux_dropout):
        stem = " with another stem" if theirs.name == ours.name else ""
        raise UserError(
            f"{target} holds networks of the variant {naming.variant!r}; this one is {ours.name!r}{stem}, "
            "whose layers compute something else"
        )
    if net.model.blocks != tuple(TABLE_1):
        raise UserError(
            f"{target} holds networks of all nine inception blocks; this one has only {', '.join(net.model.blocks)}"
        )
    tensors = unconvert(net.variables, naming, aux="aux1" in net.variables["params"])
    replace_file(output, encode(tensors))
    return list(tensors)
