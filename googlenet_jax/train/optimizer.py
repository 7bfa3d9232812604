"""The update rule: clipping, weight decay and momentum, through optax."""

from typing import Any

import jax
import ml_collections
import optax


def make_optimizer(config: ml_collections.ConfigDict) -> optax.GradientTransformation:
    """The transformation that `config.optimizer` describes, without the learning rate.

    The train step multiplies what comes out by minus the rate of its own step count, so that a skipped step does not
    shift the schedule.

    Args:
      config: the `optimizer` group.

    Returns:
      An optax transformation of gradients.
    """
    decay = optax.add_decayed_weights(
        config.weight_decay, mask=lambda params: decayed(params, tuple(config.weight_decay_exclude))
    )
    rules = {
        "sgd": lambda: [decay, optax.trace(config.momentum, config.nesterov)],
        "rmsprop": lambda: [decay, optax.scale_by_rms(decay=0.9), optax.trace(config.momentum)],
        "adamw": lambda: [optax.scale_by_adam(), decay],
    }
    clip = [] if config.clip_norm is None else [optax.clip_by_global_norm(config.clip_norm)]
    return optax.chain(*clip, *rules[config.name]())


def decayed(params: Any, exclude: tuple[str, ...]) -> Any:
    """Which parameters weight decay touches.

    Args:
      params: the parameter tree.
      exclude: of "norm" (scales and shifts of batch norm) and "bias" (of convolutions and classifiers).

    Returns:
      A tree of bool like params.
    """

    def touches(path: tuple[jax.tree_util.DictKey, ...], _: Any) -> bool:
        names = [key.key for key in path]
        kind = "norm" if "bn" in names else "bias" if names[-1] == "bias" else "kernel"
        return kind not in exclude

    return jax.tree_util.tree_map_with_path(touches, params)
