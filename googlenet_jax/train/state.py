"""All that a step changes: the state of a training, and what is measured of it."""

import functools
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax

from googlenet_jax.evaluate.metrics import Metrics
from googlenet_jax.models.googlenet import GoogLeNet
from googlenet_jax.train.precision import LossScale, make_loss_scale


class TrainState(flax.struct.PyTreeNode):
    """All that a step changes.

    Attributes:
      step: steps done, int32 scalar; also the position in the data and in every random stream.
      variables: "params" and, in families with batch norm, "batch_stats"; float32.
      opt_state: the optimizer's.
      loss_scale: the loss scale and the count of skipped steps.
      ema: running average of `variables`, or None.
      seed: of every random stream, uint32 scalar.
      learning_rate: the base rate, float32 scalar. Both are here, and not in the program, so that trainings that differ
        in them alone compile once.
    """

    step: jax.Array
    variables: Any
    opt_state: Any
    loss_scale: LossScale
    ema: Any
    seed: jax.Array
    learning_rate: jax.Array

    @property
    def eval_variables(self) -> Any:
        """What evaluation uses: the average if there is one."""
        return self.variables if self.ema is None else self.ema


class Measured(flax.struct.PyTreeNode):
    """What steps add up on the device until it is read.

    Attributes:
      metrics: of the images.
      norm: sum of the gradients' global norms, float32 scalar.
      steps: of so many steps, int32 scalar; those that were skipped are left out.
    """

    metrics: Metrics
    norm: jax.Array
    steps: jax.Array

    @classmethod
    def empty(cls) -> "Measured":
        """Nothing yet."""
        return cls(Metrics.empty(), jnp.zeros(()), jnp.zeros((), jnp.int32))

    def merge(self, metrics: Metrics, norm: jax.Array, counts: jax.Array) -> "Measured":
        """With another step: its metrics, its gradient's norm, and whether it counts."""
        return Measured(self.metrics.merge(metrics), self.norm + norm, self.steps + counts.astype(self.steps.dtype))


def abstract_variables(model: GoogLeNet, config: ml_collections.ConfigDict) -> Any:
    """Shapes and types of the network's variables."""
    return _abstract(model, config.dataset.network_size or config.dataset.image_size)


@functools.lru_cache(1)  # a training asks twice, and tracing a network takes half a second
def _abstract(model: GoogLeNet, size: int) -> Any:
    return jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, size, size, 3)))


def draw_variables(model: GoogLeNet, config: ml_collections.ConfigDict) -> Any:
    """The network's variables at step 0.

    They are drawn by numpy: a program that draws each of them takes longer to compile than they take to be drawn, and
    numpy's streams are the same on every machine.

    Args:
      model: the network.
      config: the whole configuration; its seed alone decides.

    Returns:
      A tree of float32 numpy arrays.
    """

    def draw(path: Any, leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        names = tuple(key.key for key in path)
        # A stream of its own for each, so that one layer more or less leaves what the others begin with as it is.
        random = np.random.default_rng((config.seed, *"/".join(names).encode()))
        return model.variant.initializer(names).draw(random, leaf.shape)

    return jax.tree_util.tree_map_with_path(draw, abstract_variables(model, config))


def create_state(
    variables: Any, optimizer: optax.GradientTransformation, config: ml_collections.ConfigDict
) -> TrainState:
    """The state at step 0.

    Args:
      variables: of the network.
      optimizer: from `make_optimizer`.
      config: the whole configuration.

    Returns:
      A `TrainState` on the default device.
    """
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        variables=variables,
        opt_state=optimizer.init(variables["params"]),
        loss_scale=make_loss_scale(config.precision),
        ema=None if config.optimizer.ema_decay is None else jax.tree.map(jnp.copy, variables),
        **constants(config),
    )


def constants(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """The fields of a `TrainState` that no step changes and no checkpoint keeps: the configuration has them."""
    return {
        "seed": jnp.asarray(config.seed, jnp.uint32),
        "learning_rate": jnp.asarray(config.optimizer.learning_rate, jnp.float32),
    }
