"""The servers that `serving.py` measures: how each is started, what it takes of the machine, how it is stopped."""

import contextlib
import dataclasses
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

_PEERS = Path(__file__).parent / "serving_peers"
_ROOT = Path(__file__).parents[1]
_PAGE = os.sysconf("SC_PAGE_SIZE")
NAME = "bench"  # of our model


@dataclasses.dataclass(frozen=True)
class Server:
    """How to start a server.

    Attributes:
      name: of the server and its runtime.
      command: that starts it, without the port.
      path: that takes images.
      ready: path that answers 200 once it can.
      modules: that its Python must have.
    """

    name: str
    command: tuple[str, ...]
    path: str
    ready: str
    modules: tuple[str, ...] = ()

    @property
    def ours(self) -> bool:
        """Whether it is `googlenet serve`."""
        return self.name.startswith("ours")

    @contextlib.contextmanager
    def running(self, environment: dict[str, str] | None = None) -> Iterator["Running"]:
        """Starts it and waits until it is ready; stops it at the end, with all processes that it started.

        Args:
          environment: variables to add.

        Yields:
          The running server.

        Raises:
          RuntimeError: if it is not ready within three minutes.
        """
        port = 0 if self.ours else free_port()
        with tempfile.TemporaryFile("w+") as log:
            start = time.monotonic()
            process = subprocess.Popen(
                [*self.command, "--port", str(port)],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | {"PYTHONPATH": str(_ROOT)} | (environment or {}),
                start_new_session=True,
            )
            running = Running(process, port)
            try:
                while not (running.port and get(running.port, self.ready) == 200):
                    if process.poll() is not None or time.monotonic() > start + 180:
                        log.seek(0)
                        raise RuntimeError(f"{self.name} does not start:\n{log.read()[-2000:]}")
                    if not running.port:
                        running.port = printed_port(log.fileno())
                    time.sleep(0.02)
                running.seconds = time.monotonic() - start
                yield running
            finally:
                running.stop()


@dataclasses.dataclass
class Running:
    """A started server.

    Attributes:
      process: the first of its processes, which leads a session of its own.
      port: that it listens at, 0 until that is known.
      seconds: from its start until it was ready.
    """

    process: subprocess.Popen[bytes]
    port: int
    seconds: float = 0

    def processes(self) -> list[tuple[int, list[str]]]:
        """Number and /proc/stat fields, from the state on, of each process of its session."""
        found = []
        for place in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = place.read_text().rpartition(")")[2].split()
                if int(fields[3]) == self.process.pid and fields[0] != "Z":
                    found.append((int(place.parent.name), fields))
        return found

    def memory(self) -> int:
        """Bytes in memory, summed over its processes (pages that they share count in each)."""
        return sum(int(fields[21]) * _PAGE for _, fields in self.processes())

    def stop(self) -> None:
        """Ends all its processes."""
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        for number, _ in self.processes():  # LitServe's workers outlive it
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        self.process.wait()


class MemoryLog:
    """Notes a running server's memory twice a second while it is entered.

    Args:
      running: the server.
    """

    def __init__(self, running: Running):
        self.running = running
        self.samples: list[tuple[float, int]] = []
        self.done = Event()
        self.thread = Thread(target=self._note)

    def __enter__(self) -> "MemoryLog":
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.done.set()
        self.thread.join()

    def _note(self) -> None:
        while True:
            self.samples.append((time.monotonic(), self.running.memory()))
            if self.done.wait(0.5):
                return

    def at(self, when: float) -> int:
        """Bytes at the sample nearest to a time."""
        return min(self.samples, key=lambda sample: abs(sample[0] - when))[1]


def servers(checkpoint: str, weights: dict[str, str], peers_python: str, options: list[str]) -> list[Server]:
    """All that there are.

    Args:
      checkpoint: for ours.
      weights: exported files for the peers by runtime.
      peers_python: the interpreter that has the peers' packages.
      options: more of `googlenet serve`.

    Returns:
      Ours, then the peers.
    """
    serve = (sys.executable, "-m", "googlenet_jax.cli", "serve", "--checkpoint", f"{NAME}={checkpoint}", *options)
    all_of_them = [
        Server(f"ours-{backend}", (*serve, "--backend", backend), "/api?format=json", "/health/ready")
        for backend in ("jax", "onnxruntime")
    ]
    for name, file, ready, modules, runtimes in (
        ("litserve", "litserve_server.py", "/health", ("litserve",), ("onnxruntime", "torch")),
        ("fastapi", "fastapi_server.py", "/health", ("fastapi", "uvicorn", "multipart"), ("torch",)),
        ("bentoml", "bentoml_server.py", "/readyz", ("bentoml",), ("onnxruntime",)),
        ("one", "one_at_a_time.py", "/", (), ("onnxruntime", "torch")),
    ):
        for runtime in runtimes:
            command = (peers_python, str(_PEERS / file), "--weights", weights.get(runtime, ""))
            needs = ("PIL", "numpy", runtime, *modules)
            all_of_them.append(Server(f"{name}-{runtime}", command, "/predict", ready, needs))
    return all_of_them


def missing(server: Server) -> str:
    """The first of a peer's modules that its Python has not, "" where it has all."""
    find = "import importlib.util, sys; print(next((m for m in sys.argv[1:] if not importlib.util.find_spec(m)), ''))"
    command = [server.command[0], "-c", find, *server.modules]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def free_port() -> int:
    """A port at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def printed_port(log: int) -> int:
    """The port in the line that `googlenet serve` prints, 0 before that."""
    found = re.search(rb"http://[^/\s]*:(\d+)", os.pread(log, 1 << 16, 0))
    return int(found[1]) if found else 0


def call(port: int, method: str, path: str, body: bytes = b"", kind: str = "") -> tuple[int, bytes]:
    """Sends a request to this machine.

    Args:
      port: where it listens.
      method: GET or POST.
      path: of the page.
      body: of the request.
      kind: the body's content type.

    Returns:
      Status and body.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        connection.request(method, path, body, {"Content-Type": kind} if body else {})
        reply = connection.getresponse()
        return reply.status, reply.read()


def get(port: int, path: str) -> int:
    """Status of a page, 0 where nobody answers."""
    try:
        return call(port, "GET", path)[0]
    except (OSError, http.client.HTTPException):
        return 0
