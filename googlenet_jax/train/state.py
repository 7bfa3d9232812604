"""The state of a training: all that a step changes."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import ml_collections
import optax

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
    """

    step: jax.Array
    variables: Any
    opt_state: Any
    loss_scale: LossScale
    ema: Any

    @property
    def eval_variables(self) -> Any:
        """What evaluation uses: the average if there is one."""
        return self.variables if self.ema is None else self.ema


def create_state(
    key: jax.Array, model: GoogLeNet, optimizer: optax.GradientTransformation, config: ml_collections.ConfigDict
) -> TrainState:
    """The state at step 0.

    Args:
      key: that the parameters are drawn with.
      model: the network.
      optimizer: from `make_optimizer`.
      config: the whole configuration.

    Returns:
      A `TrainState` on the default device.
    """
    size = config.dataset.network_size or config.dataset.image_size
    variables = model.init(key, jnp.zeros((1, size, size, 3)))
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        variables=variables,
        opt_state=optimizer.init(variables["params"]),
        loss_scale=make_loss_scale(config.precision),
        ema=None if config.optimizer.ema_decay is None else jax.tree.map(jnp.copy, variables),
    )
