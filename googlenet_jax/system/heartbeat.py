"""How the processes of a training end together: when one is gone, fails or hangs, all say so in a line and end.

Each has a connection to the first process over which both tell every second that they live. A process that is killed
closes it at once, one that is stopped or cut off falls silent; the first process passes on what it learns. JAX has
heartbeats too, but ends a process from C++, with a stack trace and without a name: it comes second.
"""

import contextlib
import ctypes
import dataclasses
import functools
import logging
import math
import multiprocessing
import os
import secrets
import selectors
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

from googlenet_jax.errors import reason, shown
from googlenet_jax.system import runtime
from googlenet_jax.system.timers import after

STATUS = 3  # of a process that ends because another is gone, or because it hangs
_BEAT = 1.0  # seconds between signs of life
_GRACE = 2.0  # seconds for an error that all processes have to be told by each, and for the log to be written
_VERDICT = 5.0  # seconds within which a process that is gone is known to be
_MEET = 60.0  # seconds for the connections
_KEY = "googlenet_jax/heartbeat"
log = logging.getLogger(__name__)


def seconds(variable: str, default: int) -> int:
    """Whole seconds that an environment variable gives, or else the default."""
    given = os.environ.get(variable, "")
    return int(given) if given.isdecimal() else default


def silence() -> int:
    """Seconds without a sign of life after which a process counts as gone: GOOGLENET_JAX_SILENCE, or 20."""
    return max(seconds("GOOGLENET_JAX_SILENCE", 20), 2)


def together(command: Callable[[], int]) -> int:
    """Runs a command that may become one of several processes; if it fails in one of them, all end.

    Args:
      command: returns its exit status.

    Returns:
      The exit status. Of several processes one that fails does not return: JAX would wait for the others.
    """
    try:
        status = command()
    except Exception:
        if _watch is None:
            raise
        time.sleep(_VERDICT)  # a collective fails when another process is gone: then the watch ends this one
        traceback.print_exc()
        status = 1
    if _watch is not None:
        _watch.leave(status)
    return status


def progress() -> None:
    """Tells that a step, or a batch of an evaluation, went to the devices; costs nothing.

    If no other follows for GOOGLENET_JAX_HANG seconds (600 if not given, 0 for ever) and nobody called `pause`, all
    processes end. Of a process that trains alone nothing is expected.
    """
    if _watch is not None:
        _watch.moved = time.monotonic()
        _watch.steps += 1


def pause() -> None:
    """Tells that what comes now may take long: until the next `progress` none is expected."""
    if _watch is not None:
        _watch.moved = math.inf


def watch(number: int, count: int) -> None:
    """Begins to watch the other processes, once JAX has joined them.

    From now on the process ends with one line: with status 3 when another is gone or one hangs, with another's status
    when that failed. One that cannot be connected is told of, and left to JAX's own heartbeat.

    Args:
      number: of this process.
      count: of all.
    """
    global _watch
    links: list[_Link] = []
    try:
        links.extend(_accepted(count) if number == 0 else _connected(number))  # those before an error stay
    except Exception as error:  # of sockets, or of JAX
        found = f"process {number} of {count} watches {len(links)} others alone"
        print(f"warning: {found}: {reason(error)}", file=sys.stderr, flush=True)
    runtime.silence_resource_tracker()  # it would warn when a process ends at once
    _watch = _Watch(number, count, links)
    _watch.start()
    ctypes.CDLL(None).signal(signal.SIGABRT, _aborted)


@dataclasses.dataclass
class _Link:
    """A connection to another process."""

    number: int
    host: str
    socket: socket.socket
    steps: int = 0
    silent: int = 0  # beats since it was heard
    rest: bytes = b""  # of a line that is not whole yet


class _Watch(threading.Thread):
    """Tells of this process over its links, and ends it when another is gone, or when it hangs.

    Attributes:
      moved: time of the last progress; infinite while none is expected.
      steps: how often there was progress, by which those that hang and those that wait for them are told apart.
    """

    def __init__(self, number: int, count: int, links: list[_Link]):
        super().__init__(name="heartbeat", daemon=True)
        self._count, self._links = count, links
        self._self = self._named(number, socket.gethostname())
        self._silence, self._patience = silence(), seconds("GOOGLENET_JAX_HANG", 600) or math.inf
        self.moved, self.steps = math.inf, 0
        if number > 0:  # the first, which knows the steps of all, speaks first
            self._patience += 2 * _BEAT
        self._selector = selectors.DefaultSelector()
        for link in links:
            link.socket.setblocking(False)
            # Else TCP may hold a line back until the one before it has arrived, and what is held is lost when a process
            # ends at once: the others would hear that it is gone, and not why.
            link.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(link.socket, selectors.EVENT_READ, link)

    def run(self) -> None:
        while True:
            until = time.monotonic() + _BEAT
            while (left := until - time.monotonic()) > 0:
                for key, _ in self._selector.select(left):
                    self._hear(key.data)
            self._tell(f"+{self.steps}\n".encode())
            for link in self._links:
                link.silent += 1  # beats of our own, so that nobody is blamed for the time that this process slept
                if link.silent * _BEAT > self._silence:
                    self._end(f"{self._of(link)} is gone: nothing heard of it for {self._silence} s")
            if (still := time.monotonic() - self.moved) > self._patience:
                self._end(f"{self._late()}: no step ended for {still:.0f} s")

    def leave(self, status: int) -> None:
        """Tells the others how this process ends, and ends it unless that is well."""
        self._tell(f"{status} {self._self} failed with status {status}: its own message says why\n".encode())
        if status:
            _exit(status)

    def _hear(self, link: _Link) -> None:
        try:
            data = link.socket.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._end(f"{self._of(link)} is gone: its connection closed")
        link.silent = 0
        *lines, link.rest = (link.rest + data).split(b"\n")
        for line in lines:
            if line.startswith(b"+"):
                link.steps = int(line)
                continue
            status, _, text = line.decode(errors="replace").partition(" ")
            self._selector.unregister(link.socket)
            self._links.remove(link)
            if status == str(STATUS):
                self._end(shown(text, 400))
            elif status != "0":  # perhaps an error that this process has too, and tells of itself
                after(_GRACE, functools.partial(self._end, shown(text, 400), int(status)))
            return

    def _tell(self, line: bytes) -> None:
        for link in self._links:
            try:
                link.socket.send(line)
            except OSError:  # full, or closed: which shows when it is read
                continue

    def _end(self, what: str, status: int = STATUS) -> None:
        self._tell(f"{status} {what}\n".encode())
        text = f"{what}; checkpoints are intact, start again to resume" if status == STATUS else what

        def end_without_log() -> None:
            os.write(2, f"error: {text}\n".encode())
            _exit(status)

        after(_GRACE, end_without_log)
        log.error(text)
        _exit(status)

    def _late(self) -> str:
        """Who hangs: those that are behind, if that can be seen from here."""
        steps = {self._self: self.steps} | {self._of(link): link.steps for link in self._links}
        behind = [name for name, done in steps.items() if done < max(steps.values())]
        return f"{', '.join(behind)} hangs" if behind else f"{self._self} hangs, or waits for one that does"

    def _of(self, link: _Link) -> str:
        return self._named(link.number, link.host)

    def _named(self, number: int, host: str) -> str:
        return f"process {number} of {self._count} (on {host})"


_watch: _Watch | None = None


def _accepted(count: int) -> Iterator[_Link]:
    """The first process's links to all others; who does not know the token is none of them."""
    token, until, left = secrets.token_hex(8), time.monotonic() + _MEET, count - 1
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    with socket.create_server(("", 0), family=family, backlog=count, dualstack_ipv6=both) as server:
        _jax().client.key_value_set(_KEY, f"{server.getsockname()[1]} {token} {socket.gethostname()}")
        while left:
            server.settimeout(max(until - time.monotonic(), 0.01))
            connection, _ = server.accept()
            connection.settimeout(_VERDICT)
            given = [b""]
            with contextlib.suppress(OSError), connection.makefile("rb") as file:
                given = file.readline(4096).split()
            if len(given) == 3 and secrets.compare_digest(given[0], token.encode()):
                left -= 1
                yield _Link(int(given[1]), given[2].decode(), connection)
            else:
                connection.close()


def _connected(number: int) -> Iterator[_Link]:
    """Another process's link to the first."""
    state = _jax()
    port, token, host = state.client.blocking_key_value_get(_KEY, int(_MEET * 1000)).split()
    address = state.coordinator_address.rpartition(":")[0].strip("[]")
    connection = socket.create_connection((address, int(port)), timeout=_MEET)
    connection.sendall(f"{token} {number} {socket.gethostname()}\n".encode())
    yield _Link(0, host, connection)


def _jax() -> Any:
    """JAX's store of keys and values, and the address at which it is; Orbax finds them here too."""
    from jax._src import distributed

    return distributed.global_state


@ctypes.CFUNCTYPE(None, ctypes.c_int)
def _aborted(number: int) -> None:
    """JAX aborts a process when the first is gone: the watch has the time to tell of it and to end this one."""
    time.sleep(_VERDICT)
    os.write(2, b"error: this process was aborted from C++; TF_CPP_MIN_LOG_LEVEL=0 shows where\n")


def _exit(status: int) -> None:
    """Ends the process at once; JAX's own way out waits for the other processes."""
    for child in multiprocessing.active_children():  # they load images
        child.kill()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)
