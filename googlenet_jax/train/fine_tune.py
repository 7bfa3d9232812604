"""Starting a training from another network's variables."""

import logging
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from googlenet_jax.data.classes import nameless, places
from googlenet_jax.data.preprocess import Preprocess
from googlenet_jax.errors import UserError
from googlenet_jax.net import Net, load
from googlenet_jax.train.state import TrainState

log = logging.getLogger(__name__)
_INPUT = ("channel_order", "mean", "std")


def input_of(path: str) -> Preprocess:
    """How the network of `config.init_from` wants its input; raises `UserError` if there is none."""
    return _network(path).preprocess


def initialize(
    state: TrainState, config: ml_collections.ConfigDict, preprocess: Preprocess, labels: Sequence[str]
) -> TrainState:
    """A fresh state with the variables of `config.init_from`, as far as they fit; the optimizer starts anew.

    Classifiers for other classes by number or name, and auxiliary heads that the other network lacks, stay as they are;
    those for the same classes in another order are put in this one.

    Args:
      state: at step 0.
      config: the whole configuration.
      preprocess: of this training.
      labels: class names of this network's outputs.

    Returns:
      The state to start from.

    Raises:
      UserError: if there is no checkpoint there, or its network is of another family or sees its input otherwise.
    """
    path = config.init_from
    other = _network(path)
    family = other.config.model.variant
    if family != config.model.variant:
        raise UserError(
            f"config.init_from={path} is a network of the variant {family!r}, not {config.model.variant!r}: "
            f"set config.model.variant={family}"
        )
    for name in _INPUT:
        want, have = getattr(other.preprocess, name), getattr(preprocess, name)
        if want != have:
            raise UserError(
                f"config.init_from={path} was trained with {name} {want}, not {have}: leave config.dataset.{name} unset"
            )
    found = {_name(p): leaf for p, leaf in jax.tree_util.tree_leaves_with_path(other.variables)}
    anew = []
    columns = places(labels, other.labels)
    told = not nameless(labels) and not nameless(other.labels)

    def take(path_: Any, leaf: jax.Array) -> Any:
        name = _name(path_)
        known, of_classes = name in found, "classifier/" in name
        alike = known and found[name].shape == leaf.shape
        if alike and not of_classes:
            return found[name]
        if alike and None not in columns:
            return found[name][..., np.asarray(columns)]
        if alike and not told:
            return found[name]
        if known and not of_classes:
            raise UserError(f"config.init_from={path}: {name} has shape {found[name].shape}, not {leaf.shape}")
        if name.endswith("kernel"):
            was = f" ({found[name].shape[-1]} -> {leaf.shape[-1]} classes)" if known else ""
            anew.append(name.removeprefix("params/").removesuffix("/kernel") + (" (other classes)" if alike else was))
        return leaf

    taken = jax.tree_util.tree_map_with_path(take, state.variables)
    log.info(
        "fine-tuning from %s: its variables, a new optimizer%s",
        path,
        f"; made anew: {', '.join(anew)}" if anew else "",
    )
    # A copy: the train step may overwrite both.
    return state.replace(variables=taken, ema=None if state.ema is None else jax.tree.map(jnp.copy, taken))


def _network(path: str) -> Net:
    network = load(path)
    if not isinstance(network, Net):
        raise UserError(f"config.init_from={path} can be used, but not trained: give the checkpoint it was made from")
    return network


def _name(path: Any) -> str:
    return "/".join(key.key for key in path)
