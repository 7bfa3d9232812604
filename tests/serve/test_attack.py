"""Damaged requests and images through the wire: each is answered or cut off, and the server is well afterwards."""

import asyncio
import contextlib
import itertools
import json
import logging
import os
import random
import re
import resource
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import attacks
import pytest
from serving import form, image_file, make_net

from googlenet_jax.serve import api, intake, tensors

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


@pytest.mark.filterwarnings("ignore::UserWarning:PIL", "ignore::Warning:PIL")
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
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR and record.name[:3] != "PIL"]
    settle(small)
    assert counts["200"] > count / 20 and counts["400"] > count / 10
    assert threading.active_count() <= threads + 8 and grown < 300


def speak(client, data, seconds=10.0):
    """Sends bytes; gives all that comes back until the server ends the connection, or `seconds` passed in silence."""
    found = b""
    with socket.create_connection(("127.0.0.1", client.port), timeout=seconds) as connection:
        connection.sendall(data)
        try:
            while piece := connection.recv(1 << 16):
                found += piece
        except TimeoutError:
            found += b"(silence)"
        except ConnectionError:
            pass
    return found


_UNFINISHED = [
    b"",
    b"GET / HT",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP",
    b"GET /status HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n",
    b"POST /nothing HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n",
]


def test_who_does_not_go_on_is_cut_off(small):
    with ThreadPoolExecutor(len(_UNFINISHED)) as threads:
        found = list(threads.map(lambda data: speak(small, data, 5 * DEADLINE), _UNFINISHED))
    assert not [answer for answer in found if answer.endswith(b"(silence)")]


def test_who_does_not_read_is_cut_off(small):
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", small.port))
        connection.settimeout(10)
        with pytest.raises(ConnectionError):
            while True:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 500)
    settle(small)


def test_idle_connections_make_room(running):
    few = running({"small": make_net()}, most=20)
    with contextlib.ExitStack() as idle:
        for _ in range(60):
            idle.enter_context(socket.create_connection(("127.0.0.1", few.port)))
        assert few.classify(image_file())[0] == 200


def test_one_byte_a_second_stops_nobody(small):
    request = attacks.http("POST", "/api", *form(image_file()))
    with contextlib.ExitStack() as slow:
        senders = [slow.enter_context(socket.create_connection(("127.0.0.1", small.port))) for _ in range(100)]
        for n in range(3):
            for i, sender in enumerate(senders):
                with contextlib.suppress(ConnectionError):
                    sender.send(request[n : n + 1] if i % 2 else (request[: 300 * (n == 0)] or b"a"))
            assert small.classify(image_file())[0] == 200  # within the deadline, that is
            time.sleep(0.3)
    settle(small)


def test_a_refusal_reaches_who_still_sends(small):
    body = bytes(3 << 20)
    for length in ([f"Content-Length: {len(body)}"], ["Transfer-Encoding: chunked"]):
        head = "\r\n".join(["POST /api?format=json HTTP/1.1", "Host: a", "Content-Type: image/png", *length, "", ""])
        data = body if "Content" in length[0] else b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
        assert asyncio.run(attacks.exchange(small.port, head.encode() + data, 10)) == "413"
    settle(small)


def test_pipelined_requests_are_answered_in_order(small):
    requests = [
        attacks.http("GET", "/health/live"),
        attacks.http("POST", "/api", *form(image_file())),
        b"nonsense\r\n\r\n",
    ]
    statuses = re.findall(rb"HTTP/1.1 (\d+)", speak(small, b"".join(requests)))
    assert statuses == [b"200", b"200", b"400"]


@pytest.mark.parametrize(
    "change",
    [
        {"parameters": {"timeout": 10**400}},
        {"parameters": {"timeout": float("nan")}},
        {
            "inputs": [
                {"name": "images", "datatype": "UINT8", "shape": [1, 32, 32, 3], "data": ["a" * 500_000] + [""] * 9999}
            ]
        },
        {"inputs": [{"name": "images", "datatype": "UINT8", "shape": [1, 32, 32, 3], "data": 3072}]},
        {"inputs": [{"name": "images", "datatype": "UINT8", "shape": [1, 32, 32, 3], "data": [[[]]]}]},
        {"inputs": [{"name": "images", "datatype": "UINT8", "shape": [1, 32, 32, 3], "data": [256] * 3072}]},
        {"more": [{}] * 60_000, "and": [[]] * 60_000},
    ],
    ids=["large", "nan", "texts", "number", "empty", "256", "lists"],
)
def test_json_that_would_take_much(small, change):
    body = json.dumps(json.loads(attacks.tensor_body(32, False)[0]) | change).encode()
    if "more" in change:
        body = body.replace(b"[], ", b"[[[[]]]],").replace(b"{}, ", b"{},{},")
    with mock.patch.object(tensors, "_MOST_VALUES", 500_000):
        answer = small.ask("POST", "/v2/models/small/infer", body)
    assert answer.status == 400 and len(answer.body) < 300, answer.body


def test_maps_that_would_take_much(small, monkeypatch):
    monkeypatch.setattr(api, "_MOST_MAPS", 7)
    assert small.classify(image_file(), image_file(), query="?format=json&maps=1&top=3")[0] == 200
    status, found = small.classify(image_file(), image_file(), query="?format=json&maps=1&top=4")
    assert (status, found) == (413, {"error": "8 maps: at most 7 a request; lower top"})


def test_what_takes_too_long_to_decode_is_told_in_time(running, monkeypatch):
    served, go = running({"small": make_net()}, limits={"deadline": 0.5, "threads": 1}), threading.Event()
    monkeypatch.setattr(intake, "open_picture", lambda *_, **__: go.wait(200))
    answers = []
    asking = [threading.Thread(target=lambda: answers.append(served.classify(image_file())[0])) for _ in range(3)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert answers == [504] * 3 and not go.is_set()
    monkeypatch.undo()
    go.set()
    settle(served)


def test_no_thread_to_be_had(small, monkeypatch):
    def submit(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(small.service.intake._threads, "submit", submit)
    assert small.classify(image_file())[0] == 503
    monkeypatch.undo()
    settle(small)


@pytest.mark.parametrize(
    "error", [MemoryError(), RecursionError(), ZeroDivisionError(), OSError(24, "Too many open files")]
)
def test_decoders_that_fail_in_odd_ways(small, monkeypatch, error):
    monkeypatch.setattr(intake, "open_picture", mock.Mock(side_effect=error))
    assert small.classify(image_file())[0] == 400
    monkeypatch.undo()
    settle(small)


@pytest.mark.parametrize("error", [RuntimeError("RESOURCE_EXHAUSTED"), KeyError("step"), EOFError()])
def test_loading_again_that_fails_in_odd_ways(small, error):
    with mock.patch.object(small.service, "_open", side_effect=error):
        answer = small.ask("POST", "/v2/repository/models/small/load")
    assert answer.status == 400 and b"not loaded again" in answer.body
    settle(small)
