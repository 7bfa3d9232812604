"""Trains or evaluates a GoogLeNet from a configuration.

  python launch.py                                               real digits on this machine, no download
  python launch.py --config configs/imagenet_8gpu.py --workdir runs/imagenet
  python launch.py --config configs/cifar10.py --config.optimizer.learning_rate=0.05
  python launch.py --workdir runs/imagenet                       go on with that run
  python launch.py --config runs/imagenet/config.json            start again from a run's own configuration

--config.GROUP.FIELD=VALUE changes a field; googlenet_jax/config/fields.py lists all, with defaults and units.
"""

import argparse
import gc
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from googlenet_jax.cli import arguments, sweeping
from googlenet_jax.config.checks import known_field
from googlenet_jax.config.fields import FIELDS
from googlenet_jax.config.overrides import override
from googlenet_jax.config.recipes import read_recipe, split_argument
from googlenet_jax.errors import UserError, run_command
from googlenet_jax.system import heartbeat, runtime, storage
from googlenet_jax.system.files import new_directory
from googlenet_jax.system.processes import join_processes

_OVERRIDE = re.compile(r"--?(no)?config\.([^=]+)(?:=(.*))?", re.DOTALL)


def main(default_recipe: Path) -> None:
    """Does what the command line asks for, and ends the process.

    Args:
      default_recipe: what is trained when the command line names nothing.
    """
    runtime.restart_with_large_pages()
    debug = "--debug" in sys.argv
    sys.exit(heartbeat.together(lambda: run_command(lambda: _run(sys.argv[1:], default_recipe), debug)))


def _run(argv: Sequence[str], default_recipe: Path) -> int | None:
    changes, rest = take_overrides(argv)
    flags, unknown = make_parser().parse_known_args(rest)
    if unknown:
        raise UserError(f"unexpected argument {unknown[0]!r}; --help shows the usage")
    sweeping.check_options(flags)
    if flags.mode == "evaluate":
        _evaluate(flags, changes)
        return None
    path, argument = _recipe(flags, default_recipe)
    config = override(read_recipe(path, argument), changes)
    program = default_recipe.parents[1] / "launch.py"
    if flags.sweep:
        return sweeping.run_sweep(flags, flags.config or str(path), config, changes, program)
    if flags.executor not in (None, "local"):
        sweeping.run_on_cluster(flags, config, str(flags.workdir or _default_workdir(path)), program)
        return None
    # JAX begins here, so that a mistake on the command line need not wait for it. Its callback of Python's garbage
    # collector would swallow a Ctrl-C meanwhile.
    gc.disable()
    join_processes()
    runtime.configure_jax()
    from googlenet_jax.system import console

    console.show_log(steady=True)
    from googlenet_jax.train.loop import train_and_evaluate

    gc.enable()
    train_and_evaluate(config, flags.workdir or _default_workdir(path), flags.until)
    return None


def make_parser() -> arguments.Parser:
    """The parser of launch.py's options, which overrides of fields are none of."""
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = arguments.Parser(
        prog="launch.py",
        description=summary,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--config",
        metavar="FILE[:ARG]",
        help="a recipe, or a run's config.json (default: the run's in --workdir, or else configs/digits.py)",
    )
    parser.add_argument(
        "--workdir",
        type=arguments.path,
        metavar="DIR",
        help="run directory, or its URL in a bucket (default: runs/<config name>/<start time>)",
    )
    parser.add_argument(
        "--mode", choices=("train", "evaluate"), default="train", help="train, or evaluate the run in --workdir"
    )
    parser.add_argument(
        "--until",
        type=arguments.positive,
        metavar="EPOCH",
        help="stop there, saved; the same command without it goes on to the last epoch, to the bit",
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks of mistakes")
    sweeping.add_options(parser)
    return parser


def take_overrides(argv: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Takes the changes of fields out of a command line.

    Args:
      argv: arguments: --config.FIELD=VALUE, --config.FIELD VALUE, --config.FIELD or --noconfig.FIELD for true and
        false; of several for one field the last counts.

    Returns:
      ({field: text}, the other arguments).

    Raises:
      UserError: for a field that does not exist, or lacks its value.
    """
    changes, rest, left = {}, [], iter(argv)
    for argument in left:
        match = _OVERRIDE.fullmatch(argument)
        if match is None:
            rest.append(argument)
            continue
        negated, name, text = match.groups()
        truth = FIELDS[known_field(name)].type is bool
        if negated and (text is not None or not truth):
            raise UserError(f"{argument}: --noconfig.FIELD alone says that a field is false")
        if text is None:
            text = str(not negated) if truth else next(left, None)
        if text is None:
            raise UserError(f"{argument} lacks its value: {argument}=VALUE")
        changes[name] = text
    return changes, rest


def _evaluate(flags: argparse.Namespace, changes: dict[str, str]) -> None:
    if changes:
        raise UserError(f"--config.{next(iter(changes))}: --mode evaluate takes the run's own configuration, unchanged")
    if flags.config is not None:
        raise UserError("--config does not go with --mode evaluate, which takes the run's own")
    for name in ("until", "sweep", "executor"):
        if getattr(flags, name):
            raise UserError(f"--{name} does not go with --mode evaluate, which trains nothing")
    if flags.workdir is None:
        raise UserError("--mode evaluate needs --workdir, the run to evaluate")
    from googlenet_jax.cli.evaluate import show_evaluation

    show_evaluation([flags.workdir])


def _recipe(flags: argparse.Namespace, default: Path) -> tuple[Path, str]:
    """The recipe and its argument: what is named, or the run's own, or the default."""
    if flags.config is not None:
        return split_argument(flags.config)
    stored = storage.local_file(f"{flags.workdir}/config.json") if flags.workdir else None
    return stored or default, ""


def _default_workdir(recipe: Path) -> Path:
    """A directory of this training alone, named by recipe and time."""
    import jax

    name = recipe.absolute().parent.name if recipe.suffix == ".json" else recipe.stem
    path = Path("runs") / name / time.strftime("%Y-%m-%d_%H-%M-%S")
    return new_directory(path) if jax.process_index() == 0 else path
