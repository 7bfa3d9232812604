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
    ("numbers", "free"),
    [
        ({"meminfo": 4}, 4096),
        ({"meminfo": 4, "memory.max": 3000, "memory.current": 2900, "memory.stat": 800}, 900),
        ({"meminfo": 4, "memory.max": 3000, "memory.current": 2900}, 100),
        ({"meminfo": 4, "memory.current": 2900}, 4096),
    ],
)
def test_free_memory_is_what_is_left_with_the_kernels_copies_of_files(monkeypatch, numbers, free):
    monkeypatch.setattr(runtime, "_number", lambda file, _: numbers.get(file.name))
    assert runtime.free_memory() == free


def test_where_nothing_says_what_is_free_it_is_all(monkeypatch):
    monkeypatch.setattr(runtime, "_number", lambda *_: None)
    assert runtime.free_memory() > 2**28
