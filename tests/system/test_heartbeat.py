"""Of two processes one is killed, stopped, hangs or fails: the other ends in time and says so in one line."""

import contextlib
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
from conftest import ROOT
from several import ended, start_two

pytestmark = pytest.mark.slow  # each runs two programs

# They meet 20 times a second; the second may hang or fail after a while.
PROGRAM = """
import sys, time
from googlenet_jax.errors import UserError, run_command
from googlenet_jax.system import heartbeat, processes

def work():
    processes.join_processes()
    import jax, numpy
    from jax.experimental import multihost_utils
    from googlenet_jax.system import console
    console.show_log()
    for step in range(int(sys.argv[2])):
        multihost_utils.process_allgather(numpy.ones(1))
        if step == 10:
            print("they meet", flush=True)
        if step == 20 and jax.process_index() == 1 and sys.argv[1] == "hangs":
            time.sleep(1000)
        heartbeat.progress()
        if step == 20 and jax.process_index() == 1 and sys.argv[1] == "fails":
            raise UserError("there is no such thing")
        time.sleep(0.05)
    heartbeat.pause()
    time.sleep(4)

sys.exit(heartbeat.together(lambda: run_command(work)))
"""


def start(what="", steps=10_000, **variables):
    processes = start_two(["-c", PROGRAM, what, steps], GOOGLENET_JAX_SILENCE="5", **variables)
    for process in processes:
        while "they meet" not in (line := process.stdout.readline()):
            assert line, process.communicate()
    return processes


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize(
    ("sent", "why"), [(signal.SIGKILL, "its connection closed"), (signal.SIGSTOP, "nothing heard")]
)
def test_a_process_that_is_gone_is_named(number, sent, why):
    """Also the first, without which JAX ends all others from C++."""
    processes = start()
    processes[number].send_signal(sent)
    begun = time.monotonic()
    line = ended(processes[1 - number], 3)
    assert time.monotonic() - begun < 12
    assert line.startswith(f"error: process {number} of 2 (on ")
    assert f"is gone: {why}" in line
    processes[number].kill()
    processes[number].communicate()


def test_a_hang_ends_all():
    """Both are alive, and the first waits for the second for ever."""
    for process in start("hangs", GOOGLENET_JAX_HANG="3"):
        assert re.match(r"error: process 1 of 2 \(on .*\) hangs: no step ended for [345] s; ", ended(process, 3))


def test_the_last_line_of_a_process_that_ends_at_once_arrives():
    """Also when it has just told that it lives, and has not read the other's answer."""
    server = socket.create_server(("127.0.0.1", 0))
    program = f"""
import os, socket
from googlenet_jax.system.heartbeat import _Link, _Watch
connection = socket.create_connection(("127.0.0.1", {server.getsockname()[1]}))
watch = _Watch(1, 2, [_Link(0, "host", connection)])
for beat in range(15):
    connection.setblocking(True)
    connection.send(b"+1\\n")
    connection.recv(99)
connection.recv(1, socket.MSG_PEEK)
watch._tell(b"+1\\n")
watch._tell(b"3 why\\n")
os._exit(3)
"""
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    with server, server.accept()[0] as other:
        for _ in range(15):
            other.recv(99)
            other.send(b"+5\n")
        other.send(b"+6\n")
        process.wait()
        heard = b""
        with contextlib.suppress(ConnectionResetError):
            while data := other.recv(99):
                heard += data
    assert heard == b"+1\n3 why\n"


def test_an_error_of_one_ends_all():
    first, second = start("fails")
    assert ended(second, 2) == "error: there is no such thing"
    assert "process 1 of 2" in (line := ended(first, 2))
    assert line.endswith("failed with status 2: its own message says why")


def test_whoever_takes_long_and_says_so_does_not_hang():
    """Saving, for one: longer than a step may take."""
    for process in start(steps=20, GOOGLENET_JAX_HANG="3"):
        assert process.communicate(timeout=60)[1].count("error") == 0
        assert process.returncode == 0
