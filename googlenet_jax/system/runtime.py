"""How a process meets the machine: a CPU's cores as devices, memory, the compile cache."""

import gc
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from googlenet_jax.system.files import cache_directory

_UNWARNED = "ignore:resource_tracker"
_PROC, _GROUPS = Path("/proc"), Path("/sys/fs/cgroup")


def cpu_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_flags() -> set[str]:
    """What the processor can do, as Linux names it, such as "avx2"; empty where it does not say."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", info.read_text(), re.MULTILINE) if info.is_file() else None
    return set(found[1].split()) if found else set()


def free_memory() -> int:
    """Bytes that this process may still take: what the machine has left, or one of its control groups if that is less.

    What the kernel keeps of files that were read counts as free, as it gives way. Where the system does not say what is
    free (macOS), it is all the memory there is.
    """
    found = _number(_PROC / "meminfo", r"MemAvailable:\s*(\d+)")
    free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if found is None else found << 10
    for group, (limit, usage, files) in _memory_groups():
        most, used = _number(group / limit, r"^(\d+)"), _number(group / usage, r"^(\d+)")
        if most is not None and used is not None:
            free = min(free, most - used + (_number(group / "memory.stat", rf"(?m)^{files} (\d+)") or 0))
    return max(free, 0)


def _memory_groups() -> Iterator[tuple[Path, tuple[str, str, str]]]:
    """This process's control groups of memory, up to the root, each with what it calls limit, use and inactive files.

    Slurm and systemd limit a group below the root, which a container sees as the root.
    """
    told = _PROC / "self" / "cgroup"
    for line in told.read_text().splitlines() if told.is_file() else ():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            top, names = _GROUPS, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            top, names = _GROUPS / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        place = top / path.strip("/")
        yield from ((group, names) for group in (place, *place.parents) if group.is_relative_to(top))


def _number(file: Path, pattern: str) -> int | None:
    found = re.search(pattern, file.read_text()) if file.is_file() else None
    return int(found[1]) if found else None


def restart_with_large_pages() -> None:
    """Starts this program again with glibc asking for large memory pages, which makes a training step on a CPU faster.

    glibc reads the setting when a process starts, hence again. Nothing happens where it is set already, or not Linux.
    """
    if sys.platform != "linux" or "GLIBC_TUNABLES" in os.environ:
        return
    os.environ["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1"
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def silence_resource_tracker() -> None:
    """Python's helper that clears up shared memory does so without a warning, if it is yet to be started."""
    given = os.environ.get("PYTHONWARNINGS", "")
    if _UNWARNED not in given.split(","):
        os.environ["PYTHONWARNINGS"] = f"{given},{_UNWARNED}" if given else _UNWARNED


def collect_garbage_rarely() -> None:
    """Python looks for cycles when there are 10,000 more objects, not 700 or 2,000 as its versions do.

    Tracing a network makes many objects that stay; looking through them again and again was a fifth of its time.
    """
    gc.set_threshold(10_000, 20, 20)


def configure_jax() -> None:
    """Sets JAX up before its first use: one CPU device a core, unless XLA_FLAGS says otherwise, and a compile cache.

    The cache lies in $JAX_COMPILATION_CACHE_DIR, or else in `files.cache_directory()`. Python collects garbage rarely
    from then on.
    """
    collect_garbage_rarely()
    import jax

    asked = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if not asked and "JAX_NUM_CPU_DEVICES" not in os.environ:
        jax.config.update("jax_num_cpu_devices", cpu_cores())
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        jax.config.update("jax_compilation_cache_dir", str(cache_directory()))
