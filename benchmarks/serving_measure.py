"""Runs the load generator against a server that `serving.py` started, and what is made of its records."""

import dataclasses
import json
import math
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from serving_load import Load, Record, form
from serving_servers import Running, Server, call


@dataclasses.dataclass
class Measured:
    """What one or several loads of the same kind came to.

    Attributes:
      seconds: that they took, without warming up.
      outcomes: requests by outcome, see `Record`.
      latencies: seconds of those answered with 200, from when they were due.
      refusals: seconds of those answered with 429.
      late: seconds by which requests were sent after they were due.
      cpu: shares of a core that the load generator took.
      rates: images a second of each load.
    """

    seconds: float = 0
    outcomes: Counter[str] = dataclasses.field(default_factory=Counter)
    latencies: list[float] = dataclasses.field(default_factory=list)
    refusals: list[float] = dataclasses.field(default_factory=list)
    late: list[float] = dataclasses.field(default_factory=list)
    cpu: list[float] = dataclasses.field(default_factory=list)
    rates: list[float] = dataclasses.field(default_factory=list)

    def add(self, records: Sequence[Record], seconds: float, cpu: float) -> None:
        """Adds a load.

        Args:
          records: of its measurement.
          seconds: that it took.
          cpu: share of a core that the load generator took.
        """
        answered = [record.done - record.due for record in records if record.outcome == "200"]
        self.seconds += seconds
        self.outcomes.update(record.outcome for record in records)
        self.latencies += answered
        self.refusals += [record.done - record.due for record in records if record.outcome == "429"]
        self.late += [record.sent - record.due for record in records]
        self.cpu.append(cpu)
        self.rates.append(len(answered) / seconds)

    @property
    def images_per_second(self) -> float:
        """Images answered with 200 a second."""
        return len(self.latencies) / self.seconds if self.seconds else 0

    def errors(self) -> str:
        """The outcomes other than 200, in words."""
        return ", ".join(f"{n} {outcome}" for outcome, n in sorted(self.outcomes.items()) if outcome != "200") or "none"

    def summary(self) -> dict[str, Any]:
        """All figures, for JSON."""
        return {
            "images_per_second": self.images_per_second,
            "images_per_second_by_round": self.rates,
            "seconds": self.seconds,
            "outcomes": dict(self.outcomes),
            "median": percentile(self.latencies, 0.5),
            "p99": percentile(self.latencies, 0.99),
            "refused_median": percentile(self.refusals, 0.5),
            "refused_p99": percentile(self.refusals, 0.99),
            "sent_late_p99": percentile(self.late, 0.99),
            "load_cpu": max(self.cpu, default=0),
        }


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that is not below that share of them; not a number if there are none."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)] if values else math.nan


def start_load(server: Server, running: Running, images: list[str], **facts: Any) -> subprocess.Popen[str]:
    """Starts the load generator.

    Args:
      server: to send to.
      running: the same, started.
      images: files to send.
      facts: the rest of a `Load`.

    Returns:
      Its process.
    """
    load = Load(running.port, server.path, images, **facts)
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("serving_load.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(dataclasses.asdict(load)))
    process.stdin.close()
    return process


def end_load(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Waits for the load generator; what it gives, with `Record`s."""
    assert process.stdout is not None
    with process:
        result = json.loads(process.stdout.read())
    return result | {"records": [Record(*record) for record in result["records"]]}


def measure(into: Measured, server: Server, running: Running, images: list[str], **facts: Any) -> dict[str, Any]:
    """Runs a load with a fixed time and adds it up.

    Args:
      into: what to add it to.
      server: to send to.
      running: the same, started.
      images: files to send.
      facts: the rest of a `Load`.

    Returns:
      What the load generator gave.
    """
    result = end_load(start_load(server, running, images, **facts))
    begin, seconds = result["begin"], facts["seconds"]
    if facts.get("mode", "closed") == "closed":
        # What was answered in the time counts, whenever it was sent.
        records = [record for record in result["records"] if begin <= record.done < begin + seconds]
    else:
        records = [record for record in result["records"] if record.due >= begin]
    into.add(records, seconds, result["cpu"])
    return result


def likeliest(server: Server, running: Running, images: list[str]) -> list[int]:
    """The likeliest class of each image, by a server's answers."""
    classes = []
    for image in images:
        kind, body = form(Path(image).read_bytes())
        _, text = call(running.port, "POST", server.path, body, kind)
        reply = json.loads(text)
        reply = reply[0] if isinstance(reply, list) else reply.get("predictions", [reply])[0]
        classes.append(int(reply["classes"][0]))
    return classes
