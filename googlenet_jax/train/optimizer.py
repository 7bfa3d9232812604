"""The update rule: clipping, weight decay and momentum, through optax."""

import difflib
import fnmatch
from typing import Any

import jax
import ml_collections
import optax

from googlenet_jax.config.choices import OPTIMIZERS
from googlenet_jax.errors import UserError

Rule = list[optax.GradientTransformation]


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
    clip = [] if config.clip_norm is None else [optax.clip_by_global_norm(config.clip_norm)]
    rule = OPTIMIZERS[config.name].load()(config, decay)
    if not (config.freeze or config.lr_factors):
        return optax.chain(*clip, *rule)

    def scale(updates: Any, _: Any) -> Any:
        return jax.tree.map(lambda u, factor: u * factor, updates, learning_rate_factors(updates, config))

    def thaw(updates: Any, _: Any) -> Any:  # what is frozen has no part in the gradient's norm either
        return jax.tree.map(lambda u, f: u * (f > 0), updates, learning_rate_factors(updates, config))

    return optax.chain(optax.stateless(thaw), *clip, *rule, optax.stateless(scale))


def sgd(config: ml_collections.ConfigDict, decay: optax.GradientTransformation) -> Rule:
    """Momentum on gradient plus decay (arXiv 1409.4842, section 6); arguments as for the other rules.

    Args:
      config: the `optimizer` group.
      decay: adds the weight decay.

    Returns:
      The transformations that make up the rule, one after the other, without the learning rate.
    """
    return [decay, optax.trace(config.momentum, config.nesterov)]


def rmsprop(config: ml_collections.ConfigDict, decay: optax.GradientTransformation) -> Rule:
    """RMSProp, and momentum on what it gives."""
    return [decay, optax.scale_by_rms(decay=0.9), optax.trace(config.momentum)]


def adamw(config: ml_collections.ConfigDict, decay: optax.GradientTransformation) -> Rule:
    """Adam, and weight decay beside it (arXiv 1711.05101)."""
    return [optax.scale_by_adam(), decay]


def learning_rate_factors(params: Any, config: ml_collections.ConfigDict) -> Any:
    """What each parameter's learning rate is multiplied by.

    Args:
      params: the parameter tree.
      config: the `optimizer` group, whose `freeze` and `lr_factors` hold patterns of paths like "conv1/kernel".

    Returns:
      A tree of floats like params: 1 unless a pattern fits, 0 for what is frozen.

    Raises:
      UserError: for a pattern that fits no parameter.
    """
    rules = [(item.rpartition("=")[0], float(item.rpartition("=")[2])) for item in config.lr_factors]
    rules += [(pattern, 0.0) for pattern in config.freeze]
    leaves, tree = jax.tree_util.tree_flatten_with_path(params)
    paths = ["/".join(key.key for key in path) for path, _ in leaves]
    factors = [1.0] * len(paths)
    for pattern, factor in rules:
        fitting = [i for i, path in enumerate(paths) if fnmatch.fnmatchcase(path, pattern)]
        if not fitting:
            near = difflib.get_close_matches(pattern, paths, n=1, cutoff=0.3) or paths[:1]
            raise UserError(f"config.optimizer: no parameter fits the pattern {pattern!r}; one is called {near[0]!r}")
        for i in fitting:
            factors[i] = factor
    return jax.tree.unflatten(tree, factors)


def decayed(params: Any, exclude: tuple[str, ...]) -> Any:
    """Which parameters weight decay touches.

    Args:
      params: the parameter tree.
      exclude: of "norm" (scales and shifts of batch norm) and "bias" (of convolutions and classifiers).

    Returns:
      A tree of bool like params.
    """

    def touches(path: tuple[jax.tree_util.DictKey, ...], _: Any) -> bool:
        return kind_of(tuple(key.key for key in path)) not in exclude

    return jax.tree_util.tree_map_with_path(touches, params)


def kind_of(path: tuple[str, ...]) -> str:
    """What a parameter is: "kernel", "bias" (of a convolution or classifier), or "norm" (scale or shift of batch norm).

    Args:
      path: its names, from the root, such as ("conv1", "bn", "scale"); or a kind, which is that of several as one.
    """
    return "norm" if "bn" in path else path[-1]
