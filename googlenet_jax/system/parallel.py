"""Devices, and the one place where a step becomes parallel."""

import collections
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from googlenet_jax.errors import UserError

AXIS = "batch"
_MIN_IMAGES_PER_CPU_DEVICE = 8


def select_devices(num_devices: int | None, batch_size: int, accumulate_steps: int = 1) -> list[jax.Device]:
    """The devices to run on.

    Args:
      num_devices: how many over all processes; None: all there are. On a CPU, whose devices are merely its cores,
        None takes as many as divide the batch into parts that are worth a core.
      batch_size: global images a step.
      accumulate_steps: parts that a device's share is computed in.

    Returns:
      The first `num_devices` devices.

    Raises:
      UserError: when there are not so many, processes have unequal numbers of them, or the batch does not divide among
        them.
    """
    there = jax.devices()
    alone = jax.process_count() == 1
    if num_devices is None:
        num_devices = len(there)
        if there[0].platform == "cpu" and alone:
            sizes = range(2, len(there) + 1)
            num_devices = max([1, *(n for n in sizes if _is_worthwhile(batch_size, n, accumulate_steps))])
    if num_devices > len(there):
        way_out = f"ask for at most {len(there)}"
        if there[0].platform == "cpu":
            way_out += f", or pretend with XLA_FLAGS=--xla_force_host_platform_device_count={num_devices}"
        raise UserError(
            f"config.num_devices={num_devices}, but there are {len(there)} {there[0].platform} devices: {way_out}"
        )
    if num_devices < len(there) and not alone:
        raise UserError(
            f"config.num_devices={num_devices}: {jax.process_count()} processes train on all their {len(there)} devices"
        )
    shares = collections.Counter(device.process_index for device in there)
    if len(set(shares.values())) > 1:
        found = ", ".join(f"{count} on process {process}" for process, count in sorted(shares.items()))
        raise UserError(f"the processes have different numbers of devices ({found}): give each as many")
    if batch_size % (num_devices * accumulate_steps):
        parts = f"{num_devices} devices" + (f" x {accumulate_steps} accumulated parts" if accumulate_steps > 1 else "")
        unit = num_devices * accumulate_steps
        near = max(batch_size // unit, 1) * unit
        raise UserError(f"config.batch_size={batch_size} does not divide among {parts}: take {near} or {near + unit}")
    return there[:num_devices]


def _is_worthwhile(batch_size: int, devices: int, parts: int) -> bool:
    return batch_size % (devices * parts) == 0 and batch_size // (devices * parts) >= _MIN_IMAGES_PER_CPU_DEVICE


def parallel(
    step: Callable[..., Any],
    devices: Sequence[jax.Device],
    replicated: int,
    split: int,
    donate: int = 0,
    split_result: bool = False,
) -> Callable[..., Any]:
    """Runs one step on all devices: its first arguments are the same everywhere, the others are split.

    Args:
      step: uses the axis `AXIS` for what it exchanges; what it returns must be the same on every device, unless
        `split_result` stacks what each device has.
      devices: from `select_devices`.
      replicated: how many leading arguments are broadcast.
      split: how many arguments follow, shaped by `split_batch`.
      donate: how many leading arguments may be overwritten.

    Returns:
      The step as a function of the whole state and a split batch.
    """
    axes = (None,) * replicated + (0,) * split
    donated = tuple(range(donate))
    return jax.pmap(
        step, AXIS, in_axes=axes, out_axes=0 if split_result else None, devices=devices, donate_argnums=donated
    )


def replicate(tree: Any, devices: Sequence[jax.Device]) -> Any:
    """Puts a tree of arrays on every device, as `parallel` returns it."""
    return jax.device_put(tree, NamedSharding(Mesh(np.asarray(devices), (AXIS,)), PartitionSpec()))


def split_batch(batch: Any, devices: Sequence[jax.Device]) -> Any:
    """Shapes each array (n, ...) of this process's batch to (its devices, n / its devices, ...)."""
    local = sum(d.process_index == jax.process_index() for d in devices)
    return jax.tree.map(lambda a: a.reshape(local, a.shape[0] // local, *a.shape[1:]), batch)


def to_host(tree: Any) -> Any:
    """A copy of a replicated tree as numpy arrays that no later step overwrites."""
    return jax.tree.map(lambda a: np.array(a, copy=True), tree)


def sum_over_devices(tree: Any) -> Any:
    """The sum of what each device has, of all processes, from arrays (local devices, ...) to numpy arrays (...)."""
    mine = jax.tree.map(lambda a: np.asarray(a).sum(0), tree)
    if jax.process_count() == 1:
        return mine
    return jax.tree.map(lambda a: np.asarray(a).sum(0), multihost_utils.process_allgather(mine))
