"""Two processes that know of each other."""

import os
import socket
import subprocess
import sys

from conftest import ROOT


def start_two(arguments, **variables):
    """Two processes of Python with these arguments and a device each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    processes = []
    for number in range(2):
        env = os.environ | {
            "JAX_COORDINATOR_ADDRESS": address,
            "JAX_NUM_PROCESSES": "2",
            "JAX_PROCESS_ID": str(number),
            "XLA_FLAGS": os.environ["XLA_FLAGS"].replace("device_count=8", "device_count=1"),
        }
        command = [sys.executable, *map(str, arguments)]
        out = subprocess.PIPE
        processes.append(subprocess.Popen(command, cwd=ROOT, env=env | variables, stdout=out, stderr=out, text=True))
    return processes


def ended(process, status):
    """The one line that a process with this exit status ended with."""
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == status, errors
    lines = [line for line in errors.splitlines() if not line.startswith(("[Gloo]", "process 0 of 2"))]
    assert len(lines) == 1, errors
    return lines[0]
