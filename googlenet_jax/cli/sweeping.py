"""A sweep as launch.py starts it."""

import argparse
import logging
import time
from collections.abc import Mapping
from pathlib import Path

import ml_collections

from googlenet_jax.config.choices import EXECUTORS
from googlenet_jax.config.overrides import override
from googlenet_jax.sweep.definition import Definition, read_objective
from googlenet_jax.sweep.directory import SweepDirectory
from googlenet_jax.sweep.driver import Driver
from googlenet_jax.sweep.results import read_rows, write_results
from googlenet_jax.sweep.space import read_space


def run_sweep(flags: argparse.Namespace, recipe: str, base: ml_collections.ConfigDict, program: Path) -> int:
    definition = Definition(
        recipe=recipe,
        base=base,
        space=read_space(flags.sweep),
        trials=flags.trials or 0,
        search=flags.search,
        objective=read_objective(flags.objective),
        eta=3.0 if flags.prune else 0.0,
        retries=flags.retries,
    )
    definition.check()
    name = Path(recipe.partition(".py")[0]).name
    directory = SweepDirectory(Path(flags.workdir or f"runs/sweeps/{name}"))
    list(definition.listed()) if not definition.trials else None
    directory.take()
    directory.define(definition)
    executor = EXECUTORS[flags.executor].load()(program, flags.jobs)
    driver = Driver(definition, directory, executor)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    driver.run()
    rows = read_rows(directory, [t.id for t in driver.trials], definition.space.fields, definition.objective)
    write_results(directory.path, rows, definition.objective)
    return 0
