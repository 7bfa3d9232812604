"""The `googlenet predict` command."""

import argparse
import functools
import itertools
import json
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from googlenet_jax.cli import arguments
from googlenet_jax.cli.images import Named, named_images
from googlenet_jax.errors import UserError, reason, shown, where
from googlenet_jax.system import runtime
from googlenet_jax.system.ahead import in_order

if TYPE_CHECKING:
    from googlenet_jax.classifier import Classifier, Prediction

_BATCH = 64  # images; what a network is compiled for at most, see `Classifier.probabilities`
_MOST_SHOWN = 4096  # characters of a path


def add_command(commands: Any) -> None:
    """Adds it to the subparsers of the `googlenet` command."""
    parents = [arguments.debug(), arguments.checkpoint(), arguments.as_json()]
    parser = commands.add_parser("predict", parents=parents, help="classify image files")
    parser.add_argument(
        "images",
        nargs="+",
        type=arguments.path,
        metavar="IMAGE",
        help="files; directories, for the images in them at any depth; patterns such as 'cats/*.jpg', quoted; or - for "
        "standard input, an image or a path a line. The exit status is 1 if one of them cannot be read",
    )
    parser.add_argument("--top", type=int, default=5, metavar="K", help="classes to name (default %(default)s)")
    parser.set_defaults(run=_predict)


def _predict(flags: argparse.Namespace) -> int:
    if flags.top < 1:
        raise UserError(f"--top {flags.top}: at least 1")
    images, total = named_images(flags.images)
    runtime.configure_jax()
    from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

    from googlenet_jax.net import load
    from googlenet_jax.system.console import console, error_console

    net = load(flags.checkpoint)
    # On a terminal results go above the bar; if standard output leads elsewhere, the bar has the terminal for itself.
    show: Callable[..., object] = print
    if console.is_terminal:
        show = functools.partial(console.print, markup=False, soft_wrap=True)
    terminal = console if console.is_terminal else error_console
    hidden = not terminal.is_terminal or (flags.json and terminal is console)
    failed = done = 0
    start = time.monotonic()
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(
        *columns, console=terminal, disable=hidden, transient=True, redirect_stdout=console.is_terminal
    ) as progress:
        task = progress.add_task("predicting", total=total)
        for name, result in _results(net, images, flags.top):
            if flags.json:
                show(",\n" if done else "[\n", _json_entry(name, result), sep="", end="")
            else:
                show(_table(name, result))
            failed += isinstance(result, str)
            done += 1
            progress.advance(task)
    if flags.json:
        show("\n]")
    if done > _BATCH:
        seconds = time.monotonic() - start
        error_console.print(f"{done} images in {seconds:.1f} s, {done / seconds:.0f} images/s")
    return 1 if failed else 0


def _results(net: "Classifier", images: Iterator[Named], top: int) -> "Iterator[tuple[str, Prediction | str]]":
    """(name, prediction or why there is none) of each image, a batch at a time."""
    with ThreadPoolExecutor(runtime.cpu_cores()) as threads:
        read = in_order(threads, lambda image: (image.name, _crop(net, image)), images, _BATCH)
        while batch := list(itertools.islice(read, _BATCH)):
            predictions = iter(net.predict([crop for _, crop in batch if not isinstance(crop, str)], top))
            for name, crop in batch:
                yield name, crop if isinstance(crop, str) else next(predictions)


def _crop(net: "Classifier", image: Named) -> np.ndarray | str:
    """What the network sees of an image, (size, size, 3) uint8; or why it cannot be read."""
    from googlenet_jax.data.pictures.picture import decode_image, read_image

    if image.problem:
        return image.problem
    try:
        return net.preprocess.crop(
            read_image(image.name) if image.data is None else decode_image(image.data, image.name)
        )
    except (UserError, OSError) as error:
        problem = str(error)
        for name in (where(image.name), image.name):
            problem = problem.removeprefix(f"{name}: ")
        return problem
    except MemoryError as error:
        return reason(error)


def _table(name: str, result: "Prediction | str") -> str:
    lines = [shown(name, _MOST_SHOWN)]
    if isinstance(result, str):
        lines.append(f"  cannot be read: {shown(result, 400)}")
    else:
        rows = zip(result.labels, result.probabilities, strict=True)
        lines += [f"  {100 * probability:6.2f} %  {shown(label, 400)}" for label, probability in rows]
    return "\n".join(lines)


def _json_entry(name: str, result: "Prediction | str") -> str:
    found = {"error": result} if isinstance(result, str) else result._asdict()
    return textwrap.indent(json.dumps({"image": name, **found}, indent=2), "  ")
