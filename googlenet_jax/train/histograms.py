"""How a network's weights and activations are distributed."""

from typing import Any

import jax
import numpy as np

from googlenet_jax.models.activations import activations
from googlenet_jax.system.parallel import to_host
from googlenet_jax.train.setup import Training

IMAGES = 32  # that activations are of: each image gives thousands of every block's


class Histograms:
    """Gathers what histograms are made of; compiles once.

    Args:
      training: whose network and preprocessing are used.
    """

    def __init__(self, training: Training):
        def blocks(variables: Any, crops: jax.Array) -> dict[str, jax.Array]:
            found = activations(training.model, variables, training.preprocess.normalize(crops))
            return {name: found[name] for name in found.keys() & variables["params"].keys()}

        # It runs seldom, and on few images: what takes time is to compile it.
        self._blocks = jax.jit(blocks, compiler_options={"xla_backend_optimization_level": 0})

    def gather(self, variables: Any, crops: np.ndarray) -> dict[str, np.ndarray]:
        """What is to be shown as histograms.

        Args:
          variables: that lie on every device.
          crops: (n, h, w, 3) uint8, as evaluation takes them.

        Returns:
          "weights/PATH" of every parameter, and "activations/NAME" of every block and of the layers before and after
          them; float32 arrays of any shape.
        """
        host = to_host(variables)  # so that this process's first device computes alone
        leaves = jax.tree_util.tree_leaves_with_path(host["params"])
        weights = {"/".join(["weights", *(key.key for key in path)]): leaf for path, leaf in leaves}
        found = {f"activations/{name}": leaf for name, leaf in sorted(self._blocks(host, crops).items())}
        return {name: np.asarray(leaf, np.float32) for name, leaf in (weights | found).items()}
