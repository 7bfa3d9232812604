"""The `googlenet benchmark` command."""

import argparse
import json
from typing import Any

from googlenet_jax.cli import arguments
from googlenet_jax.errors import shown
from googlenet_jax.system import runtime


def add_command(commands: Any) -> None:
    """Adds it to the subparsers of the `googlenet` command."""
    parser = commands.add_parser(
        "benchmark",
        parents=[arguments.debug(), arguments.as_json()],
        help="images a second and latency of networks, side by side",
        description="Times checkpoints and exported files in turns, on this machine, by the number of images a call; "
        "with JPEG files of 640 x 427 pixels in memory too.",
    )
    arguments.add_checkpoints(parser, "may be given several times")
    parser.add_argument(
        "--batch", type=_batches, default=[1, 8, 32], metavar="N,...", help="images a call (default 1,8,32)"
    )
    parser.add_argument(
        "--seconds", type=arguments.positive, default=2.0, metavar="S", help="for each of them (default %(default)s)"
    )
    parser.set_defaults(run=_benchmark)


def _batches(text: str) -> list[int]:
    return [arguments.at_least_one(part) for part in text.split(",")]


def _benchmark(flags: argparse.Namespace) -> None:
    runtime.configure_jax()
    from rich.markup import escape
    from rich.progress import Progress
    from rich.table import Table

    from googlenet_jax.evaluate.timing import time_networks, turns
    from googlenet_jax.net import load
    from googlenet_jax.system.console import console, error_console

    nets = [load(path) for path in flags.checkpoint]
    with Progress(console=error_console, disable=not error_console.is_terminal, transient=True) as progress:
        task = progress.add_task("measuring", total=turns(len(nets), len(flags.batch)))
        timings = time_networks(nets, flags.batch, flags.seconds, lambda: progress.advance(task))
    if flags.json:
        found = zip(flags.checkpoint, timings, strict=True)
        print(json.dumps([{"checkpoint": path} | t._asdict() for path, each in found for t in each], indent=2))
        return
    table = Table("network", "batch", "images/s", "median ms", "p99 ms", "images/s from JPEGs")
    for path, each in zip(flags.checkpoint, timings, strict=True):
        for t in each:
            figures = (t.images_per_second, t.median, t.p99, t.decoded_images_per_second)
            table.add_row(escape(shown(path, 60)), str(t.batch), *(f"{figure:.1f}" for figure in figures))
    console.print(table)
