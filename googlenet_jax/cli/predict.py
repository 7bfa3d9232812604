"""The `googlenet predict` command."""

import argparse
import json
from pathlib import Path
from typing import Any

from googlenet_jax.cli import arguments
from googlenet_jax.errors import UserError
from googlenet_jax.system import runtime


def add_command(commands: Any) -> None:
    """Adds it to the subparsers of the `googlenet` command."""
    parents = [arguments.debug(), arguments.checkpoint(), arguments.as_json()]
    parser = commands.add_parser("predict", parents=parents, help="classify image files")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="image files")
    parser.add_argument("--top", type=int, default=5, metavar="K", help="classes to name (default %(default)s)")
    parser.set_defaults(run=_predict)


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
