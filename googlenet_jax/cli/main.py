"""The `googlenet` command: one module a command."""

import sys

from googlenet_jax.cli import (
    attempt,
    benchmark,
    evaluate,
    explain,
    predict,
    prepare,
    report,
    serve,
    summary,
    sweep,
    transfer,
)
from googlenet_jax.cli.arguments import Parser
from googlenet_jax.errors import run_command
from googlenet_jax.system import runtime

_COMMANDS = (predict, evaluate, report, explain, benchmark, serve, transfer, prepare, sweep, summary, attempt)


def main() -> None:
    """Entry point of the `googlenet` command."""
    runtime.restart_with_large_pages()
    flags = make_parser().parse_args()
    sys.exit(run_command(lambda: flags.run(flags), flags.debug))


def make_parser() -> Parser:
    """The parser of all commands; what it parses has `run`, the function that does it."""
    parser = Parser(
        prog="googlenet",
        description="Use a trained GoogLeNet, or bring one in from elsewhere. (launch.py trains one.)",
        epilog="googlenet COMMAND --help says more of each command.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in _COMMANDS:
        module.add_command(commands)
    return parser
