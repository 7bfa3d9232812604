"""Recipes: Python files whose `get_config` makes a configuration, and the config.json of a run."""

import re
import runpy
import sys
from pathlib import Path

import ml_collections

from googlenet_jax.config.checks import nearest_field
from googlenet_jax.config.from_json import read_json
from googlenet_jax.errors import UserError, reason, where


def split_argument(given: str) -> tuple[Path, str]:
    """A recipe's file, and the argument behind it: PATH or PATH:ARGUMENT, either of which may have colons.

    Args:
      given: what the command line names.

    Returns:
      (path, argument), the argument "" if there is none.

    Raises:
      UserError: if no part up to a colon is a file.
    """
    at = [i for i, character in enumerate(given) if character == ":"] + [len(given)]
    for end in reversed(at):
        path = Path(given[:end]).expanduser()
        if path.is_file():
            return path, given[end + 1 :]
    named = given.partition(".py:")[0] + (".py" if ".py:" in given else "")
    raise UserError(f"--config {where(named)}: there is no such file; recipes are in configs/")


def read_recipe(path: Path, argument: str = "") -> ml_collections.ConfigDict:
    """The configuration that a recipe makes, or that a run stored.

    Args:
      path: a Python file with a `get_config(arg)`, which may import others of its folder; or a config.json.
      argument: for `get_config`.

    Returns:
      A locked configuration; a recipe's is yet to be checked by `validate`.

    Raises:
      UserError: if the file cannot be read or run, or makes no configuration.
    """
    if path.suffix == ".json":
        return read_json(path)
    beside = str(path.absolute().parent)
    added = beside not in sys.path
    if added:
        sys.path.append(beside)  # what a recipe shares with others; last, so that it hides no package
    try:
        get_config = runpy.run_path(str(path)).get("get_config")
        if get_config is None:
            raise UserError(f"--config {path}: it has no function get_config")
        config = get_config(argument)
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # a recipe is a program, and may fail in any way
        unknown = re.match(r"""\W*Key "(\w+)" does not exist""", str(error))
        why = f"config has no field {unknown[1]!r}: {nearest_field(unknown[1])}" if unknown else reason(error)
        raise UserError(f"--config {path}: {type(error).__name__}: {why}{line_of(error, path)}") from error
    finally:
        if added:
            sys.path.remove(beside)
    if not isinstance(config, ml_collections.ConfigDict):
        raise UserError(f"--config {path}: its get_config returns a {type(config).__name__}, not a configuration")
    return ml_collections.ConfigDict(config).copy_and_resolve_references().lock()


def line_of(error: BaseException, path: Path) -> str:
    """Where in a file it happened, as " (line 3)"; "" if nowhere there."""
    if isinstance(error, SyntaxError):
        return f" (line {error.lineno})"
    trace, number = error.__traceback__, 0
    while trace is not None:
        number = trace.tb_lineno if trace.tb_frame.f_code.co_filename == str(path) else number
        trace = trace.tb_next
    return f" (line {number})" if number else ""
