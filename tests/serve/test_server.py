"""`googlenet serve` as a process: what it says, its signals, its end."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from conftest import ROOT
from serving import form, image_file

from googlenet_jax import errors
from googlenet_jax.cli.main import make_parser

pytestmark = pytest.mark.usefixtures("log_as_before")

# SIGHUP is what it is by itself, also where nohup has the tests ignore it.
START = """import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, "-m", "googlenet_jax.cli", "serve", *sys.argv[1:]])"""
COMMAND = [sys.executable, "-c", START]


class Server:
    """A process that serves, and what it printed."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [*COMMAND, "--port", "0", "--max_batch", "4", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=0"},  # as it is, not started again
        )
        self.first = self.process.stdout.readline()
        self.port = int(re.search(r":(\d+),", self.first)[1])
        self.log: list[str] = []
        self._reader = threading.Thread(target=lambda: self.log.extend(self.process.stderr), daemon=True)
        self._reader.start()

    def wait_until_ready(self):
        self.second = self.process.stdout.readline()
        assert self.second.startswith("ready after "), "".join(self.log)

    def ask(self, method, path, body=b"", headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        status = self.process.wait(30)
        self._reader.join(5)
        return status


@pytest.fixture
def run(finished_run):
    return finished_run


def test_it_serves_reads_again_and_stops_without_losing_a_request(run):
    server = Server("--checkpoint", f"a={run}", "--checkpoint", run, "--ensemble", "--grace", "60")
    assert server.first.startswith("serving a, run, ensemble at http://127.0.0.1:")
    assert server.ask("GET", "/health/live")[0] == 200
    status, body = server.ask("GET", "/health/ready")
    assert status == 200 or json.loads(body) == {"error": "the server is starting"}
    server.wait_until_ready()
    assert re.search(r"curl -F image=@cat.jpg http://127.0.0.1:\d+/api", server.second)
    counts = {"200": 0, "lost": 0, "refused": 0}
    stop = threading.Event()

    def ask():
        body, headers = form(image_file(size=(320, 240), kind="JPEG"))
        while not stop.is_set():
            try:
                status, _ = server.ask("POST", "/api?format=json", body, headers)
                counts[str(status)] = counts.get(str(status), 0) + 1
            except ConnectionRefusedError:
                counts["refused"] += 1
                return
            except (OSError, http.client.HTTPException):
                counts["lost"] += 1

    asking = [threading.Thread(target=ask) for _ in range(4)]
    for thread in asking:
        thread.start()
    time.sleep(0.5)
    server.process.send_signal(signal.SIGHUP)
    end = time.monotonic() + 60
    while sum("model a: step" in line for line in server.log) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    assert sum("model a: step" in line for line in server.log) == 2, server.log[-30:]
    before = counts["200"]
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    assert json.loads(server.ask("GET", "/health/ready")[1]) == {"error": "the server is stopping"}
    time.sleep(0.5)
    stop.set()  # as if a balancer had seen it
    for thread in asking:
        thread.join()
    assert server.process.wait(30) == 0  # long before the grace is over
    assert counts["200"] > before and {name: n for name, n in counts.items() if n and name != "200"} == {}, counts
    lines = [json.loads(line) for line in server.log if line.startswith("{")]
    assert {"time", "client", "method", "path", "status", "bytes", "ms"} == set(lines[0])


def test_it_ends_at_once_when_nobody_asks(run):
    server = Server("--checkpoint", run, "--allow_stop")
    server.wait_until_ready()
    with socket.create_connection(("127.0.0.1", server.port)):  # who says nothing does not hold it
        assert server.ask("POST", "/command/stop")[0] == 200
        assert server.process.wait(30) == 0
    again = Server("--checkpoint", run)
    assert again.end(signal.SIGINT) == 0  # while it compiles, or just after


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--checkpoint", "a=x", "--checkpoint", "a=y"], "two models are called a; name them, --checkpoint other=y"),
        (["--checkpoint", "x", "--ensemble"], "--ensemble: give --checkpoint at least twice"),
        (["--checkpoint", "x", "--queue", "3", "--max_batch", "4"], "--queue 3: at least --max_batch, 4"),
        (["--checkpoint", "x", "--host", "no.such.host.invalid"], "--host no.such.host.invalid --port 9999"),
        (["--checkpoint", "x", "--auth_token_file", os.devnull], "one line of letters, digits and signs"),
        (["--checkpoint", "x", "--auth_token_file", "nowhere.txt"], "nowhere.txt: No such file"),
    ],
)
def test_mistakes(capsys, arguments, error):
    flags = make_parser().parse_args(["serve", *arguments])
    assert errors.run_command(lambda: flags.run(flags)) == 2
    assert error in capsys.readouterr().err


def test_a_port_that_is_taken(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        flags = make_parser().parse_args(["serve", "--checkpoint", "x", "--port", str(port)])
        assert errors.run_command(lambda: flags.run(flags)) == 2
    assert f"--port {port}: Address already in use; --port 0 takes a free one" in capsys.readouterr().err


def test_a_checkpoint_that_is_not_there(run_command):
    result = run_command("-m", "googlenet_jax.cli", "serve", "--checkpoint", "nowhere", "--port", 0)
    assert result.returncode == 2 and "nowhere" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
