"""Batch norm folded into the convolutions before it: the network that inference runs."""

import dataclasses
from typing import Any

import numpy as np

from googlenet_jax.models.googlenet import GoogLeNet


def fold(model: GoogLeNet, variables: Any) -> tuple[GoogLeNet, dict[str, Any]]:
    """The same function in inference without batch norm: a convolution's kernel is scaled, and a bias takes the shift.

    Args:
      model: the network.
      variables: its variables, arrays.

    Returns:
      The network and float32 numpy variables without "batch_stats"; what has no batch norm comes back as it was.
    """
    if model.variant.norm != "batchnorm":
        return model, variables

    def folded(params: dict[str, Any], stats: dict[str, Any]) -> dict[str, Any]:
        if "bn" not in params:
            return {
                name: folded(part, stats.get(name, {})) if isinstance(part, dict) else np.asarray(part, np.float32)
                for name, part in params.items()
            }
        # In float64, so that what is rounded is rounded once.
        scale, shift = (np.asarray(params["bn"][name], np.float64) for name in ("scale", "bias"))
        mean, var = (np.asarray(stats["bn"][name], np.float64) for name in ("mean", "var"))
        factor = scale / np.sqrt(var + model.variant.bn_epsilon)
        kernel = np.asarray(params["kernel"], np.float64) * factor
        return {"kernel": kernel.astype(np.float32), "bias": (shift - mean * factor).astype(np.float32)}

    variant = dataclasses.replace(model.variant, norm="none", conv_bias=True)
    return model.clone(variant=variant), {"params": folded(variables["params"], variables.get("batch_stats", {}))}
