"""How a system calls the tensors that this network calls by the names of the paper's Table 1.

`namings` has each system's; `entries` spells one out, tensor by tensor, for reading and for writing alike.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from googlenet_jax.config.choices import FORMATS
from googlenet_jax.models.googlenet import AUX_AFTER, TABLE_1

Path = tuple[str, ...]
UNITS = ("1x1", "3x3_reduce", "3x3", "5x5_reduce", "5x5", "pool_proj")


class Layout(NamedTuple):
    """How a tensor is stored elsewhere: to this project's layout, and back."""

    read: Callable[[np.ndarray], np.ndarray]
    write: Callable[[np.ndarray], np.ndarray]


LAYOUTS = {
    "kernel": Layout(lambda a: a.transpose(2, 3, 1, 0), lambda a: a.transpose(3, 2, 0, 1)),  # (out, in, h, w)
    "out_in": Layout(np.transpose, np.transpose),  # dense
    "as is": Layout(np.asarray, np.asarray),
}


class Entry(NamedTuple):
    """One tensor: its name there, its path in this network's variables, and a key of `LAYOUTS`."""

    name: str
    path: Path
    layout: str


@dataclasses.dataclass(frozen=True)
class Naming:
    """One system's names.

    Attributes:
      system: its row in `FORMATS`.
      variant: the family of its networks.
      stem: names of conv1, conv2_reduce and conv2.
      block: name of an inception block, by "3a" to "5b".
      units: of a block's convolutions, in the order of `UNITS`.
      aux: of the 4a and the 4d head: convolution, hidden layer, classifier; empty where the system has none.
      classifier: the main classifier's name.
      weight, bias: what follows a layer's name; conv: what goes between a convolution's name and those.
      norm: what follows a convolution's name for scale, shift, mean and variance; empty without batch norm.
      dense: layout of dense weights.
      training: what names of tensors that only training needs begin or end with.
      files: kinds of file, of `recognise.KINDS`, in which these names are this system's; empty: in all of them, unless
        another system has the same names and that kind of file.
      normalization: key of `NORMALIZATIONS`; None: the family's.
      resize: key of `RESIZES`; None: the usual one.
    """

    system: str
    variant: str
    stem: tuple[str, str, str]
    block: str
    units: tuple[str, ...]
    aux: tuple[tuple[str, str, str], ...]
    classifier: str
    weight: str = ".weight"
    bias: str = ".bias"
    conv: str = ""
    norm: tuple[str, ...] = ()
    conv_bias: bool = False
    dense: str = "out_in"
    training: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    normalization: str | None = None
    resize: str | None = None


def known_namings(system: str | None = None) -> list[Naming]:
    """Those of every row of `FORMATS`, or of the one of that name."""
    rows = [row for name, row in FORMATS.items() if system in (None, name)]
    return [naming for row in rows for naming in row.load()]


def entries(naming: Naming, aux: bool) -> Iterator[Entry]:
    """Every tensor of a network, in network order.

    Args:
      naming: a system's.
      aux: with those of the auxiliary heads.

    Yields:
      An `Entry` a tensor.
    """

    def conv(name: str, path: Path) -> Iterator[Entry]:
        yield Entry(f"{name}{naming.conv}{naming.weight}", ("params", *path, "kernel"), "kernel")
        if naming.conv_bias:
            yield Entry(f"{name}{naming.bias}", ("params", *path, "bias"), "as is")
        parts = (("params", "scale"), ("params", "bias"), ("batch_stats", "mean"), ("batch_stats", "var"))
        for suffix, (collection, part) in zip(naming.norm, parts, strict=False):
            yield Entry(f"{name}{suffix}", (collection, *path, "bn", part), "as is")

    def dense(name: str, path: Path) -> Iterator[Entry]:
        yield Entry(f"{name}{naming.weight}", ("params", *path, "kernel"), naming.dense)
        yield Entry(f"{name}{naming.bias}", ("params", *path, "bias"), "as is")

    for name, unit in zip(naming.stem, ("conv1", "conv2_reduce", "conv2"), strict=True):
        yield from conv(name, (unit,))
    for block, (name, unit) in itertools.product(TABLE_1, zip(naming.units, UNITS, strict=True)):
        yield from conv(naming.block.format(block) + name, (f"inception_{block}", unit))
        if aux and naming.aux and block in AUX_AFTER and unit == UNITS[-1]:
            head = AUX_AFTER[block]
            layers = zip(("conv", "fc", "classifier"), naming.aux[head - 1], (conv, dense, dense), strict=True)
            for part, layer, kind in layers:
                yield from kind(layer, (f"aux{head}", part))
    yield from dense(naming.classifier, ("classifier",))
