"""Runs the server until it is asked to stop: sockets, signals, and an eye on the device."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator

import uvicorn
from starlette.applications import Starlette

from googlenet_jax.errors import UserError, reason
from googlenet_jax.serve.connections import open_files, patient_for
from googlenet_jax.serve.service import Service
from googlenet_jax.system.timers import after

log = logging.getLogger(__name__)

_QUIET = 1.0  # seconds without a request, after which a balancer is taken to have seen that this server stops
_WATCH = 0.5  # seconds between looks at the device
_BACKLOG = 1024
_LAST = 1.0  # seconds to tidy up


def _end() -> None:
    """Ends the process: a thread that decodes, loads or compiles cannot be ended."""
    os._exit(0)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Args:
      host: name or address.
      port: 0 takes one that is free.

    Returns:
      The socket.

    Raises:
      UserError: if the address is none of this machine's, or taken.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except (OSError, UnicodeError) as error:
        number = error.errno if isinstance(error, OSError) else None
        problem = os.strerror(number) if number and number > 0 else getattr(error, "strerror", None) or str(error)
        raise UserError(f"--host {host} --port {port}: {problem}; --port 0 takes a free one") from None


class _Uvicorn(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # `Server` handles them


class Server:
    """A service on a socket.

    Args:
      service: what is served.
      make_app: its application, from the function that ends the server.
      listening: the socket.
      grace: seconds from the first signal to the end, at the most.
    """

    def __init__(
        self,
        service: Service,
        make_app: Callable[[Callable[[], object]], Starlette],
        listening: socket.socket,
        grace: float,
    ):
        self._service, self._socket, self._grace = service, listening, grace
        files = open_files()
        config = uvicorn.Config(
            make_app(self.stop),
            http=patient_for(service.limits.deadline, files // 2),
            backlog=min(_BACKLOG, files // 4),  # so many are taken before any is looked at
            loop="asyncio",  # of uvloop's transports the size of a read cannot be chosen, see `connections`
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
        )
        self._uvicorn = _Uvicorn(config)
        self._ending: asyncio.Task[None] | None = None
        self._reloading: asyncio.Task[None] | None = None

    def run(self, load: Callable[[], object]) -> None:
        """Serves until SIGTERM, SIGINT or `stop`; if the device does not answer any more the process ends, status 1.

        Args:
          load: makes the service ready; it is called in a thread while the server is up.

        Raises:
          UserError: from `load`.
        """
        with asyncio.Runner(loop_factory=self._uvicorn.config.get_loop_factory()) as runner:
            runner.run(self._run(load))

    async def _run(self, load: Callable[[], object]) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop, number)
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as it is under nohup
            loop.add_signal_handler(signal.SIGHUP, self._reload)
        serving = asyncio.ensure_future(self._uvicorn.serve(sockets=[self._socket]))
        loading = asyncio.ensure_future(asyncio.to_thread(load))
        watching = asyncio.ensure_future(self._watch())
        try:
            await asyncio.wait({serving, loading}, return_when=asyncio.FIRST_COMPLETED)
            if not loading.done():
                await serving
                os._exit(0)  # stopped while it compiled, which nothing can end
            await loading
            await serving
        finally:
            watching.cancel()
            self._uvicorn.should_exit = True
            await asyncio.wait({serving})
            self._service.close()

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Begins to end the server; asked a second time, it ends at once."""
        if self._ending is not None:
            self._uvicorn.config.timeout_graceful_shutdown = 0
            self._uvicorn.should_exit = self._uvicorn.force_exit = True
            after(_LAST, _end)
            return
        after(self._grace, _end)
        self._service.stopping = True
        log.info("stopping: what was admitted is answered, within %.0f s", self._grace)
        self._ending = asyncio.ensure_future(self._drain(wait=number == signal.SIGTERM))

    async def _drain(self, wait: bool) -> None:
        """Not ready any more, but answering until requests stay away; then no connections are taken."""
        start = time.monotonic()
        while wait and time.monotonic() < start + self._grace / 2:
            if time.monotonic() > max(self._service.last_request, start) + _QUIET and not self._service.intake.waiting:
                break
            await asyncio.sleep(0.05)
        left = max(start + self._grace - time.monotonic(), 0)
        self._uvicorn.config.timeout_graceful_shutdown = max(int(left), 1)
        self._uvicorn.should_exit = True

    def _reload(self) -> None:
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.ensure_future(self._load_again())

    async def _load_again(self) -> None:
        try:
            async with self._service.reloading:
                await asyncio.to_thread(self._service.load)
        except Exception as error:  # a file that is changed under us can raise any
            log.error("not loaded again, what was served goes on: %s", reason(error, 400))

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_WATCH)
            if problem := self._service.mend():
                print(f"error: {problem}; the process ends so that it can be started anew", file=sys.stderr, flush=True)
                os._exit(1)  # a thread that hangs cannot be ended otherwise
