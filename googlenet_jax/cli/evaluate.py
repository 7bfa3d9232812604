"""The `googlenet evaluate` command."""

import argparse
import json
import math
from typing import Any

from googlenet_jax.cli import arguments
from googlenet_jax.config.choices import TEST_CROPS
from googlenet_jax.errors import shown
from googlenet_jax.system import runtime

_MOST_CLASSES = 20


def add_command(commands: Any) -> None:
    """Adds it to the subparsers of the `googlenet` command."""
    parser = commands.add_parser(
        "evaluate",
        parents=[arguments.debug(), arguments.as_json()],
        help="top-1, top-5, loss and accuracy by class on validation images",
    )
    arguments.add_checkpoints(parser, "given several times, an ensemble: softmaxes are averaged")
    parser.add_argument(
        "--dataset",
        metavar="NAME",
        help="a config.dataset.name such as folder:PATH, whose classes are told by name and may be some of the "
        "network's; validation images alone will do (default: what it was trained on)",
    )
    parser.add_argument(
        "--crops",
        type=int,
        choices=TEST_CROPS,
        default=1,
        help=f"views of each image that are averaged; {arguments.rows(TEST_CROPS)}",
    )
    arguments.add_resize(parser)
    parser.set_defaults(run=_evaluate)


def _evaluate(flags: argparse.Namespace) -> None:
    show_evaluation(flags.checkpoint, flags.dataset, flags.crops, flags.resize, flags.json)


def show_evaluation(
    checkpoints: list[str],
    dataset: str | None = None,
    crops: int = 1,
    resize: str | None = None,
    as_json: bool = False,
) -> None:
    """Evaluates checkpoints together and prints the result.

    Args:
      checkpoints, dataset, crops, resize: as for `evaluate_checkpoints`.
      as_json: print JSON instead of tables.
    """
    runtime.configure_jax()
    from rich.progress import Progress
    from rich.table import Table
    from rich.text import Text

    from googlenet_jax.evaluate.checkpoints import evaluate_checkpoints
    from googlenet_jax.system.console import console, show_log

    show_log()
    with Progress(console=console, disable=not console.is_terminal or as_json, transient=True) as progress:
        task = progress.add_task("evaluating", total=None)

        def advance(done: int, total: int) -> None:
            progress.update(task, advance=done, total=total)

        values = evaluate_checkpoints(checkpoints, dataset, crops, resize, advance)
    if as_json:
        loss = values["loss"] if math.isfinite(values["loss"]) else None  # JSON knows no NaN
        print(json.dumps(values | {"loss": loss}, indent=2))
        return
    for checkpoint in values["checkpoints"]:
        path = shown(checkpoint["path"], 4096)
        console.print(f"{path} at step {checkpoint['step']}", soft_wrap=True, markup=False)
    table = Table("images", "crops", "top-1", "top-5", "loss")
    rates = (f"{values['top1']:.2%}", f"{values['top5']:.2%}", f"{values['loss']:.4f}")
    table.add_row(str(values["images"]), str(crops), *rates)
    console.print(table)
    counted = [(row["top1"], name, row["images"]) for name, row in values["per_class"].items() if row["images"]]
    title = "by class" if len(counted) <= _MOST_CLASSES else f"the {_MOST_CLASSES} hardest of {len(counted)} classes"
    by_class = Table("class", "images", "top-1", title=f"{title} (--json has all)", title_justify="left")
    for rate, name, images in sorted(counted)[:_MOST_CLASSES]:
        by_class.add_row(Text(shown(name)), str(images), f"{rate:.2%}")
    console.print(by_class)
