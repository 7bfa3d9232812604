"""MINDIR files in MindSpore."""

import tempfile
from pathlib import Path

import numpy as np

from googlenet_jax.errors import UserError
from googlenet_jax.exported.description import KEY, Description
from googlenet_jax.exported.opening import Run
from googlenet_jax.formats import LIMIT
from googlenet_jax.formats.mindir import read_mindir


def open_mindir(path: Path) -> tuple[Description, Run]:
    """Loads a file; its description, and what runs it on MindSpore's default device."""
    if path.stat().st_size > LIMIT:
        raise ValueError(f"a file of more than {LIMIT >> 20} MiB")
    # All of it is read here first: what is damaged may end the process within MindSpore.
    program = read_mindir(memoryview(path.read_bytes()))
    description = Description.from_json(program.facts.get(KEY, ""))
    try:
        import mindspore
    except ModuleNotFoundError:
        raise UserError("mindir files are run with mindspore: pip install mindspore") from None

    with tempfile.TemporaryDirectory() as directory:
        link = Path(directory) / "network.mindir"  # whatever the file is called: MindSpore wants this suffix
        link.symlink_to(path.resolve())
        network = mindspore.nn.GraphCell(mindspore.load(str(link)))

    def run(batch: np.ndarray) -> list[np.ndarray]:
        return [network(mindspore.Tensor(np.ascontiguousarray(batch))).asnumpy()]

    return description, run
