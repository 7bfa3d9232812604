"""The `googlenet serve` command."""

import argparse
import functools
import importlib.util
import logging
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from googlenet_jax.cli import arguments
from googlenet_jax.errors import UserError, shown, where
from googlenet_jax.serve import ENSEMBLE
from googlenet_jax.serve.limits import Limits
from googlenet_jax.system import runtime

if TYPE_CHECKING:
    from googlenet_jax.classifier import Classifier

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_PACKAGES = ("prometheus_client", "python_multipart", "starlette", "uvicorn")
_BACKENDS = ("jax", "onnxruntime")
_BATCH_ON_CPU = 8


def add_command(commands: Any) -> None:
    """Adds it to the subparsers of the `googlenet` command."""
    parser = commands.add_parser(
        "serve",
        parents=[arguments.debug()],
        help="classify pictures over HTTP, with a page for people",
        description="Serves networks over HTTP: a page at /, POST /api, the Open Inference Protocol under /v2, "
        "/metrics for Prometheus, /docs. From a terminal: curl -F image=@cat.jpg http://localhost:9999/api",
        epilog="SIGTERM: /health/ready turns 503, what was admitted is answered, the exit status is 0. SIGHUP: the "
        "checkpoints are read again.",
    )
    add = parser.add_argument
    add(
        "--checkpoint",
        required=True,
        type=arguments.path,
        action="append",
        metavar="[NAME=]PATH",
        help=f"{arguments.CHECKPOINT}; given several times: models by name, the first answers where none is named",
    )
    add("--ensemble", action="store_true", help="the mean of all of them as one more model, ensemble")
    add("--host", default="127.0.0.1", help="address to listen at, 0.0.0.0 for all networks (default %(default)s)")
    add("--port", "-p", type=_port, default=9999, help="0 takes a free one (default %(default)s)")
    add("--cpu", "-C", action="store_true", help="run on the CPU even where there is a GPU")
    add(
        "--backend",
        choices=_BACKENDS,
        help="what runs checkpoints (default jax); onnxruntime is faster on a CPU. Exported files have their own",
    )
    add(
        "--max_batch",
        type=arguments.at_least_one,
        metavar="N",
        help=f"images that the network sees at once (default {Limits.max_batch}; "
        f"on a CPU {_BATCH_ON_CPU}: more are no faster)",
    )
    add(
        "--max_delay_ms",
        type=_not_negative,
        default=Limits.max_delay_ms,
        metavar="MS",
        help="how long a free device waits for more images (default 0: it takes what is there)",
    )
    add(
        "--queue",
        type=arguments.at_least_one,
        default=Limits.queue,
        metavar="N",
        help="images that wait; beyond them the answer is 429 (default %(default)s)",
    )
    add(
        "--max_bytes",
        type=arguments.at_least_one,
        default=Limits.max_bytes,
        metavar="N",
        help="of a request's body (default %(default)s)",
    )
    add(
        "--max_pixels",
        type=arguments.at_least_one,
        default=Limits.max_pixels,
        metavar="N",
        help="of an image, by its header (default %(default)s)",
    )
    add(
        "--threads",
        type=arguments.at_least_one,
        default=runtime.cpu_cores(),
        metavar="N",
        help="that decode images (default: one a core, %(default)s)",
    )
    add(
        "--top",
        type=arguments.at_least_one,
        default=Limits.top,
        metavar="K",
        help="classes to name (default %(default)s)",
    )
    add(
        "--deadline",
        type=arguments.positive,
        default=Limits.deadline,
        metavar="S",
        help="seconds for a request to arrive, and for its answer (default %(default)s)",
    )
    add(
        "--grace",
        type=arguments.positive,
        default=30.0,
        metavar="S",
        help="seconds from SIGTERM to the end, at most (default %(default)s)",
    )
    add("--auth_token_file", type=arguments.path, metavar="FILE", help="requests must bring the token in it (Bearer)")
    add(
        "--cors",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="pages of this site may ask, * for all; may be repeated",
    )
    add("--allow_stop", action="store_true", help="POST /command/stop from this machine ends the server")
    parser.set_defaults(run=_serve)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, 0 to 65535")
    return int(text)


def _not_negative(text: str) -> float:
    return 0.0 if text == "0" else arguments.positive(text)


def _serve(flags: argparse.Namespace) -> None:
    if lacking := [name for name in _PACKAGES if importlib.util.find_spec(name) is None]:
        raise UserError(f"serving needs {', '.join(lacking)}: pip install 'googlenet-jax[serve]'")
    if flags.cpu:
        os.environ["JAX_PLATFORMS"] = "cpu"
    sources = _sources(flags.checkpoint)
    _check(flags, sources)
    token = _token(flags.auth_token_file)
    runtime.configure_jax()
    import jax
    from rich.progress import Progress

    from googlenet_jax.serve.app import make_app
    from googlenet_jax.serve.server import Server, listen
    from googlenet_jax.serve.service import Service
    from googlenet_jax.system.console import error_console, print_what_can_be

    print_what_can_be()
    _log_to_standard_error()
    start = time.monotonic()
    listening = listen(flags.host, flags.port)
    limits = Limits(
        max_batch=flags.max_batch
        or min(_BATCH_ON_CPU if jax.default_backend() == "cpu" else Limits.max_batch, flags.queue),
        max_delay_ms=flags.max_delay_ms,
        queue=flags.queue,
        max_bytes=flags.max_bytes,
        max_pixels=flags.max_pixels,
        threads=flags.threads,
        top=flags.top,
        deadline=flags.deadline,
    )
    service = Service(sources, functools.partial(_open, backend=flags.backend), limits, flags.ensemble)
    app = functools.partial(make_app, service, allow_stop=flags.allow_stop, token=token, origins=tuple(flags.cors))
    server = Server(service, app, listening, flags.grace)
    address = _address(*listening.getsockname()[:2])

    def load() -> None:
        print(f"serving {', '.join(service.names)} at {address}, ready when all is compiled", flush=True)
        with Progress(console=error_console, disable=not error_console.is_terminal, transient=True) as progress:
            task = progress.add_task("loading and compiling", total=service.compilations)
            service.load(advance=lambda: progress.advance(task))
        print(f"ready after {time.monotonic() - start:.1f} s: curl -F image=@cat.jpg {address}/api", flush=True)

    server.run(load)


def _log_to_standard_error() -> None:
    """A line an event, of which the access log's are JSON."""
    log = logging.getLogger("googlenet_jax")
    log.addHandler(logging.StreamHandler(sys.stderr))
    log.setLevel(logging.INFO)
    log.propagate = False


def _address(host: str, port: int) -> str:
    known = {"0.0.0.0": "localhost", "::": "localhost"}.get(host, host)
    return f"http://[{known}]:{port}" if ":" in known else f"http://{known}:{port}"


def _sources(given: list[str]) -> dict[str, str]:
    """Each model's checkpoint by its name: the one before an equals sign, or the last part of the path."""
    found: dict[str, str] = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not equals or not _NAME.fullmatch(name) or Path(text).exists():
            name, path = re.sub(r"[^A-Za-z0-9_.-]+", "-", Path(text).stem).strip("-.")[:64] or "googlenet", text
        if name in found:
            raise UserError(f"--checkpoint: two models are called {name}; name them, --checkpoint other={shown(path)}")
        found[name] = arguments.path(path)
    return found


def _check(flags: argparse.Namespace, sources: dict[str, str]) -> None:
    if flags.ensemble and len(sources) < 2:
        raise UserError("--ensemble: give --checkpoint at least twice")
    if flags.ensemble and ENSEMBLE in sources:
        raise UserError(f"--checkpoint {ENSEMBLE}=...: with --ensemble that is the name of all of them together")
    if flags.max_batch is not None and flags.queue < flags.max_batch:
        raise UserError(f"--queue {flags.queue}: at least --max_batch, {flags.max_batch}")


def _token(path: str | None) -> str:
    if path is None:
        return ""
    token = Path(path).read_text(encoding="ascii", errors="replace").strip()
    if not token or not token.isprintable() or not token.isascii() or " " in token:
        raise UserError(f"--auth_token_file {where(path)}: one line of letters, digits and signs is asked for")
    return token


def _open(path: str, newest: bool, backend: str | None) -> "Classifier":
    """Loads a checkpoint (see `load`) or exported file; for ONNX Runtime a checkpoint is exported first."""
    from googlenet_jax.net import Net, load

    net = load(path, newest)
    if backend == "onnxruntime" and isinstance(net, Net):
        from googlenet_jax.export.exporting import export
        from googlenet_jax.export.target import Options

        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory) / "network.onnx"
            if unverified := export(net, path, "onnx", file, Options()).unverified:
                raise UserError(f"--backend onnxruntime: {unverified}")
            return load(file)
    return net
