"""Damaged requests and images through the wire: each is answered or cut off, and the server is well afterwards."""

import itertools
import logging
import os
import random
import resource
import threading
import time

import attacks
import pytest
from serving import image_file, make_net

COUNT = int(os.environ.get("GOOGLENET_JAX_ATTACKS", "400"))
DEADLINE = 1.0  # seconds


@pytest.fixture(scope="module")
def small(running):
    # More memory and more room than clients here can fill: then each refusal is for what was sent.
    return running({"small": make_net()}, limits={"deadline": DEADLINE, "queue": 512, "max_bytes": 1 << 20})


def settle(client):
    """Waits until nothing is under way, and sees that all is well."""
    service, end = client.service, time.monotonic() + 5
    while (service.intake.waiting or service.held) and time.monotonic() < end:
        time.sleep(0.01)
    assert (service.intake.waiting, service.held) == (0, 0)
    status, found = client.classify(image_file(3))
    assert status == 200 and len(found["predictions"]) == 1
    assert service.batcher.is_alive() and not service.problem()


@pytest.mark.parametrize("kind", ["requests", "images"])
def test_what_is_damaged_is_answered(small, caplog, kind):
    rng = random.Random(kind)
    count = COUNT if kind == "requests" else max(COUNT // 5, min(COUNT, 300))
    cases = attacks.requests(rng, 32) if kind == "requests" else attacks.images(rng)
    bad = []

    def told(outcome, case):
        if not (outcome in ("closed", "504") or outcome[0] in "234") or outcome == "429":
            bad.append((outcome, case[:300]))

    attacks.attack(small.port, itertools.islice(cases, 50), 10, told)  # what is made once
    threads, memory = threading.active_count(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with caplog.at_level(logging.ERROR):
        counts = attacks.attack(small.port, itertools.islice(cases, count), 10, told)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) >> 10
    print(f"{count} {kind}: {dict(counts.most_common())}, {grown} MiB more")
    assert not bad, bad[:3]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    settle(small)
    assert counts["200"] > count / 20 and counts["400"] > count / 10
    assert threading.active_count() <= threads + 8 and grown < 300
