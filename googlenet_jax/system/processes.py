"""How a process finds the others of its training."""

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from typing import Any

from googlenet_jax.errors import UserError
from googlenet_jax.system import heartbeat
from googlenet_jax.system.timers import after

_WAIT = 300  # seconds for the others, unless GOOGLENET_JAX_WAIT says otherwise
_QUIET = 10  # seconds that all but the first process wait before they say so
_JAX = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
# What JAX needs of Slurm to find the others.
_SLURM = ("SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID")
_STEP = "SLURM_STEP_NUM_TASKS"


def join_processes() -> None:
    """Joins the other processes of a training, if the environment tells of any.

    These are JAX_COORDINATOR_ADDRESS (host:port of the first), JAX_NUM_PROCESSES and JAX_PROCESS_ID, or what Slurm sets
    for a step of several tasks. To be called before JAX's first import. It says for whom it waits; if they do not come
    in time, the process ends with one line and status 2. From then on they are watched, see `heartbeat.watch`.

    Raises:
      UserError: if the environment tells of others, but not enough to find them.
    """
    if any(name in os.environ for name in _JAX):
        address, count, number = _jax_variables()
        arguments = {"coordinator_address": address, "num_processes": count, "process_id": number}
        _initialize(count, number, f"at {address}", _JAX[0], arguments)
    elif (tasks := os.environ.get(_STEP, "")) not in ("", "1"):
        if not (_numbers(tasks) and all(name in os.environ for name in _SLURM) and _numbers(*_slurm_numbers())):
            missing = [name for name in _SLURM if name not in os.environ]
            lacks = f"{', '.join(missing)} not set" if missing else "its numbers are none"
            raise UserError(f"{_STEP}={tasks} tells of other processes, but {lacks}: run it by srun, or unset {_STEP}")
        total, own = _slurm_numbers()
        _initialize(int(total), int(own), "as Slurm says", _STEP, {})


def _jax_variables() -> tuple[str, int, int]:
    address, *numbers = (os.environ.get(name, "") for name in _JAX)
    if not _numbers(*numbers, address.rpartition(":")[2]) or not address.rpartition(":")[0]:
        raise UserError(f"{_JAX[0]}=host:port needs {_JAX[1]} and {_JAX[2]}, whole numbers; or unset all three")
    count, number = map(int, numbers)
    if number >= count:
        raise UserError(f"{_JAX[2]}={number} is none of {_JAX[1]}={count} processes: they are counted from 0")
    return address, count, number


def _slurm_numbers() -> tuple[str, str]:
    return os.environ["SLURM_NTASKS"], os.environ["SLURM_PROCID"]


def _numbers(*texts: str) -> bool:
    return all(text.isdecimal() for text in texts)


def _initialize(count: int, number: int, where: str, variable: str, arguments: dict[str, Any]) -> None:
    # JAX's C++ writes a page about a process that is gone, of which `heartbeat` tells in a line. 1 is JAX's default.
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL", "1") == "1":
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "4"
    import jax

    seconds = heartbeat.seconds("GOOGLENET_JAX_WAIT", _WAIT)
    waiting = (
        f"process {number} of {count} ({where}) waits up to {seconds} s for the others; "
        f"if there are none: unset {variable}"
    )
    late = (
        f"error: process {number} of {count} ({where}) waited {seconds} s for the others in vain: see that all {count} "
        f"run and reach each other, or unset {variable} to train alone"
    )
    with _spoken(waiting, 0 if number == 0 else _QUIET), _ended(late, seconds):
        # JAX's own limit ends the first process with a C++ stack trace: ours comes before it.
        jax.distributed.initialize(
            **arguments,
            initialization_timeout=seconds + 60,
            heartbeat_timeout_seconds=2 * heartbeat.silence(),  # half of which may have passed when one is gone
        )
    if _has_all_it_sees():
        for platform in ("cuda", "rocm"):
            jax.config.update(f"jax_{platform}_visible_devices", "all")
    heartbeat.watch(number, count)


def _has_all_it_sees() -> bool:
    """Whether all GPUs that this process sees are its own, where JAX gives a task of Slurm the one of its number.

    So it is if no other task runs on its node, or if Slurm shows each task only its share.
    """
    if "JAX_LOCAL_DEVICE_IDS" in os.environ:
        return False
    tasks: list[int] = []  # on each node: "2(x3),1" are 2, 2, 2 and 1
    for part in os.environ.get("SLURM_STEP_TASKS_PER_NODE", "").split(","):
        if found := re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part):
            tasks += [int(found[1])] * int(found[2] or 1)
    node, seen = os.environ.get("SLURM_NODEID", ""), os.environ.get("CUDA_VISIBLE_DEVICES", "")
    if not node.isdecimal() or int(node) >= len(tasks):
        return False
    here = tasks[int(node)]
    return here == 1 or (seen != "" and len(seen.split(",")) < here)


@contextlib.contextmanager
def _spoken(text: str, seconds: float) -> Iterator[None]:
    """Prints a line, unless the context ends sooner."""
    timer = after(seconds, lambda: print(text, file=sys.stderr, flush=True))
    try:
        yield
    finally:
        timer.cancel()


@contextlib.contextmanager
def _ended(text: str, seconds: float) -> Iterator[None]:
    """Ends the process with a line and status 2, unless the context ends sooner."""

    def end() -> None:
        print(text, file=sys.stderr, flush=True)
        os._exit(2)  # the main thread waits in C++, where no exception reaches it

    timer = after(seconds, end)
    try:
        yield
    finally:
        timer.cancel()
