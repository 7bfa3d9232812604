"""ONNX in less than float32."""

from pathlib import Path
from typing import Any

from googlenet_jax.export.target import Options
from googlenet_jax.exported.description import Description
from googlenet_jax.net import Net


def write(model: Any, path: Path, net: Net, options: Options, description: Description) -> None:
    """Writes a model in `options.precision`."""
    raise NotImplementedError
