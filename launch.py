"""Trains or evaluates a GoogLeNet from a configuration.

  python launch.py                                               real digits on this machine, no download
  python launch.py --config configs/imagenet_8gpu.py --workdir runs/imagenet
  python launch.py --config configs/cifar10.py --config.optimizer.learning_rate=0.05
  python launch.py --workdir runs/imagenet                       resume that run
  python launch.py --config runs/imagenet/config.json            start again from a run's own configuration

googlenet_jax/config.py lists every field, its default and its unit.
"""

import re
import sys
import time
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from googlenet_jax import config_from_json, runtime, storage
from googlenet_jax.config import FIELDS, nearest_field
from googlenet_jax.errors import UserError, run_command

_DEFAULT_CONFIG = Path(__file__).parent / "configs" / "digits.py"


def main() -> int:
    """Does what the command line asks for."""
    if {"--help", "-h", "-help", "--helpfull"} & set(sys.argv):
        del sys.argv[1:]
        _define_flags()
        print(__doc__ + flags.FLAGS.module_help(sys.modules["__main__"]))
        return 0
    _parse_flags()
    config, workdir = flags.FLAGS.config, flags.FLAGS.workdir
    runtime.configure_jax()
    runtime.join_processes()
    from googlenet_jax import console  # after the flags, so that a mistake in them need not wait for JAX

    if flags.FLAGS.mode == "evaluate":
        from googlenet_jax.cli import show_evaluation

        if workdir is None:
            raise UserError("--mode evaluate needs --workdir, the run to evaluate")
        show_evaluation([workdir])
    else:
        from googlenet_jax.train.loop import train_and_evaluate

        console.show_log()
        train_and_evaluate(config, workdir or _default_workdir())
    return 0


def _define_flags() -> None:
    """Defines the flags; the configuration's depend on `sys.argv`, which must have been checked."""
    config_flags.DEFINE_config_file(
        "config",
        str(_DEFAULT_CONFIG),
        "a recipe, or a run's config.json; --config.group.field=value after it changes a field",
    )
    flags.DEFINE_string(
        "workdir", None, "run directory, or its URL in a bucket; default: runs/<config name>/<start time>"
    )
    flags.DEFINE_enum("mode", "train", ["train", "evaluate"], "train, or evaluate the run in --workdir")
    flags.DEFINE_bool("debug", False, "show tracebacks of mistakes in flags, configuration, data and files")


def _parse_flags() -> None:
    """Parses the command line; every mistake in it is a `UserError`."""
    argv = [part for arg in sys.argv for part in (arg.split("=", 1) if re.match(r"--?config=", arg) else [arg])]
    given = next((i + 1 for i, arg in enumerate(argv) if arg in ("--config", "-config")), None)
    workdir = re.search(r"--?workdir[=\0]([^\0]+)", "\0".join(argv))
    if given is None and workdir and (stored := storage.local_file(f"{workdir[1]}/config.json")):
        argv[1:1], given = ["--config", str(stored)], 2  # a run is resumed with its own configuration
    if given is not None and given < len(argv):
        path = argv[given].split(":", 1)[0]
        if not Path(path).is_file():
            raise UserError(f"--config {path}: there is no such file; recipes are in configs/")
        if path.endswith(".json"):
            argv[given] = f"{config_from_json.__file__}:{path}"
    for arg in argv[1:]:
        override = re.match(r"--?(?:no)?config\.([^=]+)", arg)
        if override and {"--mode=evaluate", "evaluate"} & set(argv):
            raise UserError(f"{arg}: --mode evaluate takes the run's own configuration, without changes")
        if override and override[1] not in FIELDS:
            raise UserError(f"--config has no field {override[1]!r}: {nearest_field(override[1])}")
    sys.argv[:] = argv
    try:
        _define_flags()
        rest = flags.FLAGS(argv)[1:]
        flags.FLAGS.config.seed  # noqa: B018  (an unreadable file shows on first use)
    except (flags.Error, AttributeError, TypeError, ValueError, SyntaxError, ImportError, NameError, KeyError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(lines[-1] if "Traceback" in str(error) else " ".join(lines)) from error
    if rest:
        raise UserError(f"unexpected argument {rest[0]!r}; --help shows the usage")


def _default_workdir() -> Path:
    recipe, _, argument = config_flags.get_config_filename(flags.FLAGS["config"]).partition(":")
    name = Path(argument).parent.name if recipe == config_from_json.__file__ else Path(recipe).stem
    return Path("runs") / name / time.strftime("%Y-%m-%d_%H-%M-%S")


if __name__ == "__main__":
    runtime.restart_with_large_pages()
    sys.exit(run_command(main, debug=bool({"--debug", "--debug=true"} & set(sys.argv))))
