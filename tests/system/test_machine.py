"""What the machine has: devices of several processes, free memory."""

from types import SimpleNamespace

import jax
import pytest

from googlenet_jax.errors import UserError
from googlenet_jax.system import runtime
from googlenet_jax.system.parallel import select_devices


def test_processes_with_unequal_devices_are_refused(monkeypatch):
    devices = [SimpleNamespace(platform="gpu", process_index=index) for index in (0, 0, 1)]
    monkeypatch.setattr(jax, "devices", lambda: devices)
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(UserError, match=r"\(2 on process 0, 1 on process 1\)"):
        select_devices(None, 96)
    del devices[0]
    assert select_devices(None, 96) == devices


@pytest.mark.parametrize(
    ("groups", "files", "free"),
    [
        ("", {}, 4096),
        ("0::/", {"memory.max": 3000, "memory.current": 2900, "memory.stat": "inactive_file 800"}, 900),
        ("0::/", {"memory.max": 3000, "memory.current": 2900}, 100),
        ("0::/", {"memory.max": "max", "memory.current": 2900}, 4096),
        ("0::/", {"memory.max": 3000, "memory.current": 3100}, 0),
        ("0::/slurm/job", {"slurm/job/memory.max": 3000, "slurm/job/memory.current": 1000}, 2000),
        ("0::/slurm/job", {"slurm/memory.max": 3000, "slurm/memory.current": 1500}, 1500),
        ("0::/not/mounted", {"memory.max": 3000, "memory.current": 1500}, 1500),
        (
            "5:cpu:/\n4:memory:/job\n0::/",
            {
                "memory/job/memory.limit_in_bytes": 3000,
                "memory/job/memory.usage_in_bytes": 1000,
                "memory/job/memory.stat": "inactive_file 1\ntotal_inactive_file 500",
                "memory/memory.limit_in_bytes": 1 << 62,
                "memory/memory.usage_in_bytes": 1000,
            },
            2500,
        ),
    ],
)
def test_free_memory_is_what_is_left_with_the_kernels_copies_of_files(monkeypatch, tmp_path, groups, files, free):
    there = {"proc/meminfo": "MemAvailable:  4 kB"} | ({"proc/self/cgroup": groups} if groups else {})
    there |= {f"cgroup/{name}": text for name, text in files.items()}
    for name, text in there.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    monkeypatch.setattr(runtime, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(runtime, "_GROUPS", tmp_path / "cgroup")
    assert runtime.free_memory() == free


def test_where_nothing_says_what_is_free_it_is_all(monkeypatch):
    monkeypatch.setattr(runtime, "_number", lambda *_: None)
    assert runtime.free_memory() > 2**28
