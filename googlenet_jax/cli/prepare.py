"""The `googlenet prepare` command."""

import argparse
import shlex
from pathlib import Path
from typing import Any

from googlenet_jax.cli import arguments
from googlenet_jax.config.fields import FIELDS
from googlenet_jax.errors import UserError
from googlenet_jax.system import storage


def add_command(commands: Any) -> None:
    """Adds it to the subparsers of the `googlenet` command."""
    parser = commands.add_parser(
        "prepare",
        parents=[arguments.debug()],
        help="datasets into fast random-access files",
        description="Packs a dataset into files that training reads at random. Stopped, the same command goes on.",
    )
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="folder:PATH (as config.dataset.name), imagenet (with --train, --val and --devkit), or tfds:NAME",
    )
    parser.add_argument(
        "--output",
        type=arguments.path,
        metavar="DIR",
        help="directory to write; for tfds:NAME the data_dir (default: TFDS's own)",
    )
    parser.add_argument(
        "--tiles",
        action="store_true",
        help="write JPEG files again, without loss, with restart markers: training then decodes only what it crops. "
        "Takes about 4 ms an image and pip install 'googlenet-jax[tiles]'",
    )
    parser.add_argument(
        "--short_side",
        type=int,
        metavar="PIXELS",
        help="shrink images whose shorter side is longer to that and store them as JPEG: smaller files, read faster; "
        "1.4 times the side of crops keeps the accuracy (docs/data.md)",
    )
    parser.add_argument(
        "--train",
        type=arguments.path,
        metavar="TAR",
        help="ILSVRC2012_img_train.tar",
    )
    parser.add_argument(
        "--val",
        type=arguments.path,
        metavar="TAR",
        help="ILSVRC2012_img_val.tar",
    )
    parser.add_argument(
        "--devkit",
        type=arguments.path,
        metavar="TAR",
        help="ILSVRC2012_devkit_t12.tar.gz",
    )
    parser.add_argument(
        "--val_fraction",
        type=float,
        metavar="SHARE",
        help="for a folder without validation images: share of its training images, of every class, to validate on",
    )
    parser.add_argument(
        "--manual_dir",
        type=arguments.path,
        metavar="DIR",
        help="for tfds:NAME: official archives that lie here are not downloaded",
    )
    parser.set_defaults(run=_prepare)


def _prepare(flags: argparse.Namespace) -> None:
    kind, _, place = flags.source.partition(":")
    if kind == "tfds" and place:
        _refuse(flags, "train", "val", "devkit", "tiles", "short_side", "val_fraction")
        _prepare_tfds(place, flags)
    elif kind == "folder" and place:
        _refuse(flags, "train", "val", "devkit", "manual_dir")
        share = FIELDS["dataset.val_fraction"]
        if flags.val_fraction is not None and not share.accepts(flags.val_fraction):
            raise UserError(f"--val_fraction {flags.val_fraction:g}: {share.allowed}")
        _pack(flags)
    elif flags.source == "imagenet":
        _refuse(flags, "manual_dir", "val_fraction")
        _pack(flags)
    else:
        raise UserError(f"{flags.source}: give folder:PATH, imagenet or tfds:NAME")


def _refuse(flags: argparse.Namespace, *names: str) -> None:
    for name in names:
        if getattr(flags, name):
            raise UserError(f"--{name} does not go with {flags.source}")


def _path(flags: argparse.Namespace, name: str) -> Path:
    given = getattr(flags, name)
    if not given:
        raise UserError(f"googlenet prepare {flags.source} needs --{name}")
    if storage.is_url(given):
        raise UserError(f"--{name} {given}: prepare on this machine, and copy the directory into the bucket")
    return Path(given)


def _prepare_tfds(name: str, flags: argparse.Namespace) -> None:
    from googlenet_jax.prepare.tfds import prepare_tfds

    output, manual = (Path(path) if path else None for path in (flags.output, flags.manual_dir))
    written = prepare_tfds(name, output, manual)
    print(f"written to {written}")
    _print_next(f"tfds:{name}{f'@{output}' if output else ''}")


def _pack(flags: argparse.Namespace) -> None:
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from googlenet_jax.prepare.form import Form
    from googlenet_jax.system.console import console, show_log

    if flags.short_side is not None and flags.short_side < 8:
        raise UserError(f"--short_side {flags.short_side}: 8 pixels or more")
    show_log(alone=True)
    output, form = _path(flags, "output"), Form(flags.tiles, flags.short_side)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as progress:
        tasks: dict[str, Any] = {}

        def advance(split: str, done: int, total: int) -> None:
            if split not in tasks:
                tasks[split] = progress.add_task(split, total=total)
            progress.update(tasks[split], completed=done)

        if flags.source == "imagenet":
            from googlenet_jax.prepare.imagenet import prepare_imagenet

            archives = (_path(flags, "train"), _path(flags, "val"), _path(flags, "devkit"))
            summary = prepare_imagenet(*archives, output, form, advance)
        else:
            from googlenet_jax.prepare.folder import prepare_folder

            place = flags.source.partition(":")[2]
            summary = prepare_folder(place, output, form, advance, flags.val_fraction)
    print(f"{', '.join(f'{count} {split}' for split, count in summary['images'].items())} images written to {output}")
    if summary.get("left_out"):
        print(f"{summary['left_out']} files could not be opened and are left out, see above")
    if flags.short_side is not None:
        print(f"{summary['shrunk']} shrunk to a shorter side of {flags.short_side} pixels")
        if summary["unreadable"]:
            print(f"{summary['unreadable']} could not be read and stay as they were")
    if flags.tiles:
        plain = "; ".join(f"{count} ({reason})" for reason, count in sorted(summary["plain"].items()))
        print(f"{summary['tiled']} in tiles" + (f", as they were: {plain}" if plain else ""))
    _print_next(f"records:{output}")


def _print_next(dataset: str) -> None:
    print(f"next: python launch.py --config RECIPE {shlex.quote(f'--config.dataset.name={dataset}')}")
