"""The one place where the backend decides how an operation is written."""

from collections.abc import Callable
from typing import Any

from jax import lax


def by_backend(*args: Any, cpu: Callable[..., Any], others: Callable[..., Any]) -> Any:
    """One of two ways to write the same mathematics, by the backend that the program is compiled for.

    XLA's CPU backend gains where an operation stands alone, a GPU where it melts into its neighbours. The program holds
    the way taken only; a program for several backends (`jax.export`) holds both.

    Args:
      args: arrays, what both ways take.
      cpu: the way on CPUs.
      others: the way on GPUs and TPUs.

    Returns:
      What the way gives; both give the same shapes and types.
    """
    return lax.platform_dependent(*args, cpu=cpu, default=others)
