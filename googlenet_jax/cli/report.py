"""The `googlenet report` command."""

import argparse
import shlex
import sys
import time
from pathlib import Path
from typing import Any

from googlenet_jax.cli import arguments
from googlenet_jax.errors import UserError, where
from googlenet_jax.system import runtime, storage


def add_command(commands: Any) -> None:
    """Adds it to the subparsers of the `googlenet` command."""
    parser = commands.add_parser(
        "report",
        parents=[arguments.debug()],
        help="one page on what a network learnt, where it fails, and whether it is better than another",
        description="Looks at all validation images once and writes report/index.html into the run, a page that needs "
        "no network, with every number beside it as JSON and CSV.",
    )
    add = parser.add_argument
    add("checkpoint", type=arguments.path, metavar="RUN", help=arguments.CHECKPOINT)
    add(
        "others",
        type=arguments.path,
        nargs="*",
        metavar="RUN",
        help="runs whose curves are drawn too; those that differ in their seed alone are one curve, their mean and sd",
    )
    add("--dataset", metavar="NAME", help="a config.dataset.name, as for evaluate (default: the network's own)")
    add(
        "--baseline",
        type=arguments.path,
        metavar="RUN",
        help="another network with the same classes, which sees the same images: is the difference more than chance?",
    )
    add(
        "--output",
        type=arguments.path,
        metavar="FILE",
        help="the page, .html (default: report/index.html in the run; beside an exported file NAME_report/index.html); "
        "its numbers lie beside an index.html, or else in NAME_files",
    )
    add("--figures", action="store_true", help="the figures too, as SVG and PNG, in figures/ beside the numbers")
    add(
        "--sample",
        type=arguments.count,
        metavar="N",
        help="images of which 10 and 144 crops are seen (default: as many as take a fifth of the time, if that is 16 "
        "or more); 0: nor other precisions, maps of where it looks, nearest training images",
    )
    add(
        "--save_temperature",
        action="store_true",
        help="put the fitted temperature into the checkpoint, for predict, evaluate, export and serve to use",
    )
    parser.set_defaults(run=_report)


def _report(flags: argparse.Namespace) -> None:
    output = _output(flags.checkpoint, flags.output)
    if flags.save_temperature and not Path(flags.checkpoint).is_dir():
        raise UserError(f"--save_temperature: {where(flags.checkpoint)} is no run or checkpoint of this machine")
    runtime.configure_jax()
    from rich.progress import Progress

    from googlenet_jax.report.report import make_report, numbers_of
    from googlenet_jax.runs.checkpoint import set_temperature
    from googlenet_jax.system.console import error_console, show_log

    show_log()
    start = time.monotonic()
    tasks: dict[str, Any] = {}
    with Progress(console=error_console, disable=not error_console.is_terminal, transient=True) as progress:

        def advance(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total)
            progress.update(tasks[what], advance=done)

        command = shlex.join(["googlenet", *sys.argv[1:]])
        data = make_report(
            flags.checkpoint,
            output,
            flags.dataset,
            flags.baseline,
            flags.others,
            flags.sample,
            flags.figures,
            command,
            advance,
        )
    calibration = data["calibration"]
    images, headline = data["dataset"]["images"], data["headline"]
    top1, top5, loss = (headline[name] for name in ("top1", "top5", "loss"))
    interval = f"95 %: {top1['low']:.2%} to {top1['high']:.2%}"
    print(
        f"{images} images: top-1 {top1['value']:.2%} ({interval}), top-5 {top5['value']:.2%}, loss {loss['value']:.4f}"
    )
    if data["baseline"]:
        other = data["baseline"]
        p = other["p"]
        verdict = (f"p = {p:.2g}" if p >= 1e-4 else "p < 0.0001") + ("" if p < 0.05 else ", tied within noise")
        print(
            f"baseline: top-1 {other['top1']['value']:.2%}; {other['only_this']} images right here alone, "
            f"{other['only_baseline']} there alone ({verdict})"
        )
    if flags.save_temperature:
        temperature = calibration["temperature"] * calibration["stored"]
        print(f"temperature {temperature:.4f} stored in {set_temperature(flags.checkpoint, temperature, data['step'])}")
    took = f"{time.monotonic() - start:.1f} s"
    print(f"written to {output} in {took}: open it in a browser; its numbers are in {numbers_of(output)}")


def _output(checkpoint: str, given: str | None) -> Path:
    if given is not None:
        output = Path(given)
        if output.suffix != ".html":
            raise UserError(f"--output {where(given)}: the page's name ends in .html")
        return output
    if storage.is_url(checkpoint):
        raise UserError(f"{checkpoint} is no directory of this machine: give --output FILE.html")
    place = Path(checkpoint)
    if place.is_dir():
        return place / "report" / "index.html"
    return place.with_name(f"{place.stem}_report") / "index.html"
