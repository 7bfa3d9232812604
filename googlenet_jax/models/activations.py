"""What every layer of the network gives."""

from typing import Any

import jax

from googlenet_jax.models.googlenet import GoogLeNet


def activations(model: GoogLeNet, variables: Any, inputs: jax.Array) -> dict[str, jax.Array]:
    """What each layer gives in use.

    Args:
      model: the network.
      variables: its variables.
      inputs: (n, h, w, 3) float array, normalised.

    Returns:
      An array of each layer by its name in Table 1, such as "conv1", "inception_4e" or "inception_4e/3x3"; where a pool
      follows it, what that gives. Layers that are computed as a part of a larger product have none.
    """
    _, kept = model.apply(variables, inputs, train=False, capture_intermediates=True)
    leaves = jax.tree_util.tree_leaves_with_path(kept["intermediates"])
    paths = {tuple(key.key for key in path[:-1]): leaf for path, leaf in leaves}  # the last is a place in a tuple
    return {"/".join(path[:-1]): leaf for path, leaf in paths.items() if path[-1] == "__call__" and path[:-1]}
