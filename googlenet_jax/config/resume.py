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


def _reason(name: str, old: Any, new: Any, config: ml_collections.ConfigDict) -> str | None:
    """Why a field that may change may not change so; None if it may."""
    if name == "num_epochs" and new < old:
        return ", which may only grow"
    if name == "num_devices" and not config.model.sync_batch_norm:
        return ", by which model.sync_batch_norm=false trains otherwise"
    return None
