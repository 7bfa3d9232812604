"""Arguments that several commands have."""

import argparse
import os
from collections.abc import Mapping
from typing import Any, NoReturn

from googlenet_jax.config.choices import RESIZES

CHECKPOINT = "a run (its best checkpoint), one of its checkpoints/<step>, an import, or an exported file"
TRAINED = "a run (its best checkpoint), one of its checkpoints/<step>, an import, or an exported .safetensors"


class Parser(argparse.ArgumentParser):
    """Ends with one line and status 2 for a mistake."""

    def error(self, message: str) -> NoReturn:
        """Prints the message and ends the process."""
        self.exit(2, f"error: {message} ({self.prog} --help shows the usage)\n")


def path(text: str) -> str:
    """A path or URL, with the user's home for a leading "~", which a shell leaves behind an equals sign."""
    return os.path.expanduser(text)


def positive(text: str) -> float:
    """A finite number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def count(text: str) -> int:
    """A whole number, 0 or more."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 0 or more")
    return int(text)


def at_least_one(text: str) -> int:
    """A whole number above 0."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def rows(table: Mapping[Any, Any]) -> str:
    """A table of `config.choices` as a help text."""
    return "; ".join(f"{name}: {getattr(row, 'help', row)}" for name, row in table.items())


def debug() -> Parser:
    """Parser of --debug, to be a parent of others."""
    parser = Parser(add_help=False)
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    return parser


def checkpoint(what: str = CHECKPOINT) -> Parser:
    """Parser of --checkpoint, to be a parent of others; `what` it may be."""
    parser = Parser(add_help=False)
    parser.add_argument("--checkpoint", required=True, type=path, metavar="PATH", help=what)
    return parser


def add_checkpoints(parser: argparse.ArgumentParser, several: str) -> None:
    """Adds --checkpoint as it may be given several times; `several` says what that does."""
    parser.add_argument(
        "--checkpoint", required=True, type=path, action="append", metavar="PATH", help=f"{CHECKPOINT}; {several}"
    )


def as_json() -> Parser:
    """Parser of --json, to be a parent of others."""
    parser = Parser(add_help=False)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser


def add_resize(parser: argparse.ArgumentParser) -> None:
    """Adds --resize."""
    parser.add_argument("--resize", choices=RESIZES, help=f"{rows(RESIZES)} (default: what the network came with)")
