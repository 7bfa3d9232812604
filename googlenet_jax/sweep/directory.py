"""The directory of a sweep: what was asked, which trials there are, and where each of them lies.

- sweep.json: the definition that was asked for last
- trials.jsonl: every trial there ever was, one a line; the driver alone writes it
- configs/ID.json: a trial's configuration; ID/ is its run directory
- events.out.tfevents.0.hparams, also in ID/tensorboard/: for TensorBoard, see `hparams`
- attempts/ID.jsonl: when attempts at it began and what became of them; logs/ID.log: what they printed
- results.csv, results.jsonl, results.svg, report.html
"""

import contextlib
import json
import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from googlenet_jax.config.fields import FIELDS, flatten
from googlenet_jax.config.from_json import to_json
from googlenet_jax.config.overrides import override
from googlenet_jax.errors import UserError
from googlenet_jax.sweep.attempts import Attempts
from googlenet_jax.sweep.definition import Definition
from googlenet_jax.sweep.executors.base import Job
from googlenet_jax.sweep.trials import Trial
from googlenet_jax.system.files import append_line, json_lines, lock, locked, replace_file

_LOCK = "sweep.lock"
_DEFINITION = {"recipe": str, "key": str, "fields": list, "ranges": dict, "trials": int, "objective": str}


class SweepDirectory:
    """A sweep's directory.

    Args:
      path: on this machine, or on a file system that its machines share.
    """

    def __init__(self, path: Path):
        self.path = path

    def check(self, definition: Definition) -> None:
        """Raises `UserError` if it holds a training, or a sweep of another recipe."""
        if (self.path / "config.json").exists():
            raise UserError(f"{self.path} is a training's run directory: take another --workdir for the sweep")
        if stored := self.definition():
            old, new = (_recipe_name(about) for about in (str(stored["recipe"]), definition.recipe))
            if old != new:
                raise UserError(f"{self.path} holds a sweep of {old}, not of {new}: take another --workdir")

    @contextlib.contextmanager
    def taken(self, definition: Definition) -> Iterator[None]:
        """Within its context this process is the directory's only driver, and this is what it asks.

        Raises:
          UserError: if there is another driver, the directory holds a sweep of another recipe or a training.
        """
        self.check(definition)
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / _LOCK).open("a+") as file:
            if not lock(file, wait=1.0):  # who looks at the sweep holds it for a moment
                file.seek(0)
                who = file.read().strip() or "another process"
                raise UserError(
                    f"{self.path}: {who} drives this sweep; wait for it, or see googlenet sweep {self.path}"
                )
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
            file.flush()
            try:
                self._define(definition)
                yield
            finally:
                file.truncate(0)

    def driver(self) -> str:
        """Who drives it at the moment, as "process 12 on host"; "" for nobody."""
        path = self.path / _LOCK
        return path.read_text().strip() if locked(path) else ""

    def _define(self, definition: Definition) -> None:
        replace_file(self.path / "sweep.json", definition.to_json())
        if "tensorboard" in definition.base.writers:
            from googlenet_jax.sweep.hparams import write_experiment

            write_experiment(self.path, definition)

    def definition(self) -> dict[str, Any]:
        """What was asked last, as `Definition.to_json` wrote it; {} if nothing was; raises `UserError` if damaged."""
        path = self.path / "sweep.json"
        if not path.exists():
            return {}
        try:
            stored = dict(json.loads(path.read_text()))
        except (ValueError, TypeError, RecursionError):
            stored = {}
        known = all(isinstance(stored.get(name), kind) for name, kind in _DEFINITION.items())
        if not known or not set(stored["fields"]) <= FIELDS.keys():
            raise UserError(f"{path} is damaged; remove it, and start the sweep's command again")
        return stored

    def trials(self) -> list[dict[str, Any]]:
        """Every trial there ever was, once a definition that asked: {"id", "overrides", "point", "key", "time"}."""
        return [line for line in json_lines(self.path / "trials.jsonl") if _makes_sense(line)]

    def asked(self) -> list[str]:
        """Ids of the trials that the definition asks for, as far as they are known."""
        about = self.definition()
        lines = [line for line in self.trials() if line.get("key") == about.get("key")]
        if about.get("trials"):
            lines = [line for line in lines if line["point"] is not None and line["point"] < about["trials"]]
        return list(dict.fromkeys(line["id"] for line in lines))

    def add(self, trials: list[Trial], definition: Definition) -> None:
        """Takes note of new trials."""
        for trial in trials:
            about = {"id": trial.id, "overrides": trial.overrides, "point": trial.point, "key": definition.key}
            append_line(self.path / "trials.jsonl", about | {"time": round(time.time(), 3)})

    def write_config(self, trial: Trial, definition: Definition) -> None:
        """Writes a trial's configuration, unless it is there, where its processes read it, and for TensorBoard."""
        path, config = self.path / "configs" / f"{trial.id}.json", override(definition.base, trial.overrides)
        try:
            json.loads(path.read_text())
        except (OSError, ValueError, RecursionError):
            replace_file(path, to_json(config) + "\n")
        if "tensorboard" in config.writers:
            from googlenet_jax.sweep.hparams import write_trial

            values = flatten(config)
            write_trial(self.path / trial.id, trial.id, {name: values[name] for name in definition.space.fields})

    def job(self, id: str, until: float) -> Job:
        """A trial as an executor takes it."""
        attempts = Attempts(self.path / "attempts" / f"{id}.jsonl", self.path / "logs" / f"{id}.log")
        return Job(id, until, self.path / "configs" / f"{id}.json", self.path / id, attempts)


def _recipe_name(recipe: str) -> str:
    """A recipe's file without the folder and the argument: either may move. Of a run's config.json it is the run's."""
    head, dot, _ = recipe.partition(".py")
    path = Path(head + dot)
    return path.name if dot else path.parent.name


def _makes_sense(line: dict[str, Any]) -> bool:
    known = re.fullmatch("[0-9a-f]{10}", str(line.get("id"))) and isinstance(line.get("overrides"), dict)
    return bool(known) and (line.get("point") is None or isinstance(line.get("point"), int))
