"""How images are loaded ahead: in parts of which size, by how many threads or processes, within the memory there is.

What a loading process has loaded waits in shared memory, of which a container may have little: Docker gives it 64 MB.
Writing to a full /dev/shm kills a process without a word (SIGBUS), so its room is looked at before they start.
"""

import logging
import os
from typing import NamedTuple

import ml_collections

from googlenet_jax.errors import UserError
from googlenet_jax.system.runtime import cpu_cores

log = logging.getLogger(__name__)
_PART = range(8, 33)  # images: so few that the first batch comes soon, so many that handing them over costs little
_MOST_BYTES_IN_FLIGHT = 4 << 30
_SHARED_MEMORY = "/dev/shm"
_PAGE, _MIB = 4096, 1 << 20
# Parts in shared memory besides those that wait: the one that is copied into a batch, and those that are being removed.
_IN_HAND = 3
_FEW = 2  # parts that wait of each process, with which it is not held up much
_warned: set[str] = set()


class Plan(NamedTuple):
    """How a process's share of batches is loaded ahead.

    Attributes:
      size: images a part, a divisor of the share.
      threads: that load, in each process that does.
      ahead: parts that threads keep ready.
      workers: processes that load; 0: threads of this one.
      buffer: parts that each of them keeps ready in shared memory.
    """

    size: int
    threads: int
    ahead: int
    workers: int
    buffer: int

    def shared_bytes(self, image_bytes: int) -> int:
        """Shared memory that its processes fill.

        Grain lets `buffer` parts wait with each process and as many in a thread of this one; either has one more at
        hand.

        Args:
          image_bytes: of one image's arrays.

        Returns:
          Bytes.
        """
        return (2 * self.workers * (self.buffer + 1) + _IN_HAND) * _part_bytes(self.size, image_bytes)


def make_plan(share: int, image_bytes: int, config: ml_collections.ConfigDict, what: str, unit: int = 1) -> Plan:
    """How to load batches.

    Where shared memory is short, parts are smaller and fewer of them wait. Only half of what is free is counted on, as
    a training and its evaluation load at the same time. Without room for processes that load for an evaluation, threads
    do it: for its sake nothing of a training is lost.

    Args:
      share: images of each batch that this process loads.
      image_bytes: of one image's arrays.
      config: the `dataset` group.
      what: the images are for: "training" or "validation".
      unit: images that are best loaded together; parts have a multiple of them where they can.

    Returns:
      A `Plan`.

    Raises:
      UserError: if there is no room for the processes that a training shall load with.
    """
    workers = config.num_workers
    threads = config.num_threads or max(cpu_cores() // max(workers, 1), 1)
    sizes = [size for size in _PART if share % size == 0]
    size = max(sizes, key=lambda size: (size % unit == 0, size), default=share)
    best = _plan(share, size, image_bytes, threads, workers)
    free = free_shared_memory() if workers else None
    if free is None:
        return best
    smaller = [less for less in range(size - 1, 0, -1) if share % less == 0]
    smaller.sort(key=lambda less: less % unit > 0)
    plans = [best, *(_plan(share, less, image_bytes, threads, workers) for less in smaller)]
    plans = [_within(plan, image_bytes, free // 2) for plan in plans]
    found = next((plan for plan in plans if plan.buffer >= min(_FEW, best.buffer)), plans[-1])
    enough = _rounded(2 * best.shared_bytes(image_bytes))
    given = f"{_SHARED_MEMORY} has {free // _MIB} MiB free: docker run --shm-size={enough} (or --ipc=host)"
    if found.buffer > 0:
        if found != best:
            waiting = f"{found.size * found.buffer} {what} images each, not {best.size * best.buffer}"
            _warn(what, f"{given} lets the {workers} processes that load keep more ready than {waiting}")
        return found
    least = 2 * plans[-1]._replace(buffer=1).shared_bytes(image_bytes)
    problem = (
        f"config.dataset.num_workers={workers} needs {least // _MIB + 1} MiB of shared memory or more, {given} gives a "
        "container more; config.dataset.num_workers=0 needs none"
    )
    if what == "training":
        raise UserError(problem)
    _warn(what, f"{problem}; meanwhile threads load {what} images")
    return _plan(share, size, image_bytes, config.num_threads or cpu_cores(), 0)


def free_shared_memory() -> int | None:
    """Bytes that are free; None where that cannot be told, as where shared memory is no file system."""
    try:
        status = os.statvfs(_SHARED_MEMORY)
    except OSError:
        return None
    return status.f_bavail * status.f_frsize


def _plan(share: int, size: int, image_bytes: int, threads: int, workers: int) -> Plan:
    """With parts of this size, where there is room."""
    in_flight = _MOST_BYTES_IN_FLIGHT // (image_bytes * size)
    threads = min(threads, max(in_flight, 2))
    ahead = max(min(2 * share // size, in_flight), threads + 2)  # two batches, within bounds
    return Plan(size, threads, ahead, workers, ahead)


def _within(plan: Plan, image_bytes: int, most: int) -> Plan:
    """With as large a buffer as fits into so many bytes, 0 or less if none does."""
    fitting = (most // _part_bytes(plan.size, image_bytes) - _IN_HAND) // (2 * plan.workers) - 1
    return plan._replace(buffer=min(plan.buffer, fitting))


def _part_bytes(size: int, image_bytes: int) -> int:
    """Of a part in shared memory: its images, and a page each for its labels, its weights and what is rounded up."""
    return size * image_bytes + 3 * _PAGE


def _rounded(count: int) -> str:
    """Bytes as `docker run --shm-size` takes them, rounded up to a power of two."""
    mib = 1 << (max(-(-count // _MIB), 64) - 1).bit_length()
    return f"{mib}m" if mib < 1024 else f"{mib // 1024}g"


def _warn(what: str, message: str) -> None:
    """Once, not at each evaluation."""
    if what not in _warned:
        _warned.add(what)
        log.warning("%s", message)
