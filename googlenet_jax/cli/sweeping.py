"""Many trainings, or one on a cluster, as launch.py starts them."""

import argparse
import logging
import re
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import ml_collections

from googlenet_jax.cli import arguments
from googlenet_jax.config.checks import validate
from googlenet_jax.config.choices import DATASETS, EXECUTORS, SEARCHES, chosen
from googlenet_jax.errors import UserError, shown
from googlenet_jax.system import storage

if TYPE_CHECKING:
    from googlenet_jax.sweep.definition import Definition
    from googlenet_jax.sweep.executors.base import Executor

log = logging.getLogger(__name__)
_ONLY_SWEEPS = ("trials", "search", "objective", "prune", "dry_run")
_ONLY_CLUSTERS = ("nodes", "gpus_per_node", "slurm")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of sweeps and executors to launch.py's."""
    sweep = parser.add_argument_group("sweeps", "many trainings as one question; googlenet sweep DIR shows the answer")
    sweep.add_argument(
        "--sweep",
        action="append",
        metavar="WHAT",
        help="FIELD=V1,V2,... or FIELD=0..4; FILE.py[:NAME], whose sweep() yields overrides; or a range to search: "
        "FIELD=log(1e-3,1), uniform(A,B), int(A,B), choice(V1,...). Several: every combination",
    )
    sweep.add_argument("--trials", type=arguments.at_least_one, metavar="N", help="points to draw from the ranges")
    sweep.add_argument("--search", metavar="NAME", help=f"{arguments.rows(SEARCHES)} (default: random)")
    sweep.add_argument(
        "--objective",
        metavar="SPLIT.NAME",
        help="what trials are compared by, measured last: val.top1 (default), val.loss, ...",
    )
    sweep.add_argument(
        "--prune",
        metavar="asha[:ETA]",
        help="pause trials at rungs; the best 1/ETA (default: 3) of them go on from there, to the bit",
    )
    sweep.add_argument(
        "--retries", type=arguments.count, metavar="N", help="of a training that crashed or failed (default: 1)"
    )
    sweep.add_argument("--dry_run", action="store_true", default=None, help="list the trials and start nothing")
    where = parser.add_argument_group("where trainings run")
    where.add_argument("--executor", metavar="NAME", help=f"{arguments.rows(EXECUTORS)} (sweeps: local)")
    where.add_argument("--jobs", type=arguments.at_least_one, metavar="N", help="trainings at a time (default: 1)")
    where.add_argument("--nodes", type=arguments.at_least_one, metavar="N", help="machines a training (default: 1)")
    where.add_argument("--gpus_per_node", type=arguments.at_least_one, metavar="N", help="GPUs of each of them")
    where.add_argument(
        "--slurm",
        action="append",
        metavar="KEY=VALUE",
        help="an option of sbatch, such as time=4:00:00, partition=gpu, account=NAME or exclusive",
    )


def check_options(flags: argparse.Namespace) -> None:
    """Raises `UserError` for options that do not go together."""
    for name in _ONLY_SWEEPS:
        if getattr(flags, name) is not None and not flags.sweep:
            raise UserError(f"--{name} goes with --sweep")
    for name in _ONLY_CLUSTERS:
        if getattr(flags, name) is not None and flags.executor in (None, "local"):
            raise UserError(f"--{name} asks for a cluster: add --executor slurm")
    if flags.executor is not None:
        chosen(EXECUTORS, flags.executor, "the executor")
    if flags.search is not None:
        chosen(SEARCHES, flags.search, "the search")
    if flags.sweep and flags.until is not None:
        raise UserError("--until is of one training; a sweep's trials end at config.num_epochs, or where --prune says")
    alone = not flags.sweep and flags.executor in (None, "local")
    for name in ("jobs", "retries"):
        if getattr(flags, name) is not None and alone:
            raise UserError(f"--{name} goes with --sweep or --executor slurm")


def run_sweep(
    flags: argparse.Namespace,
    recipe: str,
    base: ml_collections.ConfigDict,
    changes: Collection[str],
    program: Path,
) -> int:
    """Runs a sweep, or goes on with it.

    Args:
      flags: of launch.py.
      recipe: as the command line names it.
      base: its configuration, with the command line's overrides.
      changes: the fields that those set.
      program: launch.py.

    Returns:
      Exit status: 1 if trials failed, else 0.

    Raises:
      UserError: for what a user can mend, before anything has started.
    """
    from googlenet_jax.cli.sweep import SweepDisplay, show_results, show_trials
    from googlenet_jax.sweep.definition import make_definition
    from googlenet_jax.sweep.directory import SweepDirectory
    from googlenet_jax.sweep.driver import LEFT, STOPPED, Driver
    from googlenet_jax.system import console

    definition = make_definition(
        recipe, base, flags.sweep, flags.trials, flags.search, flags.objective, flags.prune, flags.retries
    )
    if twice := sorted(definition.space.always & set(changes)):
        raise UserError(f"--config.{twice[0]} has no effect, as every trial of --sweep sets it: leave one of them out")
    _check_devices(flags, base)
    directory = SweepDirectory(_local_path(flags.workdir or f"runs/sweeps/{_name(flags.sweep, recipe)}"))
    directory.check(definition)
    missing = _missing_data(definition)
    if flags.dry_run:
        show_trials(definition, directory, flags.jobs or 1)
        for name in missing:
            print(f"config.dataset.name={name} is not on this machine")
        return 0
    if missing and flags.executor in (None, "local"):
        raise UserError(f"config.dataset.name={missing[0]}: there is no such file or directory")
    console.show_log(alone=True, steady=True)
    # Where it would run is asked first: what refuses leaves no directory behind.
    executor = _executor(flags, program, directory.path, definition.retries, ahead=not definition.learns)
    with directory.taken(definition):
        driver = Driver(definition, directory, executor)
        with SweepDisplay(directory, driver) as display:
            end = driver.run(display.update)
    if end == LEFT:
        log.info("the jobs run without this command; started again, it submits what is missing")
        log.info("where it stands: googlenet sweep %s (--watch, --cancel)", directory.path)
        return 0
    failed = show_results(directory)
    if end == STOPPED:
        log.info("to go on: the same command with --workdir %s", directory.path)
    return 1 if failed else 0


def _missing_data(definition: "Definition") -> list[str]:
    """Names of datasets that trials take from files that this machine does not have."""
    own, space = definition.base.dataset.name, definition.space
    searched = space.ranges.get("dataset.name")
    listed = (overrides.get("dataset.name", own) for overrides in space.combinations)
    names = dict.fromkeys(searched.choices if searched else listed)
    places = ((name, *name.partition(":")[::2]) for name in names)
    return [
        name
        for name, kind, place in places
        if DATASETS[kind].place == "PATH" and not storage.is_url(place) and not Path(place).expanduser().exists()
    ]


def run_on_cluster(flags: argparse.Namespace, config: ml_collections.ConfigDict, workdir: str, program: Path) -> None:
    """Submits one training to a cluster, where it goes on by itself until it is finished.

    Args:
      flags: of launch.py.
      config: of the training.
      workdir: its run directory.
      program: launch.py.

    Raises:
      UserError: for what a user can mend.
    """
    from googlenet_jax.sweep.single import submit
    from googlenet_jax.system import console

    validate(config)
    _check_devices(flags, config)
    console.show_log(alone=True)
    path = _local_path(workdir)
    executor = _executor(flags, program, path, 1 if flags.retries is None else flags.retries, ahead=True)
    submit(config, path, flags.until, executor)


def _check_devices(flags: argparse.Namespace, config: ml_collections.ConfigDict) -> None:
    """Raises `UserError` if the configuration asks for other devices than the cluster is asked for."""
    nodes, gpus, devices = flags.nodes or 1, flags.gpus_per_node, config.num_devices
    if gpus is None or devices is None or devices == nodes * gpus or (nodes == 1 and devices < gpus):
        return
    total = nodes * gpus
    raise UserError(
        f"config.num_devices={devices}, but {nodes} x {gpus} GPUs are asked for: add --config.num_devices={total}"
    )


def _executor(flags: argparse.Namespace, program: Path, directory: Path, retries: int, ahead: bool) -> "Executor":
    from googlenet_jax.sweep.executors.base import Placement

    options = {key: value for key, _, value in (text.lstrip("-").partition("=") for text in flags.slurm or [])}
    for key, value in options.items():
        if not re.fullmatch(r"[\w-]+", key) or not value.isprintable():
            raise UserError(f"--slurm {shown(key)}={shown(value)}: KEY=VALUE is meant, such as time=4:00:00")
    place = Placement(
        program=program,
        directory=directory,
        name=directory.name,
        jobs=flags.jobs or 1,
        ahead=ahead,
        retries=retries,
        nodes=flags.nodes or 1,
        gpus_per_node=flags.gpus_per_node,
        options=options,
    )
    executor: Executor = EXECUTORS[flags.executor or "local"].load()(place)
    return executor


def _name(sweep: list[str], recipe: str) -> str:
    """A sweep's name: its file's, a sweep.py's folder's, or else the recipe's, or the run's of a config.json."""
    files = [text.partition(".py")[0] for text in sweep if "=" not in text]
    path = Path(files[0] if files else recipe.partition(".py")[0])
    return path.absolute().parent.name if path.name in ("sweep", "config.json") else path.name


def _local_path(workdir: str) -> Path:
    if storage.is_url(workdir):
        raise UserError(f"--workdir {workdir}: this needs a directory that the machines share, not a bucket")
    return Path(workdir)
