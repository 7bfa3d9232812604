"""The `googlenet` command: parse, call, print."""

import argparse
import json
import sys
from pathlib import Path
from typing import NoReturn

from googlenet_jax import cli_prepare, runtime
from googlenet_jax import cli_transfer as transfer
from googlenet_jax.errors import UserError, run_command

_MOST_CLASSES = 20


def main() -> None:
    """Entry point of the `googlenet` command."""
    runtime.restart_with_large_pages()
    flags = _parser().parse_args()
    sys.exit(run_command(lambda: flags.run(flags), flags.debug))


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message} ({self.prog} --help shows the usage)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="googlenet",
        description="Use a trained GoogLeNet, or bring one in from elsewhere. (launch.py trains one.)",
        epilog="googlenet COMMAND --help says more of each command.",
    )
    common = _Parser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show tracebacks")
    checkpoint = _Parser(add_help=False)
    where = "a run (its best checkpoint), one of its checkpoints/<step>, or an import"
    checkpoint.add_argument("--checkpoint", required=True, metavar="PATH", help=where)
    json_flag = _Parser(add_help=False)
    json_flag.add_argument("--json", action="store_true", help="print JSON instead of a table")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    predict = commands.add_parser("predict", parents=[common, checkpoint, json_flag], help="classify image files")
    predict.add_argument("images", nargs="+", metavar="IMAGE", help="image files")
    predict.add_argument("--top", type=int, default=5, metavar="K", help="classes to name (default %(default)s)")
    predict.set_defaults(run=_predict)

    evaluate = commands.add_parser(
        "evaluate", parents=[common, json_flag], help="top-1, top-5, loss and accuracy by class on validation images"
    )
    evaluate.add_argument(
        "--checkpoint",
        required=True,
        action="append",
        metavar="PATH",
        help=f"{where}; given several times, an ensemble: softmaxes are averaged",
    )
    evaluate.add_argument(
        "--dataset", metavar="NAME", help="a config.dataset.name such as folder:PATH (default: what it was trained on)"
    )
    evaluate.add_argument(
        "--crops",
        type=int,
        choices=(1, 10, 144),
        default=1,
        help="views of each image that are averaged: the centre; corners and centre, mirrored; the paper's 144",
    )
    evaluate.add_argument(
        "--resize",
        choices=("short", "square"),
        help="images keep their shape, as torchvision has it, or are made square first, as Caffe does "
        "(default: what the network came with)",
    )
    evaluate.set_defaults(
        run=lambda flags: show_evaluation(flags.checkpoint, flags.dataset, flags.crops, flags.resize, flags.json)
    )
    transfer.add_commands(commands, [common], checkpoint)
    cli_prepare.add_command(commands, [common])

    summary = commands.add_parser(
        "summary", parents=[common, json_flag], help="the network as a table like the paper's Table 1"
    )
    summary.add_argument(
        "--variant", default="paper", help="paper, batchnorm, torchvision, mindcv, mindspore, paddleclas"
    )
    summary.add_argument("--stem", default="paper", help="paper, or small for images of 64 px and less")
    summary.add_argument("--num_classes", type=int, default=1000, metavar="N", help="default %(default)s")
    summary.add_argument("--image_size", type=int, default=224, metavar="PX", help="default %(default)s")
    summary.set_defaults(run=_summary)
    return parser


def _predict(flags: argparse.Namespace) -> None:
    if flags.top < 1:
        raise UserError(f"--top {flags.top}: at least 1")
    for image in flags.images:
        if not Path(image).is_file():
            raise UserError(f"{image}: there is no such file")
    runtime.configure_jax()
    from googlenet_jax.net import load

    predictions = load(flags.checkpoint).predict(flags.images, flags.top)
    if flags.json:
        rows = (prediction._asdict() for prediction in predictions)
        print(json.dumps([{"image": image, **row} for image, row in zip(flags.images, rows, strict=True)], indent=2))
        return
    for image, prediction in zip(flags.images, predictions, strict=True):
        print(image)
        for label, probability in zip(prediction.labels, prediction.probabilities, strict=True):
            print(f"  {100 * probability:6.2f} %  {label}")


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

    from googlenet_jax.console import console, show_log
    from googlenet_jax.evaluate import evaluate_checkpoints

    show_log()
    with Progress(console=console, disable=not console.is_terminal or as_json, transient=True) as progress:
        task = progress.add_task("evaluating", total=None)

        def advance(done: int, total: int) -> None:
            progress.update(task, advance=done, total=total)

        values = evaluate_checkpoints(checkpoints, dataset, crops, resize, advance)
    if as_json:
        print(json.dumps(values, indent=2))
        return
    for checkpoint in values["checkpoints"]:
        console.print(f"{checkpoint['path']} at step {checkpoint['step']}", soft_wrap=True)
    table = Table("images", "crops", "top-1", "top-5", "loss")
    rates = (f"{values['top1']:.2%}", f"{values['top5']:.2%}", f"{values['loss']:.4f}")
    table.add_row(str(values["images"]), str(crops), *rates)
    console.print(table)
    counted = [(row["top1"], name, row["images"]) for name, row in values["per_class"].items() if row["images"]]
    title = "by class" if len(counted) <= _MOST_CLASSES else f"the {_MOST_CLASSES} hardest of {len(counted)} classes"
    by_class = Table("class", "images", "top-1", title=f"{title} (--json has all)", title_justify="left")
    for rate, name, images in sorted(counted)[:_MOST_CLASSES]:
        by_class.add_row(name, str(images), f"{rate:.2%}")
    console.print(by_class)


def _summary(flags: argparse.Namespace) -> None:
    if flags.num_classes < 1 or flags.image_size < 8:
        raise UserError("--num_classes takes 1 or more, --image_size 8 or more")
    runtime.configure_jax()
    from rich.table import Table

    from googlenet_jax.console import console
    from googlenet_jax.models.googlenet import GoogLeNet
    from googlenet_jax.models.summary import PAPER_TABLE_1, summarize
    from googlenet_jax.models.variants import get_variant

    try:
        variant = get_variant(flags.variant, flags.stem)
    except ValueError as error:
        raise UserError(str(error)) from None
    rows = summarize(GoogLeNet(flags.num_classes, variant), flags.image_size)
    main = [row for row in rows if not row.name.startswith("aux")]
    totals = {
        "total": [sum(r.parameters for r in main), sum(r.multiply_adds for r in main)],
        "total with aux": [sum(r.parameters for r in rows), sum(r.multiply_adds for r in rows)],
    }
    if flags.json:
        print(json.dumps({"layers": [row._asdict() for row in rows], "totals": totals}, indent=2))
        return
    columns = ("layer", "output", "parameters", "mult-adds", "paper: par.", "mult-adds")
    table = Table(*columns, title=f"GoogLeNet, {flags.variant}, {flags.image_size} px, {flags.num_classes} classes")
    for column in table.columns[2:]:
        column.justify = "right"
    for row in rows:
        paper = PAPER_TABLE_1.get(row.name)
        cells = (f"{paper[0]:g}K", f"{paper[1]}M") if paper else ("", "")
        table.add_row(
            row.name, "x".join(map(str, row.shape)), f"{row.parameters:,}", _millions(row.multiply_adds), *cells
        )
    table.add_section()
    for name, (parameters, multiply_adds) in totals.items():
        table.add_row(name, "", f"{parameters:,}", _millions(multiply_adds), "", "")
    console.print(table)


def _millions(count: int) -> str:
    return f"{count / 1e6:,.1f}M"


if __name__ == "__main__":
    main()
