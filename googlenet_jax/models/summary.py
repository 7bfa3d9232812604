"""The network as a table like the paper's Table 1: shapes, parameters and multiply-adds of each layer."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import traverse_util

from googlenet_jax.models.googlenet import TABLE_1, GoogLeNet

# Table 1 of arXiv 1409.4842: thousands of parameters, millions of multiply-adds. conv2 is one row with its reduction.
# Where rows differ from the arithmetic of the same table's widths by more than rounding (conv1, 4c, 5a), the figures
# are the paper's all the same.
PAPER_TABLE_1 = {
    "conv1": (2.7, 34),
    "conv2": (112, 360),
    "inception_3a": (159, 128),
    "inception_3b": (380, 304),
    "inception_4a": (364, 73),
    "inception_4b": (437, 88),
    "inception_4c": (463, 100),
    "inception_4d": (580, 119),
    "inception_4e": (840, 170),
    "inception_5a": (1072, 54),
    "inception_5b": (1388, 71),
    "classifier": (1000, 1),
}


class Row(NamedTuple):
    """One layer.

    Attributes:
      name: as in the parameter tree; conv2 includes conv2_reduce, as in the paper.
      shape: of the output without the batch, before the pool that comes last: (h, w, c), or (c,).
      parameters: trained numbers.
      multiply_adds: of convolutions and products, for one image.
    """

    name: str
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int


def summarize(model: GoogLeNet, image_size: int = 224) -> list[Row]:
    """Shapes, parameters and multiply-adds of every layer; nothing is computed.

    Args:
      model: the network.
      image_size: side of the input, pixels.

    Returns:
      Rows in network order, the auxiliary heads last.
    """
    image = jax.ShapeDtypeStruct((1, image_size, image_size, 3), jnp.float32)
    variables = jax.eval_shape(lambda image: model.init(jax.random.key(0), image), image)

    def run(variables: dict, image: jax.Array) -> dict:
        return model.apply(variables, image, aux=True, capture_intermediates=True)[1]["intermediates"]

    outputs = traverse_util.flatten_dict(jax.eval_shape(run, variables, image), sep="/")
    sides = {name.removesuffix("/product"): value[0].shape[1:3] for name, value in outputs.items() if "product" in name}
    kernels = traverse_util.flatten_dict(variables["params"])

    rows: dict[str, Row] = {}
    for (top, *rest), parameter in kernels.items():
        name, layer = "conv2" if top == "conv2_reduce" else top, "/".join((top, *rest[:-1]))
        multiply_adds = 0
        if rest[-1] == "kernel":  # used once for each position of its layer's map
            multiply_adds = parameter.size * math.prod(sides.get(layer, ()))
        shape = outputs[f"{name}/__call__"][0].shape[1:]
        shape = (*sides[layer], shape[-1]) if len(shape) == 3 and layer in sides else shape
        old = rows.get(name, Row(name, shape, 0, 0))
        rows[name] = old._replace(
            parameters=old.parameters + parameter.size, multiply_adds=old.multiply_adds + multiply_adds
        )
    order = ["conv1", "conv2", *(f"inception_{block}" for block in TABLE_1), "classifier", "aux1", "aux2"]
    return [rows[name] for name in order if name in rows]
