"""How a process meets the machine: a CPU's cores as devices, memory, the compile cache."""

import gc
import os
import re
import sys
from pathlib import Path

from googlenet_jax.system.files import cache_directory


def cpu_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_flags() -> set[str]:
    """What the processor can do, as Linux names it, such as "avx2"; empty where it does not say."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", info.read_text(), re.MULTILINE) if info.is_file() else None
    return set(found[1].split()) if found else set()


def free_memory() -> int:
    """Bytes that this process may still take: what the machine has left, or its control group if that is less."""
    free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    if (meminfo := Path("/proc/meminfo")).is_file():
        found = re.search(r"MemAvailable:\s*(\d+)", meminfo.read_text())
        free = int(found[1]) << 10 if found else free
    limit, used = (Path("/sys/fs/cgroup") / name for name in ("memory.max", "memory.current"))
    if limit.is_file() and (most := limit.read_text().strip()).isdecimal():
        free = min(free, int(most) - int(used.read_text()))
    return free


def restart_with_large_pages() -> None:
    """Starts this program again with glibc asking for large memory pages, which makes a training step on a CPU faster.

    glibc reads the setting when a process starts, hence again. Nothing happens where it is set already, or not Linux.
    """
    if sys.platform != "linux" or "GLIBC_TUNABLES" in os.environ:
        return
    os.environ["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1"
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


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
