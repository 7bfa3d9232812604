"""The directory of a sweep: what was asked, which trials there are, and where each of them lies.

    sweep.json        the definition that was asked for last
    trials.jsonl      every trial there ever was, one a line; the driver alone writes it
    configs/ID.json   a trial's configuration, ID/ its run directory
    attempts/ID.jsonl when attempts at it began and what became of them, logs/ID.log what they printed
    results.csv, results.jsonl, report.html
"""

import contextlib
import json
import os
import socket
import time
from pathlib import Path
from typing import IO, Any

from googlenet_jax.errors import UserError
from googlenet_jax.sweep.attempts import Attempts
from googlenet_jax.sweep.definition import Definition
from googlenet_jax.sweep.executors.base import Job
from googlenet_jax.sweep.trials import Trial, write_config
from googlenet_jax.system.files import lock, replace_file


class SweepDirectory:
    """A sweep's directory.

    Args:
      path: on this machine, or on a file system that its machines share.
    """

    def __init__(self, path: Path):
        self.path = path
        self._lock: IO[str] | None = None

    def take(self) -> None:
        """Makes this process the directory's only driver, until it ends; raises `UserError` if there is another."""
        self.path.mkdir(parents=True, exist_ok=True)
        file = (self.path / "sweep.lock").open("a+")
        if not lock(file):
            file.seek(0)
            who = file.read().strip() or "another process"
            file.close()
            raise UserError(f"{self.path}: {who} drives this sweep; see googlenet sweep {self.path}, or wait for it")
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        self._lock = file

    def release(self) -> None:
        """Lets another process drive."""
        if self._lock is not None:
            self._lock.truncate(0)
            self._lock.close()
            self._lock = None

    def driver(self) -> str:
        """Who drives it at the moment, as "process 12 on host"; "" for nobody."""
        path = self.path / "sweep.lock"
        text = path.read_text().strip() if path.exists() else ""
        if text:
            with path.open("a") as file:
                return "" if lock(file) else text
        return ""

    def define(self, definition: Definition) -> None:
        """Keeps what is asked now.

        Raises:
          UserError: if the directory holds a sweep of another recipe, or something else than a sweep.
        """
        if (self.path / "config.json").exists():
            raise UserError(f"{self.path} is a training's run directory: take another --workdir for the sweep")
        if stored := self.definition():
            old, new = (_recipe_name(about) for about in (str(stored["recipe"]), definition.recipe))
            if old != new:
                raise UserError(f"{self.path} holds a sweep of {old}, not of {new}: take another --workdir")
        replace_file(self.path / "sweep.json", definition.to_json())

    def definition(self) -> dict[str, Any]:
        """What was asked last, as `Definition.to_json` wrote it; {} if nothing was."""
        path = self.path / "sweep.json"
        try:
            stored = json.loads(path.read_text()) if path.exists() else {}
        except ValueError:
            raise UserError(f"{path} is damaged; remove it, and start the sweep's command again") from None
        return stored if isinstance(stored, dict) and "recipe" in stored else {}

    def trials(self) -> list[dict[str, Any]]:
        """Every trial there ever was: {"id", "overrides", "point", "key", "time"}; cut-off lines are left out."""
        path, found = self.path / "trials.jsonl", []
        for text in path.read_text(errors="replace").splitlines() if path.exists() else []:
            with contextlib.suppress(ValueError):
                line = json.loads(text)
                if isinstance(line, dict) and {"id", "overrides"} <= line.keys():
                    found.append(line)
        return found

    def add(self, trials: list[Trial], key: str) -> None:
        """Takes note of new trials, and writes their configurations."""
        path = self.path / "trials.jsonl"
        cut_off = path.exists() and path.stat().st_size and not path.read_bytes().endswith(b"\n")
        with path.open("a") as file:
            file.write("\n" if cut_off else "")
            for trial in trials:
                write_config(self.path, trial)
                about = {"id": trial.id, "overrides": trial.overrides, "point": trial.point, "key": key}
                file.write(json.dumps(about | {"time": round(time.time(), 3)}) + "\n")

    def job(self, id: str, until: float) -> Job:
        """A trial as an executor takes it."""
        attempts = Attempts(self.path / "attempts" / f"{id}.jsonl", self.path / "logs" / f"{id}.log")
        return Job(id, until, self.path / "configs" / f"{id}.json", self.path / id, attempts)


def _recipe_name(recipe: str) -> str:
    """A recipe's file without the folder and the argument: either may move."""
    head, dot, _ = recipe.partition(".py")
    return Path(head + dot).name
