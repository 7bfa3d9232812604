"""A network with its inside open: what it says of images, and what its blocks and heads do meanwhile."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from googlenet_jax.evaluate.evaluator import eval_batch_size
from googlenet_jax.models.folding import fold
from googlenet_jax.net import Net
from googlenet_jax.system.parallel import parallel, replicate, split_batch

_FEW = 64  # images at once, of those that are looked at again


class Seen(NamedTuple):
    """What was seen in a batch, on the devices: every array has their axis before its own.

    Attributes:
      log_probabilities: (n, classes) float32.
      heads: (n, auxiliary heads), the class that each takes for the likeliest.
      last: (n, h, w, channels), the last block's activations, of which class activation maps are made.
      means: by block (n, channels), means over the places; of the last block "pool5".
      largest: by block (n, channels), likewise.
    """

    log_probabilities: jax.Array
    heads: jax.Array
    last: jax.Array
    means: list[jax.Array]
    largest: list[jax.Array]


class Probe:
    """Runs a network without batch norm, which is folded away; compiles once a number of images.

    Args:
      net: the network.
      config: how many images are evaluated at once.

    Attributes:
      devices: that it runs on.
      size: images at once of those that are looked at again; of all of them, too, on a CPU, where compiling another
        program takes longer than it saves.
      batch_size: images at once of all.
      blocks: names of its blocks.
      heads: of its auxiliary heads.
      variables: of the folded network, numpy arrays.
    """

    def __init__(self, net: Net, config: ml_collections.ConfigDict):
        self.devices = jax.devices()
        self.batch_size = eval_batch_size(config, self.devices)
        self.size = min(-(-_FEW // len(self.devices)) * len(self.devices), self.batch_size)
        if self.devices[0].platform == "cpu":
            self.batch_size = self.size
        model, self.variables = fold(net.model, net.variables)
        self.blocks = model.blocks
        self.heads = ["auxiliary, after 4a", "auxiliary, after 4d"] if "aux1" in self.variables["params"] else []
        self._placed = replicate(self.variables, self.devices)

        def step(variables: Any, images: jax.Array) -> Seen:
            outputs, kept = model.apply(
                variables,
                net.preprocess.normalize(images),
                train=False,
                aux=bool(self.heads),
                capture_intermediates=lambda module, method: method == "__call__" and len(module.path) == 1,
            )
            logits, *heads = outputs if self.heads else (outputs,)
            blocks = [kept["intermediates"][f"inception_{name}"]["__call__"][0] for name in self.blocks]
            return Seen(
                jax.nn.log_softmax(logits.astype(jnp.float32) / net.temperature),
                jnp.stack([head.argmax(-1) for head in heads], -1) if heads else jnp.zeros((len(images), 0), int),
                blocks[-1],
                [block.mean((1, 2)) for block in blocks],
                [block.max((1, 2)) for block in blocks],
            )

        self._step = parallel(step, self.devices, replicated=1, split=1, split_result=True)

    def __call__(self, images: np.ndarray) -> Seen:
        """What is seen in (n, h, w, 3) uint8 crops; n divides among the devices."""
        return self._step(self._placed, split_batch(images, self.devices))

    def look(self, crops: np.ndarray, change: Callable[[Any], Any] | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Looks at some images once more.

        Args:
          crops: (n, h, w, 3) uint8, for any n.
          change: of the variables' arrays, for this once.

        Returns:
          log_probabilities (n, classes) and the last block's activations (n, h, w, channels), float32.
        """
        placed = replicate(jax.tree.map(change, self.variables), self.devices) if change else self._placed
        found = []
        for start in range(0, len(crops), self.size):
            part = crops[start : start + self.size]
            filled = np.concatenate([part, np.zeros((self.size - len(part), *part.shape[1:]), np.uint8)])
            seen = self._step(placed, split_batch(filled, self.devices))
            found.append([flat(each)[: len(part)] for each in (seen.log_probabilities, seen.last)])
        log_probabilities, last = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return log_probabilities, last.astype(np.float32)


def flat(array: jax.Array) -> np.ndarray:
    """An array of a `Seen` as (n, ...) on the host."""
    return np.asarray(array).reshape(array.shape[0] * array.shape[1], *array.shape[2:])
