"""The one place where the backend decides how an operation is written."""

from collections.abc import Callable
from typing import Any

import jax
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


@jax.jit  # as all that is written two ways and used often: what was traced once is not traced again
def barrier(x: Any) -> Any:
    """The array itself; on GPUs and TPUs a barrier keeps XLA from working it out anew for each who reads it."""
    return by_backend(x, cpu=lambda x: x, others=lax.optimization_barrier)


@jax.custom_vjp
def meeting(x: Any) -> Any:
    """The array itself, whose gradient comes from several sides: a GPU adds it up once, not for each who reads it."""
    return x


def _backward(_: None, dy: Any) -> tuple[Any]:
    return (barrier(dy),)


meeting.defvjp(lambda x: (x, None), _backward)
