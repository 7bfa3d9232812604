"""StableHLO: the network as a program for CPUs, CUDA and TPUs that JAX alone loads, whatever becomes of this package.

The file is a zip archive of `program`, which `jax.export.deserialize` reads, and `description.json`.
"""

import zipfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax import export

from googlenet_jax.export.target import Options, Target
from googlenet_jax.exported.description import FILE, Description
from googlenet_jax.exported.stablehlo import PROGRAM
from googlenet_jax.models.folding import fold
from googlenet_jax.net import Net

_PLATFORMS = ("cpu", "cuda", "tpu")


def write(net: Net, path: Path, options: Options, description: Description) -> None:
    """Writes a .stablehlo; see `Target.write`."""
    model, variables = fold(net.model, net.variables)
    dtype = jnp.dtype(options.precision)
    model, preprocess = model.clone(dtype=dtype), description.preprocess

    def program(images: jax.Array) -> tuple[jax.Array, ...]:
        x = preprocess.normalize(images) if options.input == "uint8" else images
        outputs: Any = model.apply(variables, x, train=False, aux=options.aux)
        heads = outputs if isinstance(outputs, tuple) else (outputs,)
        return tuple(jax.nn.softmax(head) if options.output_kind == "probabilities" else head for head in heads)

    batch = export.symbolic_shape("n")[0] if options.batch is None else options.batch
    size = preprocess.image_size
    images = jax.ShapeDtypeStruct((batch, size, size, 3), "uint8" if options.input == "uint8" else "float32")
    with jax.default_matmul_precision("highest" if options.precision == "float32" else "default"):
        exported = export.export(jax.jit(program), platforms=_PLATFORMS)(images)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(PROGRAM, exported.serialize())
        archive.writestr(FILE, description.to_json())


TARGET = Target(
    suffix=".stablehlo",
    write=write,
    takes=frozenset({"input", "output_kind", "image_size", "batch", "precision", "aux"}),
    precisions=("float32", "float16"),
)
