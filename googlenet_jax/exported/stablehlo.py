"""StableHLO programs in JAX.

Unlike other files a program that somebody made for the purpose can end the process: XLA does not check its bytes.
"""

from pathlib import Path

import jax
import numpy as np
from jax import export

from googlenet_jax.exported.description import FILE, Description
from googlenet_jax.exported.opening import Run
from googlenet_jax.formats import zips

PROGRAM = "program"
_MOST = 1 << 30  # bytes of a program, of which its weights are nearly all


def open_stablehlo(path: Path) -> tuple[Description, Run]:
    """Loads a file; its description, and what runs it on JAX's default device."""
    with path.open("rb") as stream, zips.opened(stream) as archive:
        # Nothing in it is compressed: what says that it is larger than the file would only fill the memory.
        if sum(entry.file_size for entry in archive.infolist()) > min(path.stat().st_size, _MOST):
            raise ValueError("a program of more than 1 GiB, or than the file")
        description = Description.from_json(archive.read(FILE))
        program = export.deserialize(bytearray(archive.read(PROGRAM)))
    call = jax.jit(program.call)

    def run(batch: np.ndarray) -> list[np.ndarray]:
        return [np.asarray(output) for output in call(batch)]

    return description, run
