"""From the queue to the device and back: who shares a batch, who is refused, dropped, told of a failure."""

import ctypes
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import numpy as np
import pytest
from serving import LABELS, form, image_file, make_net

from googlenet_jax.classifier import Classifier
from googlenet_jax.serve.batcher import Batcher, DeviceError, Ticket, TooLateError
from googlenet_jax.serve.limits import Limits
from googlenet_jax.serve.metrics import Metrics
from googlenet_jax.serve.models import Facts, Model


class Device(Classifier):
    """A network whose device waits until it may go on, and fails when it is told to."""

    def __init__(self):
        self.labels, self.preprocess = LABELS, make_net().preprocess
        self.free = threading.Event()
        self.free.set()
        self.batches: list[int] = []
        self.failures = 0

    def classify(self, crops):
        assert self.free.wait(20)
        self.batches.append(len(crops))
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the card fell off the bus")
        values = np.zeros((len(crops), 4), np.float32)
        values[np.arange(len(crops)), crops[:, 0, 0, 0] % 4] = 1
        return values


@pytest.fixture
def device():
    found = Device()
    yield found
    found.free.set()


@pytest.fixture
def model(device):
    found = Model("fake", device, Facts("paper", 0, "nowhere", "fake"))
    found.seconds = {1: 1.0, 2: 1.1, 4: 1.3, 8: 1.6}
    return found


@pytest.fixture
def batcher(model):
    limits = Limits(max_batch=8, queue=64)
    found = Batcher(limits, Metrics(lambda: 0, lambda: {"fake": model}))
    yield found
    found.close()


def put(batcher, model, value=0, seconds=30.0):
    ticket = Ticket(model, time.monotonic() + seconds)
    ticket.crop = np.full((32, 32, 3), value, np.uint8)
    batcher.put(ticket)
    return ticket


def hold(device, batcher, model):
    """Has the device busy with one image, so that others gather."""
    device.free.clear()
    first = put(batcher, model)
    while not batcher.seconds_on_device():
        time.sleep(0.001)
    return first


def test_what_gathers_goes_together_and_each_gets_its_own(device, batcher, model):
    first = hold(device, batcher, model)
    tickets = [put(batcher, model, value) for value in range(8)]
    device.free.set()
    for value, ticket in enumerate(tickets):
        assert ticket.future.result(10).probabilities.argmax() == value % 4
    assert first.future.done() and device.batches == [1, 8]


def test_nothing_waits_for_company(device, batcher, model):
    with mock.patch.object(batcher._changed, "wait", wraps=batcher._changed.wait) as wait:
        put(batcher, model).future.result(10)
        put(batcher, model).future.result(10)
    assert device.batches == [1, 1]
    timeouts = [call.args or call.kwargs.get("timeout") for call in wait.call_args_list]
    assert set(timeouts) <= {None}  # it waits until there is an image, for nothing else


def test_a_delay_gathers(device, model):
    batcher = Batcher(Limits(max_batch=8, max_delay_ms=10_000), Metrics(lambda: 0, dict))
    tickets = [put(batcher, model, i) for i in range(8)]  # as many as there can be: it waits no longer
    for ticket in tickets:
        ticket.future.result(5)
    assert device.batches == [8]
    batcher.close()


def test_padding_only_where_it_is_sooner(device, batcher, model):
    model.seconds = {1: 1.0, 2: 2.0, 4: 4.0, 8: 8.0}  # a device without a gain from batches: none is padded
    hold(device, batcher, model)
    tickets = [put(batcher, model, i) for i in range(3)]
    device.free.set()
    for ticket in tickets:
        ticket.future.result(10)
    assert sum(device.batches) == 4
    device.batches.clear()
    model.seconds = {1: 1.0, 2: 1.0, 4: 1.0, 8: 1.0}
    hold(device, batcher, model)
    tickets = [put(batcher, model, i) for i in range(3)]
    device.free.set()
    for ticket in tickets:
        ticket.future.result(10)
    assert device.batches == [1, 4]


def test_models_do_not_mix(device, batcher, model):
    other = Model("other", device, model.facts)
    other.seconds = dict(model.seconds)
    hold(device, batcher, model)
    tickets = [put(batcher, (model, other)[i % 2], i) for i in range(6)]
    device.free.set()
    for ticket in tickets:
        ticket.future.result(10)
    assert device.batches == [1, 4, 4]  # three of each


def test_who_left_and_who_is_late_do_not_reach_the_device(device, batcher, model):
    hold(device, batcher, model)
    gone, late, wanted = put(batcher, model), put(batcher, model, seconds=0.05), put(batcher, model)
    gone.future.cancel()
    time.sleep(0.1)
    device.free.set()
    wanted.future.result(10)
    with pytest.raises(TooLateError):
        late.future.result(10)
    assert device.batches == [1, 1]


def test_a_device_that_fails_and_comes_back(device, batcher, model, monkeypatch):
    monkeypatch.setattr("googlenet_jax.serve.batcher._PAUSE", 0.05)
    device.failures = 2
    with pytest.raises(DeviceError, match="fell off the bus"):
        put(batcher, model).future.result(10)
    assert put(batcher, model).future.result(10) and not batcher.failed and not batcher.broken


def test_a_device_that_does_not_come_back(device, batcher, model, monkeypatch):
    monkeypatch.setattr("googlenet_jax.serve.batcher._PAUSE", 0.01)
    device.failures = 99
    with pytest.raises(DeviceError):
        put(batcher, model).future.result(10)
    end = time.monotonic() + 10
    while not batcher.broken and time.monotonic() < end:
        time.sleep(0.01)
    assert batcher.broken == "the card fell off the bus"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_is_killed(device, batcher, model):
    hold(device, batcher, model)
    waiting, behind = batcher._on_device[0], put(batcher, model)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(batcher._thread.ident), ctypes.py_object(SystemExit))
    device.free.set()
    batcher._thread.join(10)
    assert not batcher.is_alive()
    batcher.start()
    with pytest.raises(DeviceError, match="died"):
        waiting.future.result(10)
    assert behind.future.result(10)


def test_the_server_is_not_ready_while_the_device_fails(running):
    served = running({"small": make_net()})
    served.service.batcher.failed = "something"
    answer = served.ask("GET", "/health/ready")
    assert (answer.status, json.loads(answer.body)) == (503, {"error": "the device does not answer"})
    status, answer = served.classify(image_file())
    assert status == 503 and served.ask("GET", "/health/live").status == 200
    served.service.batcher.failed = ""
    assert served.classify(image_file())[0] == 200
    served.service.stopping = True
    assert served.ask("GET", "/health/ready").status == 503
    body, headers = form(image_file())
    assert served.ask("POST", "/api", body, headers).headers["Connection"] == "close"


def test_the_queue_is_bounded_and_says_when_to_come_back(running):
    device = Device()
    served = running({"small": make_net()}, limits={"max_batch": 1, "queue": 3})
    served.service.models["small"].net = device
    device.free.clear()
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(served.classify, image_file()) for _ in range(8)]
        end = time.monotonic() + 20
        while sum(future.done() for future in asked) < 5 and time.monotonic() < end:
            time.sleep(0.01)
        assert served.service.intake.waiting == 3
        body, headers = form(image_file())
        refused = served.ask("POST", "/api", body, headers)
        assert refused.status == 429 and int(refused.headers["Retry-After"]) >= 1
        assert served.ask("GET", "/health/ready").status == 200
        device.free.set()
        statuses = sorted(future.result()[0] for future in asked)
    assert statuses == [200] * 3 + [429] * 5 and served.service.intake.waiting == 0


def test_a_client_that_leaves_costs_no_time_of_the_device(running):
    device = Device()
    served = running({"small": make_net()}, limits={"max_batch": 1})
    served.service.models["small"].net = device
    device.free.clear()
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(served.classify, image_file())
        while not served.service.batcher.seconds_on_device():
            time.sleep(0.005)
        body, headers = form(image_file())
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        request = f"POST /api HTTP/1.1\r\nHost: a\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", served.port)) as leaving:
                leaving.sendall(request)
                time.sleep(0.2)
        end = time.monotonic() + 10
        while served.service.intake.waiting > 1 and time.monotonic() < end:
            time.sleep(0.01)
        assert served.service.intake.waiting == 1
        device.free.set()
        assert first.result()[0] == 200
    assert device.batches == [1]
    assert 'status="499"} 3.0' in served.ask("GET", "/metrics").body.decode()


def test_answers_do_not_depend_on_company(running):
    served = running({"small": make_net()}, limits={"max_batch": 8, "queue": 64})
    files = [image_file(i, (40 + i, 50)) for i in range(24)]
    alone = [served.classify(file)[1]["predictions"][0]["probabilities"] for file in files]
    with ThreadPoolExecutor(24) as threads:
        together = [answer["predictions"][0]["probabilities"] for _, answer in threads.map(served.classify, files)]
    text = served.ask("GET", "/metrics").body.decode()
    assert 'googlenet_batch_size_bucket{le="1.0"} 48.0' not in text  # some did share a batch
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-6)


def test_loading_again_under_load_loses_nothing(running):
    nets = {"small": make_net(1)}
    served = running(nets)
    wanted = served.service._open = mock.Mock(side_effect=lambda name, newest: nets[name])
    stop, statuses = threading.Event(), []

    def ask():
        while not stop.is_set():
            statuses.append(served.classify(image_file())[0])

    with ThreadPoolExecutor(4) as threads:
        asking = [threads.submit(ask) for _ in range(4)]
        for seed in (2, 3):
            nets["small"] = make_net(seed)
            assert served.ask("POST", "/v2/repository/models/small/load").status == 200
        time.sleep(0.2)
        stop.set()
        for future in asking:
            future.result()
    assert len(statuses) > 10 and set(statuses) == {200}
    assert served.service.models["small"].facts.step == 3
    assert wanted.mock_calls == [mock.call("small", True)] * 2  # of a run the newest checkpoint


def test_what_cannot_be_mended_is_told(running, monkeypatch):
    served = running({"small": make_net()})
    assert served.service.mend() == ""
    served.service.batcher.broken = "no"
    assert served.service.mend() == "the device failed several times in turn: no"
    monkeypatch.setattr(served.service.batcher, "seconds_on_device", lambda: 61.0)
    assert served.service.mend() == "a batch has been on the device for more than 60 s"
    assert served.service.problem() == "the device does not answer"
