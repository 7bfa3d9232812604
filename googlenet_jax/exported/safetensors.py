"""Weights in .safetensors with a description: a whole network, which JAX runs."""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np

from googlenet_jax.exported.description import KEY, Description
from googlenet_jax.formats import LIMIT
from googlenet_jax.formats.safetensors import read_metadata, read_safetensors
from googlenet_jax.importers.convert import convert
from googlenet_jax.importers.names import known_namings
from googlenet_jax.models.variants import PRESETS

# Families whose tensors have another system's names where that knows such a network; all else has this project's.
NAMED = {"torchvision": "torchvision"}


def is_described(path: Path) -> bool:
    """Whether a file is a .safetensors with a description, which says itself what other systems' files do not."""
    if path.suffix != ".safetensors" or not path.is_file():
        return False
    with path.open("rb") as stream, contextlib.suppress(ValueError, RecursionError):
        return KEY in read_metadata(stream)
    return False


def open_safetensors(path: Path) -> tuple[Description, dict[str, Any]]:
    """A file's description, and the network's variables, float32 arrays."""
    if path.stat().st_size > LIMIT:
        raise ValueError(f"a file of more than {LIMIT >> 20} MiB")
    with path.open("rb") as stream:
        description = Description.from_json(read_metadata(stream).get(KEY, ""))
        stream.seek(0)
        found = read_safetensors(stream)
        tensors = found.load("")
    if description.family in NAMED and "params/conv1/kernel" not in tensors:
        (naming,) = known_namings(NAMED[description.family])
        return description, convert(tensors, PRESETS[description.family], naming).variables
    variables: dict[str, Any] = {}
    for name, array in tensors.items():
        node = variables
        *parents, last = name.split("/")
        for part in parents:
            node = node.setdefault(part, {})
        node[last] = np.ascontiguousarray(array, np.float32)
    return description, variables
