"""Mixed precision: the loss scale, and what happens when a gradient is not finite."""

import flax.struct
import jax
import jax.numpy as jnp
import ml_collections


class LossScale(flax.struct.PyTreeNode):
    """A factor on the loss that keeps small gradients from vanishing in float16 (arXiv 1710.03740).

    Attributes:
      scale: the factor, float32 scalar.
      finite_steps: steps since the last change of the scale, int32 scalar.
      skipped: steps that were not taken, in all, int32 scalar.
      skipped_in_a_row: of these, those since the last step taken, int32 scalar.
      growth_steps: finite steps after which the scale doubles; 0 for a scale that stays.
    """

    scale: jax.Array
    finite_steps: jax.Array
    skipped: jax.Array
    skipped_in_a_row: jax.Array
    growth_steps: int = flax.struct.field(pytree_node=False)

    def update(self, finite: jax.Array) -> "LossScale":
        """The scale after a step: halved (not below 1) when it was not finite, doubled after a row of finite ones.

        Args:
          finite: bool scalar, whether the step's gradients all were.

        Returns:
          The new state.
        """
        zero = jnp.zeros((), jnp.int32)
        scale, finite_steps = self.scale, self.finite_steps
        if self.growth_steps:
            grown = finite & (finite_steps + 1 >= self.growth_steps)
            scale = jnp.where(finite, jnp.where(grown, scale * 2, scale), jnp.maximum(scale / 2, 1))
            scale = jnp.where(jnp.isfinite(scale), scale, self.scale)
            finite_steps = jnp.where(finite & ~grown, finite_steps + 1, zero)
        return self.replace(
            scale=scale,
            finite_steps=finite_steps,
            skipped=self.skipped + ~finite,
            skipped_in_a_row=jnp.where(finite, zero, self.skipped_in_a_row + 1),
        )


def make_loss_scale(config: ml_collections.ConfigDict) -> LossScale:
    """The loss scale that `config.precision` describes, at the start of training.

    Args:
      config: the `precision` group.

    Returns:
      A `LossScale`; without scaling one that stays 1 and only counts.
    """
    kind = config.loss_scaling
    if kind == "auto":
        kind = "dynamic" if config.compute_dtype == "float16" else "none"
    return LossScale(
        scale=jnp.asarray(1.0 if kind == "none" else config.loss_scale, jnp.float32),
        finite_steps=jnp.zeros((), jnp.int32),
        skipped=jnp.zeros((), jnp.int32),
        skipped_in_a_row=jnp.zeros((), jnp.int32),
        growth_steps=config.growth_steps if kind == "dynamic" else 0,
    )
