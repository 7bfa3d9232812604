"""Checkpoints: Orbax in, Orbax out.

A checkpoint is a directory `<step>` with the items
  `variables`  parameters and batch statistics,
  `ema`        their running average, if there is one,
  `training`   what only resuming needs: optimizer, loss scale, step,
  `meta`       JSON: configuration, class names, preprocessing, step and epoch.
The first two and `meta` are all that `gn.load` reads.
"""

import contextlib
import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from googlenet_jax.errors import UserError
from googlenet_jax.parallel import to_host

log = logging.getLogger(__name__)


class Checkpoints:
    """The checkpoints of a run: saved in the background, the newest and the best are kept.

    Args:
      directory: of the checkpoints, made if need be.
      keep: newest checkpoints to keep, beside the one of the best top-1.
    """

    def __init__(self, directory: Path, keep: int):
        self.directory = directory
        policies = [
            checkpoint_managers.LatestN(keep),
            checkpoint_managers.BestN(get_metric_fn=_top1, n=1, keep_checkpoints_without_metrics=False),
        ]
        options = ocp.CheckpointManagerOptions(
            best_fn=_top1,
            best_mode="max",
            preservation_policy=checkpoint_managers.AnyPreservationPolicy(policies),
            cleanup_tmp_directories=True,
        )
        self.manager = ocp.CheckpointManager(directory.resolve(), options=options)

    def save(self, step: int, items: dict[str, Any], meta: dict[str, Any], metrics: dict[str, float] | None) -> None:
        """Saves in the background; waits only if the save before is still under way.

        Args:
          step: number of the checkpoint.
          items: trees of arrays by item name; an item that is None is left out.
          meta: JSON values.
          metrics: of the validation set, by which the best is chosen; None without an evaluation.

        Raises:
          UserError: if this save or the one before could not be written.
        """
        arrays = {name: ocp.args.StandardSave(to_host(tree)) for name, tree in items.items() if tree is not None}
        args = ocp.args.Composite(meta=ocp.args.JsonSave(meta), **arrays)
        with _readable_errors(self.directory):
            self.manager.save(step, args=args, metrics=metrics)

    def restore(self, abstract: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        """The newest checkpoint that can be read; a damaged one is set aside, and the one before is taken.

        Args:
          abstract: trees like those saved, of arrays or shapes, by item name; None for an item that was left out.

        Returns:
          (step, trees of numpy arrays by item name), or None if there is no checkpoint.

        Raises:
          UserError: if there are checkpoints, but none can be read.
        """
        wanted = {name: tree for name, tree in abstract.items() if tree is not None}
        steps = sorted(self.manager.all_steps(), reverse=True)
        for step in steps:
            try:
                args = {name: ocp.args.StandardRestore(jax.tree.map(_host_like, tree)) for name, tree in wanted.items()}
                restored = self.manager.restore(step, args=ocp.args.Composite(**args))
                items = {name: restored[name] for name in wanted}
                _check_shapes(wanted, items)
            except Exception as error:  # Orbax and TensorStore raise many kinds for a damaged file
                log.warning("checkpoint %d is damaged (%s); going back to the one before", step, _first_line(error))
                self._set_aside(step)
                continue
            return step, {name: items.get(name) for name in abstract}
        if steps:
            raise UserError(f"{self.directory}: no checkpoint can be read; they were set aside as *.damaged")
        return None

    def _set_aside(self, step: int) -> None:
        path = self.directory / str(step)
        aside = path.with_name(f"{step}.damaged")
        shutil.rmtree(aside, ignore_errors=True)
        path.rename(aside)
        self.manager.reload()

    def close(self) -> None:
        """Waits until everything is written."""
        with _readable_errors(self.directory):
            self.manager.wait_until_finished()
            self.manager.close()


def find(path: Path) -> Path:
    """The checkpoint directory that a path stands for.

    Args:
      path: a checkpoint, a directory of checkpoints, or a run, of which the best by validation top-1 is taken, or the
        newest if none was evaluated.

    Returns:
      The directory of one checkpoint.

    Raises:
      UserError: if there is none.
    """
    if (path / "meta").is_dir():
        return path
    root = path / "checkpoints" if (path / "checkpoints").is_dir() else path
    steps = [entry for entry in root.iterdir() if entry.name.isdecimal()] if root.is_dir() else []
    if not steps:
        raise UserError(f"{path}: no checkpoint there; give a run directory or one of its checkpoints/<step>")
    return max(steps, key=lambda step: (_stored_top1(step), int(step.name)))


def read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Reads what prediction needs of a checkpoint; a run's damaged one is passed over.

    Args:
      path: as for `find`.

    Returns:
      (meta, variables): JSON values, and the averaged variables if there are any, else the trained ones, as numpy.

    Raises:
      UserError: if it is damaged, or no checkpoint.
    """
    directory = find(path)
    try:
        meta = ocp.Checkpointer(ocp.JsonCheckpointHandler()).restore((directory / "meta").resolve())
        item = "ema" if (directory / "ema").is_dir() else "variables"
        variables = ocp.StandardCheckpointer().restore((directory / item).resolve())
    except Exception as error:  # as above
        raise UserError(
            f"{directory}: the checkpoint is damaged or was made by something else ({_first_line(error)}); "
            "give another of the run's checkpoints/<step>"
        ) from error
    return meta, jax.tree.map(np.asarray, variables)


def _top1(metrics: dict[str, float]) -> float:
    return metrics["top1"]


def _stored_top1(step: Path) -> float:
    try:
        return float(json.loads((step / "metrics" / "metrics").read_text())["top1"])
    except (OSError, ValueError, KeyError, TypeError):
        return -1.0


def _host_like(leaf: Any) -> np.ndarray:
    return np.empty(leaf.shape, leaf.dtype)


def _check_shapes(wanted: dict[str, Any], found: dict[str, Any]) -> None:
    """Orbax restores a numpy array of another shape without a word."""

    def check(path: Any, want: Any, got: Any) -> None:
        if want.shape != got.shape:
            raise ValueError(f"{jax.tree_util.keystr(path)} is {got.shape}, not {want.shape}")

    jax.tree_util.tree_map_with_path(check, wanted, found)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


@contextlib.contextmanager
def _readable_errors(directory: Path) -> Iterator[None]:
    """Turns a failed write into one line; what was saved before stays."""
    try:
        yield
    except Exception as error:  # TensorStore reports a full disk as a ValueError, Orbax others in kinds of its own
        raise UserError(
            f"{directory}: the checkpoint could not be written ({_first_line(error)}); earlier ones are intact. "
            "Make room or choose another --workdir, and start again to resume"
        ) from error
