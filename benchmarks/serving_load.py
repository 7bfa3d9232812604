"""Sends images to a server and notes when each was due, sent and answered; `serving.py` starts it.

    echo '{"port": 9999, "path": "/api", "images": ["cat.jpg"], "connections": 8}' | python benchmarks/serving_load.py

It is a process of its own and does little more than read and write sockets, as it shares the cores with the server.
"""

import asyncio
import dataclasses
import json
import random
import resource
import select
import sys
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any, Literal, NamedTuple

_USUAL = 1.5  # times the median before an overload is an image's usual latency after it
_RECOVERED = 60  # seconds for which a recovery is waited for


@dataclasses.dataclass
class Load:
    """What to send, the JSON of standard input.

    Attributes:
      port: of the server on this machine.
      path: to post to.
      images: files, sent in turns.
      mode: "closed": each connection sends an image once the last is answered; "open": at random times; "overload": so
        too, and single images before and after; "stop": closed, until the server listens no more.
      connections: of a closed loop.
      requests: of a closed loop; 0: `seconds` decide.
      rate: images a second of an open loop, Poisson's.
      seconds: of the measurement.
      warmup: seconds of the same load before it.
      timeout: seconds after which an answer is not waited for.
      seed: of the random times.
    """

    port: int
    path: str
    images: list[str]
    mode: Literal["closed", "open", "overload", "stop"] = "closed"
    connections: int = 1
    requests: int = 0
    rate: float = 0
    seconds: float = 5
    warmup: float = 0
    timeout: float = 60
    seed: int = 0


class Record(NamedTuple):
    """What became of a request; times are those of `time.monotonic`.

    Attributes:
      due: when it was to be sent.
      sent: when it was.
      done: when the last byte of the answer, or the failure, was there.
      outcome: the status; or "refused" (no connection), "lost" (a connection that ended without an answer), "lost idle"
        (that, on a connection used before and without a byte, as when a server closes what it takes for idle: a client
        may send it again), "timeout".
      retry_after: whether the answer has that header.
    """

    due: float
    sent: float
    done: float
    outcome: str
    retry_after: bool = False


class Connection(asyncio.Protocol):
    """An HTTP/1.1 connection with one request at a time."""

    def __init__(self) -> None:
        self.open = self.used = False
        self.received = bytearray()
        self.waiting: asyncio.Future[None] | None = None

    def connection_made(self, transport: Any) -> None:
        """See asyncio.Protocol."""
        self.transport, self.open = transport, True
        self.poll = select.poll()
        self.poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio.Protocol."""
        self.open = False
        self.wake()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self.received += data
        if self.complete():
            self.wake()

    def wake(self) -> None:
        """Lets `ask` look again."""
        if self.waiting and not self.waiting.done():
            self.waiting.set_result(None)

    def header(self, name: bytes) -> bytes | None:
        """A header's value in small letters, None where the answer has none."""
        head = self.received.partition(b"\r\n\r\n")[0].lower()
        _, found, rest = head.partition(b"\r\n" + name + b":")
        return bytes(rest.partition(b"\r\n")[0].strip()) if found else None

    def complete(self) -> bool:
        """Whether all of an answer is there."""
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return False
        if (length := self.header(b"content-length")) is not None:
            return len(self.received) >= end + 4 + int(length)
        return self.received.endswith(b"\r\n0\r\n\r\n") if self.header(b"transfer-encoding") else not self.open

    def usable(self) -> bool:
        """Whether it can take a request: open, and the server has not closed it meanwhile."""
        return self.open and not self.transport.is_closing() and not self.poll.poll(0)

    async def ask(self, request: bytes, timeout: float) -> tuple[str, bool]:
        """Sends a request; the outcome and whether there was a Retry-After, see `Record`."""
        used, self.used = self.used, True
        self.received.clear()
        self.waiting = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        try:
            await asyncio.wait_for(self.waiting, timeout)
        except TimeoutError:
            self.transport.abort()
            return "timeout", False
        if not self.complete():
            return "lost idle" if used and not self.received else "lost", False
        if self.received.startswith(b"HTTP/1.0") or self.header(b"connection") == b"close":
            self.transport.close()
        return self.received[9:12].decode(), self.header(b"retry-after") is not None


class Client:
    """Sends requests over as many connections as it takes, and keeps the records.

    Args:
      load: see there.
    """

    def __init__(self, load: Load):
        self.load = load
        self.requests = [request(load, Path(image).read_bytes()) for image in load.images]
        self.turn: Iterator[bytes] = cycle(self.requests)
        self.idle: list[Connection] = []
        self.records: list[Record] = []

    async def ask(self, content: bytes, due: float | None = None, keep: bool = True) -> Record:
        """Sends one and waits for its answer.

        Args:
          content: the whole request.
          due: when it should have been sent (default: now).
          keep: the record, among all.

        Returns:
          The record.
        """
        sent = time.monotonic()
        outcome, retry_after = "refused", False
        connection = await self.connection()
        if connection is not None:
            outcome, retry_after = await connection.ask(content, self.load.timeout)
            if connection.open and not connection.transport.is_closing():
                self.idle.append(connection)
        record = Record(sent if due is None else due, sent, time.monotonic(), outcome, retry_after)
        if keep:
            self.records.append(record)
        return record

    async def connection(self) -> Connection | None:
        """One that is free, or a new one; None if it was refused."""
        while self.idle:
            connection = self.idle.pop()
            if connection.usable():
                return connection
            connection.transport.close()
        try:
            loop = asyncio.get_running_loop()
            return (await loop.create_connection(Connection, "127.0.0.1", self.load.port))[1]
        except OSError:
            return None

    async def closed(self) -> None:
        """Each connection sends an image once the last is answered."""
        end, left = time.monotonic() + self.load.warmup + self.load.seconds, self.load.requests

        async def one() -> None:
            nonlocal left
            while left > 0 if self.load.requests else time.monotonic() < end:
                left -= 1
                record = await self.ask(next(self.turn))
                if record.outcome == "refused" and self.load.mode == "stop":
                    return
                if record.outcome != "200":
                    await asyncio.sleep(0.05)  # as a client that is told to come back does

        await asyncio.gather(*(one() for _ in range(self.load.connections)))

    async def poisson(self) -> list[asyncio.Task[Record]]:
        """Sends at random times without waiting for answers; the tasks that do."""
        numbers, due = random.Random(self.load.seed), time.monotonic()
        end, tasks = due + self.load.warmup + self.load.seconds, []
        while (due := due + numbers.expovariate(self.load.rate)) < end:
            await asyncio.sleep(max(0, due - time.monotonic()))
            tasks.append(asyncio.create_task(self.ask(next(self.turn), due)))
        return tasks

    async def overload(self) -> dict[str, float]:
        """Poisson's load between single images; how long those take before, and until they do so again."""
        probe = sorted(self.requests, key=len)[len(self.requests) // 2]
        before = sorted([await self.alone(probe) for _ in range(20)])
        usual = before[len(before) // 2]
        tasks = await self.poisson()
        end = now = time.monotonic()
        latency = float("inf")
        while latency > _USUAL * usual and now < end + _RECOVERED:
            latency, now = await self.alone(probe), time.monotonic()
        await asyncio.gather(*tasks)
        return {"usual": usual, "recovery": now - end, "recovered": latency <= _USUAL * usual, "ended": end}

    async def alone(self, content: bytes) -> float:
        """Seconds that one image takes; infinity if it is not answered."""
        record = await self.ask(content, keep=False)
        if record.outcome != "200":
            await asyncio.sleep(0.02)
            return float("inf")
        return record.done - record.sent

    async def run(self) -> dict[str, Any]:
        """Sends the load.

        Returns:
          The records, when the measurement began, the share of a core that this process took, what `overload` gives.
        """
        begin, cpu = time.monotonic() + self.load.warmup, time.process_time()
        more: dict[str, float] = {}
        if self.load.mode == "overload":
            more = await self.overload()
        elif self.load.mode == "open":
            await asyncio.gather(*await self.poisson())
        else:
            await self.closed()
        cpu = (time.process_time() - cpu) / (time.monotonic() - begin + self.load.warmup)
        return more | {"records": self.records, "begin": begin, "cpu": cpu}


def form(image: bytes) -> tuple[str, bytes]:
    """A form with the image as its field `image`: content type and body."""
    edge = "serving-load-4f1d"
    part = f'--{edge}\r\nContent-Disposition: form-data; name="image"; filename="image.jpg"\r\n'
    body = f"{part}Content-Type: image/jpeg\r\n\r\n".encode() + image + f"\r\n--{edge}--\r\n".encode()
    return f"multipart/form-data; boundary={edge}", body


def request(load: Load, image: bytes) -> bytes:
    """A whole POST with the image."""
    kind, body = form(image)
    where = f"POST {load.path} HTTP/1.1\r\nHost: 127.0.0.1:{load.port}\r\nAccept: application/json\r\n"
    return f"{where}Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def main() -> None:
    """Reads the load from standard input and writes the records to standard output."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # an overload needs a connection an image
    client = Client(Load(**json.load(sys.stdin)))
    json.dump(asyncio.run(client.run()), sys.stdout)


if __name__ == "__main__":
    main()
