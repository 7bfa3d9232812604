"""`googlenet serve` beside other servers on this machine, with the same network and pictures, in turns.

    python -m venv PEERS
    PEERS/bin/pip install litserve fastapi uvicorn python-multipart bentoml onnxruntime torch==2.13.0 pillow numpy
    python benchmarks/serving.py --peers_python PEERS/bin/python --checkpoint PATH --images DIR --json FILE

The peers are in `serving_peers`; those whose packages are missing are left out. Each server is started, warmed up and
measured alone, in rounds. The parts:

    closed    so many connections, each of which sends an image once the last is answered
    open      random arrivals at 70 % of LitServe's images/s at the most connections, and at 70 % of each one's own
    overload  three times what a server can take, ours and LitServe: refusals, memory, recovery
    soak      memory after many requests to ours
    start     until ready, with an empty and a filled compile cache
    lossless  reloads and SIGTERM under load, ours: requests lost

Latencies of `open` and `overload` count from when an image was due, not from when it was sent.
"""

import argparse
import json
import os
import platform
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import serving_parts as parts
import serving_report as report
from serving_servers import Server, missing, servers

_PARTS = ("closed", "open", "overload", "soak", "start", "lossless")


def main() -> None:
    """Measures and prints, part by part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [server.name for server in servers("", {}, "", [])]
    parser.add_argument("--checkpoint", help="default: torchvision's network with random weights")
    parser.add_argument(
        "--images", type=Path, metavar="DIR", help="JPEGs to send (default: scikit-learn's two, resized)"
    )
    parser.add_argument("--peers_python", default=sys.executable, help="that has the peers (default: this one)")
    parser.add_argument("--parts", type=_listed(_PARTS), default=list(_PARTS), help=f"of {','.join(_PARTS)}")
    parser.add_argument("--servers", type=_listed(names), default=names, help=f"of {','.join(names)}")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--seconds", type=float, default=20, help="of each load")
    parser.add_argument("--warmup", type=float, default=5, help="seconds of load after a start")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--share", type=float, default=0.7, help="of the most images a second, for the open loop")
    parser.add_argument("--rate", type=float, help="images a second of the open loop, instead")
    parser.add_argument("--soak", type=int, default=50000, metavar="N", help="requests")
    parser.add_argument(
        "--serve_options", default="", metavar="TEXT", help="more options of googlenet serve, one string"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="to write all figures to")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        material = make_material(flags, directory)
        images = material["pictures"] or sorted(str(file) for file in flags.images.iterdir() if is_jpeg(file))
        plan = parts.Plan(images, flags.connections, flags.seconds, flags.warmup, flags.rounds, flags.share, flags.soak)
        options = shlex.split(flags.serve_options)
        every = servers(material["checkpoint"], material["weights"], flags.peers_python, options)
        there = [server for server in every if server.name in flags.servers and is_there(server, material["weights"])]
        facts = {"processor": processor(), "python": platform.python_version(), "images": len(images)}
        print(f"{facts['processor']}; {len(images)} pictures; servers: {', '.join(s.name for s in there)}")
        run_parts(plan, there, flags, facts)


def run_parts(plan: parts.Plan, there: list[Server], flags: argparse.Namespace, facts: dict[str, Any]) -> None:
    """Runs the parts that were asked for.

    Args:
      plan: see there.
      there: the servers.
      flags: of the command line.
      facts: of the machine, to be written too.
    """
    ours = [server for server in there if server.ours]
    strained = [server for server in there if server.name.startswith(("ours", "litserve"))]
    maximum: dict[str, float] = {}
    common = flags.rate

    def keep(part: str, results: dict[str, Any]) -> None:
        facts[part] = results
        if flags.json:
            flags.json.write_text(json.dumps(facts, indent=2))

    if "closed" in flags.parts:
        loops, classes = parts.closed(plan, there)
        report.closed(loops)
        report.agreement(classes)
        maximum = {name: own[max(plan.connections)].images_per_second for name, own in loops.items()}
        keep("closed", {name: {n: m.summary() for n, m in own.items()} for name, own in loops.items()})
    elif {"open", "overload"} & set(flags.parts):
        maximum = parts.most(plan, there if "open" in flags.parts else strained)
    if "open" in flags.parts:
        peer = report.best(maximum, "litserve") or max(maximum, key=maximum.__getitem__)
        common = common or max(plan.share * maximum[peer], 0.5)
        own = {name: max(plan.share * rate, 0.5) for name, rate in maximum.items()}  # none may have been answered
        print(f"\ncommon rate: {common:.1f} images/s; {peer} took {maximum[peer]:.1f}")
        arrivals = parts.open_loop(plan, there, common, own)
        report.open_loop(arrivals)
        kept = {name: each | {k: each[k].summary() for k in ("common", "own")} for name, each in arrivals.items()}
        keep("open", kept)
    more: dict[str, Callable[[], dict[str, Any]]] = {
        "overload": lambda: parts.overload(plan, strained, maximum),
        "soak": lambda: parts.soak(plan, ours),
        "start": lambda: parts.start(plan, there),
        "lossless": lambda: parts.lossless(plan, ours),
    }
    for part, run in more.items():
        if part in flags.parts:
            results = run()
            getattr(report, part)(results)
            keep(part, results)


def make_material(flags: argparse.Namespace, directory: str) -> dict[str, Any]:
    """The checkpoint, the peers' weights and the pictures, see `serving_material.py`."""
    command = [sys.executable, str(Path(__file__).with_name("serving_material.py")), "--directory", directory]
    command += ["--checkpoint", flags.checkpoint] if flags.checkpoint else []
    command += [] if flags.images else ["--pictures"]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def is_jpeg(file: Path) -> bool:
    """Whether a file's name says so."""
    return file.suffix.lower() in (".jpg", ".jpeg")


def is_there(server: Server, weights: dict[str, str]) -> bool:
    """Whether a server can be started here; prints why not."""
    if server.ours:
        return True
    if server.name.rpartition("-")[2] not in weights:
        print(f"left out: {server.name}, the network has no weights for it")
        return False
    module = missing(server)
    if module:
        print(f"left out: {server.name}, as {server.command[0]} has no module {module}")
    return not module


def processor() -> str:
    """The processor's name and the cores that this process may use."""
    info = Path("/proc/cpuinfo").read_text()
    found = re.search(r"^model name\s*:\s*(.*)$", info, re.MULTILINE)
    return f"{found[1] if found else platform.machine()}, {len(os.sched_getaffinity(0))} cores"


def _listed(known: tuple[str, ...] | list[str]) -> Callable[[str], list[str]]:
    def listed(text: str) -> list[str]:
        chosen = text.split(",")
        if unknown := [name for name in chosen if name not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: known are {', '.join(known)}")
        return chosen

    return listed


if __name__ == "__main__":
    main()
