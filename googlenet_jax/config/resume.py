"""What of its configuration a run may go on with changed: what the mathematics of its past steps did not depend on."""

from typing import Any

import ml_collections

from googlenet_jax.config.fields import FIELDS


def refused(changes: dict[str, tuple[Any, Any]], config: ml_collections.ConfigDict) -> list[str]:
    """Those changes that a run cannot go on with.

    Args:
      changes: from `differences`, of the stored configuration and the one asked for.
      config: the one asked for.

    Returns:
      "field: old -> new" of each, with the reason where it is not plain.
    """
    found = []
    for name, (old, new) in changes.items():
        why = _reason(name, old, new, config) if FIELDS[name].resumable else ""
        if why is not None:
            found.append(f"{name}: {old} -> {new}{why}")
    return found


def left_to_start(config: ml_collections.ConfigDict) -> list[str]:
    """The fields of the input's normalisation that are left to the checkpoint which a training starts from."""
    if config.init_from is None:
        return []
    return [name for name in ("channel_order", "mean", "std") if config.dataset[name] is None]


def with_input_of(config: ml_collections.ConfigDict, theirs: Any) -> ml_collections.ConfigDict:
    """A configuration with another's input normalisation where it leaves that open, see `left_to_start`.

    Args:
      config: the whole configuration.
      theirs: has `channel_order`, `mean` and `std`.

    Returns:
      A copy, or the configuration itself if there is nothing to add.
    """
    if not (names := left_to_start(config)):
        return config
    config = config.copy_and_resolve_references()
    for name in names:
        config.dataset[name] = getattr(theirs, name)
    return config


def _reason(name: str, old: Any, new: Any, config: ml_collections.ConfigDict) -> str | None:
    """Why a field that may change may not change so; None if it may."""
    if name == "num_epochs" and new < old:
        return ", which may only grow"
    if name == "num_devices" and (setting := bound_to_devices(config)):
        return f", by which {setting} trains otherwise"
    return None


def bound_to_devices(config: ml_collections.ConfigDict) -> str | None:
    """The setting by which a training depends on the number of its devices, None if it does not.

    They share batch norm's statistics unless told otherwise, but each has parts of its own to accumulate over.
    """
    if not config.model.sync_batch_norm:
        return "model.sync_batch_norm=false"
    parts = config.optimizer.accumulate_steps
    return f"optimizer.accumulate_steps={parts}" if parts > 1 else None
