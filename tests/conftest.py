"""Eight virtual CPU devices for all tests, and a small configuration that they share, so that steps compile once."""

import fcntl
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.request import Request, urlopen

ROOT = Path(__file__).parents[1]

# Compiling is most of the tests' work: less optimised code compiles in half the time and computes the same.
os.environ["XLA_FLAGS"] = " ".join(
    [
        os.environ.get("XLA_FLAGS", ""),
        "--xla_force_host_platform_device_count=8",
        "--xla_backend_optimization_level=0",
    ]
)
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".pytest_cache" / "jax"))
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ.setdefault("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")  # programs need not start themselves again for it
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import jax
import ml_collections
import numpy as np
import pytest
from jax import lax
from PIL import Image

from configs.digits import get_config
from googlenet_jax import errors
from googlenet_jax.cli import launch, main
from googlenet_jax.system import runtime

runtime.collect_garbage_rarely()
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
jax.config.update("jax_numpy_rank_promotion", "raise")  # arrays of another rank are broadcast in so many words

SMALL = {
    "batch_size": 16,
    "num_epochs": 2.0,
    "num_devices": 2,
    "dataset.name": "synthetic",
    "dataset.synthetic_images": 72,
    "dataset.synthetic_classes": 4,
    "dataset.image_size": 32,
    "model.blocks": ("3a",),
    "model.aux_heads": False,
    "augment.crop": "shift",
    "augment.flip": True,
    "optimizer.learning_rate": 0.02,
    "optimizer.ema_decay": 0.9,
    "log_every_epochs": 0.5,
    "checkpoint.every_epochs": 1.0,
}


def small_config(**changes: object) -> ml_collections.ConfigDict:
    """configs/digits.py with `SMALL`'s changes; double underscores stand for dots: `optimizer__name="adamw"`."""
    config = get_config()
    config.update_from_flattened_dict(SMALL | {name.replace("__", "."): value for name, value in changes.items()})
    return config


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs a trained network, or runs a whole program, is slow."""
    for item in items:
        if {"finished_run", "run_command"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """A folder dataset: 2 classes, 6 training and 3 validation images each, of unequal size, in two formats."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 3)):
        for number, label in enumerate(("cat", "dog")):
            directory = tmp_path / "images" / split / label
            directory.mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(100 * number, 100 * number + 100, (40 + i, 48, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(directory / f"{i}.{'png' if i % 2 else 'jpg'}")
    return tmp_path / "images"


@pytest.fixture
def run_command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `python ARGUMENTS...` in the repository as a user would."""

    def run(*arguments: object, timeout: float = 240, **kwargs: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=timeout, **kwargs)  # type: ignore[call-overload]

    return run


@pytest.fixture
def log_as_before() -> Iterator[None]:
    """Commands that run in this process set up the log for good."""
    log = logging.getLogger("googlenet_jax")
    before = log.handlers[:], log.level, log.propagate
    yield
    log.handlers[:], log.level, log.propagate = before


@pytest.fixture
def in_process(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, log_as_before: None
) -> Callable[[Callable[[], int | None]], tuple[int, str, str]]:
    """Runs a command in this process, in the repository: (status, standard output, standard error)."""
    monkeypatch.chdir(ROOT)

    def run(command: Callable[[], int | None]) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            status = errors.run_command(command)
        except SystemExit as exit:  # of the parser
            status = int(exit.code or 0)
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def told(in_process: Callable[..., Any]) -> Callable[..., tuple[int, list[str]]]:
    """What launch.py says of a mistake that it finds before JAX begins: its status, and lines on standard error."""

    def run(*arguments: object) -> tuple[int, list[str]]:
        command = [*map(str, arguments)]
        status, _, said = in_process(lambda: launch._run(command, ROOT / "configs" / "digits.py"))
        return status, [line for line in said.splitlines() if line]

    return run


@pytest.fixture
def googlenet(in_process: Callable[..., Any]) -> Callable[..., tuple[int, str, str]]:
    """The googlenet command in this process, as `in_process`."""

    def run(*arguments: object) -> Any:
        def command() -> int | None:
            flags = main.make_parser().parse_args([*map(str, arguments)])
            return flags.run(flags)

        return in_process(command)

    return run


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the small configuration that nobody interrupted; what it printed is in `output.txt` beside it.

    The first worker that asks trains it, the others wait; no test changes it.
    """
    base = tmp_path_factory.getbasetemp()
    directory = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "finished"
    directory.mkdir(exist_ok=True)
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        output = directory / "output.txt"
        if not output.exists():
            command = [sys.executable, *map(str, small(directory / "run"))]
            result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
            assert result.returncode == 0, result.stderr
            output.write_text(result.stdout)
    return directory / "run"


def small(workdir: Path, **changes: object) -> list[object]:
    """Arguments of launch.py for the shared small configuration."""
    config = SMALL | {name.replace("__", "."): value for name, value in changes.items()}
    overrides = [f"--config.{name}={value}" for name, value in config.items()]
    return ["launch.py", "--config", "configs/digits.py", "--workdir", workdir, *overrides]


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Switches between machines: each has a cache of its own. Memory is emptied."""

    def machine(name: str) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name / "cache"))
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / name / "state"))

    machine("first")
    from fsspec.implementations.memory import MemoryFileSystem

    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    return machine


@pytest.fixture(scope="module")
def s3() -> Iterator[None]:
    """An S3 server on this machine; bucket `bucket` exists, and is empty."""
    import s3fs
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    settings = {"AWS_ENDPOINT_URL": address, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    with mock.patch.dict(os.environ, settings):
        urlopen(Request(f"{address}/moto-api/reset", method="POST")).close()  # of what other modules left
        s3fs.S3FileSystem.clear_instance_cache()
        s3fs.S3FileSystem().mkdir("bucket")
        yield
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


@pytest.fixture
def as_on(monkeypatch):
    """Makes operations be written as for a backend, "cpu" or "others" (`models/backend.py`); both run here."""

    def choose(backend):
        def dependent(*args, cpu, default):
            return (cpu if backend == "cpu" else default)(*args)

        jax.clear_caches()  # of what was traced the other way
        monkeypatch.setattr(lax, "platform_dependent", dependent)

    yield choose
    jax.clear_caches()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One Chromium for all of a module's tests, see `browsers.open_browser`."""
    from browsers import open_browser

    driver = open_browser()
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def running() -> Iterator[Any]:
    """Starts servers that end with the module's tests, see `serving.Running`."""
    from serving import Running

    starter = Running()
    yield starter
    starter.end()


@pytest.fixture(scope="module")
def served(running: Any) -> Any:
    """A server of one network, `small`, see `serving.Client`."""
    from serving import make_net

    return running({"small": make_net()})
