"""StableHLO programs in JAX."""

import zipfile
from pathlib import Path

import jax
import numpy as np
from jax import export

from googlenet_jax.exported.description import Description
from googlenet_jax.exported.opening import Run

PROGRAM, DESCRIPTION = "program", "description.json"
_MOST = 1 << 30  # bytes of a program, of which its weights are nearly all


def open_stablehlo(path: Path) -> tuple[Description, Run]:
    """Loads a file; its description, and what runs it on JAX's default device."""
    with zipfile.ZipFile(path) as archive:
        if any(entry.file_size > _MOST for entry in archive.infolist()):
            raise ValueError("a program of more than 1 GiB")
        description = Description.from_json(archive.read(DESCRIPTION))
        program = export.deserialize(bytearray(archive.read(PROGRAM)))
    call = jax.jit(program.call)

    def run(batch: np.ndarray) -> list[np.ndarray]:
        return [np.asarray(output) for output in call(batch)]

    return description, run
