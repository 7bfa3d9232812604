"""What the targets of an export have in common."""

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from googlenet_jax.config import to_json
from googlenet_jax.errors import UserError
from googlenet_jax.exported.description import MOST_PIXELS, Description
from googlenet_jax.net import Net


@dataclasses.dataclass(frozen=True)
class Options:
    """What a user chooses of an exported network; the defaults are those of `googlenet export`.

    Attributes:
      input: see `Description.input`.
      output_kind: see `Description.output`.
      image_size: side of what it takes, pixels; None: the network's.
      batch: see `Description.batch`.
      precision: see `Description.precision`.
      aux: the auxiliary heads too.
      calibration: a `dataset.name` whose training images int8 is scaled by.
    """

    input: str = "uint8"
    output_kind: str = "probabilities"
    image_size: int | None = None
    batch: int | None = None
    precision: str = "float32"
    aux: bool = False
    calibration: str | None = None


@dataclasses.dataclass(frozen=True)
class Target:
    """One row of `EXPORTS`.

    Attributes:
      suffix: what the file's name ends in; "" for a directory.
      write: writes the file or directory; `write(net, path, options, description)` gives further files that belong to
        it: "PATH.deploy.prototxt" is beside "bvlc.caffemodel" in the end as "bvlc.deploy.prototxt".
      takes: names of the `Options` that it can do otherwise than by default.
      precisions: that it can write.
      read_back: of a file of weights alone, which another system's program runs: reads the variables back, by which the
        file is verified; None where the file itself runs.
    """

    suffix: str
    write: Callable[[Net, Path, Options, Description], Sequence[Path] | None]
    takes: frozenset[str] = frozenset()
    precisions: tuple[str, ...] = ("float32",)
    read_back: Callable[[Net, Path], Any] | None = None


def describe(net: Net, source: str, options: Options, graph: bool = True) -> Description:
    """What travels with the network; raises `UserError` where its input cannot: a graph does not enlarge crops."""
    p = net.preprocess
    enlarges = p.network_size not in (None, p.image_size)
    if enlarges and options.image_size is None and graph:
        raise UserError(
            f"this network enlarges its {p.image_size} px crops to {p.network_size} px itself, which no exported file "
            "does: give --image_size to have it take crops of that size"
        )
    size = options.image_size or p.image_size
    if not 1 <= size <= 4096:
        raise UserError(f"--image_size {size}: 1 to 4096 pixels")
    if options.batch is not None and options.batch * size**2 > MOST_PIXELS:
        raise UserError(f"--batch {options.batch}: at most {MOST_PIXELS // size**2} images of {size} px a call")
    if options.aux and "aux1" not in net.variables["params"]:
        raise UserError("--aux: this network has no auxiliary heads")
    return Description(
        labels=list(net.labels),
        preprocess=p if enlarges and options.image_size is None else p.replace(image_size=size, network_size=size),
        family=net.model.variant.name,
        config=to_json(net.config),
        step=net.step,
        source=source,
        weights=fingerprint(net.variables),
        input=options.input,
        output=options.output_kind,
        precision=options.precision,
        batch=options.batch,
        aux=options.aux,
    )


def fingerprint(variables: Any) -> str:
    """SHA-256 of a network's variables: names, shapes and float32 bytes, in the order of the names."""
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(variables):
        array = np.ascontiguousarray(leaf, "<f4")
        digest.update(f"{'/'.join(key.key for key in path)} {array.shape} ".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
