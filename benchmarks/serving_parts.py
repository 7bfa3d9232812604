"""The parts of `serving.py`: each takes the plan and servers, and gives what was measured by server."""

import contextlib
import dataclasses
import random
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from serving_measure import Measured, end_load, likeliest, measure, percentile, start_load
from serving_servers import NAME, MemoryLog, Running, Server, call


@dataclasses.dataclass
class Plan:
    """What to measure with.

    Attributes:
      images: files to send.
      connections: of the closed loops.
      seconds: of each load.
      warmup: seconds of load after a server's start.
      rounds: in which servers are measured in turns.
      share: of LitServe's throughput, the rate of the open loop.
      soak: requests.
      failed: servers that did not start, left out from then on.
    """

    images: list[str]
    connections: list[int]
    seconds: float
    warmup: float
    rounds: int
    share: float
    soak: int
    failed: set[str] = dataclasses.field(default_factory=set)

    @contextlib.contextmanager
    def started(self, server: Server, variables: dict[str, str] | None = None) -> Iterator[Running | None]:
        """A server that runs, with these environment variables too; None if it does not start, or did not before."""
        with contextlib.ExitStack() as stack:
            running = None
            if server.name not in self.failed:
                try:
                    running = stack.enter_context(server.running(variables))
                except RuntimeError as error:
                    self.failed.add(server.name)
                    print(f"left out: {error}")
            yield running

    @contextlib.contextmanager
    def warm(self, server: Server) -> Iterator[Running | None]:
        """As `started`, of a server that has had a load."""
        with self.started(server) as running:
            if running:
                busy = {"connections": max(self.connections), "seconds": self.warmup}
                measure(Measured(), server, running, self.images, **busy)
            yield running

    def turns(self, servers: list[Server]) -> Iterator[tuple[int, Server, Running]]:
        """Each server in each round, every other round in the opposite order."""
        for turn in range(self.rounds):
            for server in servers[:: -1 if turn % 2 else 1]:
                with self.warm(server) as running:
                    if running:
                        yield turn, server, running


def closed(plan: Plan, servers: list[Server]) -> tuple[dict[str, dict[int, Measured]], dict[str, list[int]]]:
    """Closed loops.

    Args:
      plan: see there.
      servers: to measure.

    Returns:
      What was measured by server and connections; the likeliest class of each image by server.
    """
    results: dict[str, dict[int, Measured]] = {}
    classes = {}
    for turn, server, running in plan.turns(servers):
        if not turn:
            classes[server.name] = likeliest(server, running, plan.images[:32])
        for connections in plan.connections:
            into = results.setdefault(server.name, {}).setdefault(connections, Measured())
            measure(into, server, running, plan.images, connections=connections, seconds=plan.seconds, warmup=1)
    return results, classes


def most(plan: Plan, servers: list[Server]) -> dict[str, float]:
    """Images a second at the most connections, by server, where `closed` was not asked for."""
    brief = dataclasses.replace(plan, connections=[max(plan.connections)], rounds=1)
    results, _ = closed(brief, servers)
    return {name: own[max(plan.connections)].images_per_second for name, own in results.items()}


def open_loop(plan: Plan, servers: list[Server], common: float, own: dict[str, float]) -> dict[str, dict[str, Any]]:
    """Random arrivals, at a rate common to all servers and at one that is each server's own.

    Args:
      plan: see there.
      servers: to measure.
      common: images a second.
      own: images a second by server.

    Returns:
      What was measured by server, under "common" and "own", and the rates.
    """
    results: dict[str, dict[str, Any]] = {}
    for turn, server, running in plan.turns(servers):
        rates = {"common": common, "own": own[server.name]}
        into = results.setdefault(server.name, {"rates": rates, "common": Measured(), "own": Measured()})
        for kind, rate in rates.items():
            facts = {"mode": "open", "rate": rate, "seconds": plan.seconds, "warmup": 1, "seed": turn}
            measure(into[kind], server, running, plan.images, **facts)
    return results


def overload(plan: Plan, servers: list[Server], maximum: dict[str, float]) -> dict[str, dict[str, Any]]:
    """Three times what a server can take.

    Args:
      plan: see there.
      servers: to measure.
      maximum: images a second that each can take.

    Returns:
      Figures by server.
    """
    results = {}
    for server in servers:
        with plan.warm(server) as running:
            if not running:
                continue
            into, before = Measured(), running.memory()
            with MemoryLog(running) as memory:
                facts = {"mode": "overload", "rate": 3 * maximum[server.name], "seconds": plan.seconds}
                result = measure(into, server, running, plan.images, **facts)
                time.sleep(2)
            unsaid = sum(record.outcome == "429" and not record.retry_after for record in result["records"])
            results[server.name] = into.summary() | {
                "rate": facts["rate"],
                "without_retry_after": unsaid,
                "memory_before": before,
                "memory_most": max(size for _, size in memory.samples),
                "memory_after": memory.samples[-1][1],
                **{name: result[name] for name in ("usual", "recovery", "recovered")},
            }
    return results


def soak(plan: Plan, servers: list[Server]) -> dict[str, dict[str, Any]]:
    """Many requests, and memory at a tenth of them and at the end.

    Args:
      plan: see there.
      servers: to measure.

    Returns:
      Figures by server.
    """
    results = {}
    for server in servers:
        with plan.warm(server) as running:
            if not running:
                continue
            with MemoryLog(running) as memory:
                facts = {"connections": max(plan.connections), "requests": plan.soak}
                result = end_load(start_load(server, running, plan.images, **facts))
            records = sorted(result["records"], key=lambda record: record.done)
            into = Measured()
            into.add(records, records[-1].done - result["begin"], result["cpu"])
            tenth, end = memory.at(records[len(records) // 10].done), memory.at(records[-1].done)
            growth = end / tenth - 1
            results[server.name] = into.summary() | {"memory_tenth": tenth, "memory_end": end, "growth": growth}
    return results


def start(plan: Plan, servers: list[Server]) -> dict[str, dict[str, list[float]]]:
    """Seconds until a server is ready, first with an empty compile cache and then with what that start left.

    Args:
      plan: see there.
      servers: to measure.

    Returns:
      Seconds of each round by server, under "cold" and "warm".
    """
    results: dict[str, dict[str, list[float]]] = {server.name: {"cold": [], "warm": []} for server in servers}
    for _ in range(plan.rounds):
        for server in servers:
            with tempfile.TemporaryDirectory() as cache:
                for kind in ("cold", "warm"):
                    with plan.started(server, {"JAX_COMPILATION_CACHE_DIR": cache}) as running:
                        if running:
                            results[server.name][kind].append(running.seconds)
    return results


def lossless(plan: Plan, servers: list[Server]) -> dict[str, dict[str, Any]]:
    """Three reloads of the model under load, and then SIGTERM.

    Args:
      plan: see there.
      servers: to measure, ours.

    Returns:
      Figures by server.
    """
    results = {}
    for server in servers:
        with plan.warm(server) as running:
            if not running:
                continue
            sending = start_load(server, running, plan.images, mode="stop", connections=16, seconds=120)
            time.sleep(2)
            reloads = []
            for _ in range(3):
                begin = time.monotonic()
                status, _ = call(running.port, "POST", f"/v2/repository/models/{NAME}/load", b"{}", "application/json")
                reloads.append({"status": status, "seconds": time.monotonic() - begin})
                time.sleep(random.uniform(0.5, 1.5))
            told = time.monotonic()
            running.process.send_signal(signal.SIGTERM)
            code: int | None = None
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = running.process.wait(120)
            seconds = time.monotonic() - told
            records = end_load(sending)["records"]
            before = [record for record in records if record.done < told]
            after = [record for record in records if record.done >= told]
            slow = [record.done - record.sent for record in before if record.outcome == "200"]
            refusals = [record for record in records if record.outcome in ("429", "503")]
            results[server.name] = {
                "reloads": reloads,
                "until_told": dict(Counter(record.outcome for record in before)),
                "p99_until_told": percentile(slow, 0.99),
                "slowest_until_told": max(slow),
                "after_told": dict(Counter(record.outcome for record in after)),
                "without_retry_after": sum(not record.retry_after for record in refusals),
                "lost": sum(record.outcome in ("lost", "lost idle", "timeout") for record in records),
                "exit_status": code,
                "exit_seconds": seconds,
            }
    return results
