"""Checkpoints: Orbax in, Orbax out.

A checkpoint is a directory `<step>` with the items
  `variables`  parameters and batch statistics,
  `ema`        their running average, if there is one,
  `training`   what only resuming needs: optimizer, loss scale, step,
  `meta`       JSON: configuration, class names, preprocessing, step and epoch.
The first two and `meta` are all that `gn.load` reads.
"""

import contextlib
import itertools
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from etils import epath
from orbax.checkpoint import checkpoint_managers

from googlenet_jax.errors import UserError, reason, where
from googlenet_jax.runs import marker
from googlenet_jax.system import storage
from googlenet_jax.system.files import replace_file, written_beside
from googlenet_jax.system.parallel import to_host

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

    def save(self, step: int, items: dict[str, Any], meta: dict[str, Any], val: dict[str, float] | None) -> None:
        """Saves in the background; waits only if the save before is still under way.

        Args:
          step: number of the checkpoint.
          items: trees of arrays by item name; an item that is None is left out.
          meta: JSON values.
          val: what was measured of the validation set, by which the best is chosen; None without an evaluation.

        Raises:
          UserError: if this save or the one before could not be written.
        """
        arrays = {name: ocp.args.StandardSave(to_host(tree)) for name, tree in items.items() if tree is not None}
        args = ocp.args.Composite(meta=ocp.args.JsonSave(meta), **arrays)
        with _readable_errors(self.directory):
            self.manager.save(step, args=args, metrics=val)

    def restore(
        self, abstract: dict[str, Any], check: Callable[[dict[str, Any]], None]
    ) -> tuple[int, dict[str, Any]] | None:
        """The newest checkpoint that can be read; damaged ones are set aside once an older one was read.

        Args:
          abstract: trees like those saved, of arrays or shapes, by item name; None for an item that was left out.
          check: raises `UserError` if a checkpoint with such `meta` shall not be gone on with.

        Returns:
          (step, trees of numpy arrays by item name), or None if there is no checkpoint.

        Raises:
          UserError: if there are checkpoints but none can be read, or what `check` raises.
        """
        wanted = {name: tree for name, tree in abstract.items() if tree is not None}
        items = {name: ocp.args.StandardRestore(jax.tree.map(_host_like, tree)) for name, tree in wanted.items()}
        damaged: list[int] = []
        why = ""
        for step in sorted(self.manager.all_steps(), reverse=True):
            try:
                meta = self.manager.restore(step, args=ocp.args.Composite(meta=ocp.args.JsonRestore()))["meta"]
                check(meta)  # before the arrays, which another configuration's are not
                restored = self.manager.restore(step, args=ocp.args.Composite(**items))
                found = {name: restored[name] for name in wanted}
                _check_shapes(wanted, found)
            except UserError:
                raise
            except Exception as error:  # Orbax and TensorStore raise many kinds for a damaged file
                why = reason(error)
                log.warning("checkpoint %d is damaged (%s); going back to the one before", step, why)
                damaged.append(step)
                continue
            for aside in damaged:
                _set_aside(self.directory / str(aside))
            self.manager.reload()
            return step, {name: found.get(name) for name in abstract}
        if damaged:
            raise UserError(f"{self.directory}: none of the checkpoints can be read ({why}); take another --workdir")
        return None

    def wait(self) -> None:
        """Waits until everything is written; raises `UserError` if it could not be."""
        with _readable_errors(self.directory):
            self.manager.wait_until_finished()

    def close(self) -> None:
        """Waits as `wait` does, and ends the manager's threads."""
        self.wait()
        with _readable_errors(self.directory):
            self.manager.close()


def _set_aside(path: Path) -> None:
    """Renames a damaged checkpoint, unless another process of the training has done so."""
    names = (path.with_name(f"{path.name}.damaged{number or ''}") for number in itertools.count())
    with contextlib.suppress(FileNotFoundError):
        path.rename(next(name for name in names if not name.exists()))


def check_free(directory: Path) -> None:
    """Raises `UserError` if something lies where a checkpoint is to be written."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UserError(f"{where(directory)} is not empty: choose another directory, or remove it")


def write(directory: Path, variables: Any, meta: dict[str, Any]) -> None:
    """Writes one checkpoint of variables alone, whole or not at all.

    Args:
      directory: to make; it may exist if it is empty.
      variables: tree of numpy arrays.
      meta: JSON values.

    Raises:
      UserError: if it cannot be written.
    """
    check_free(directory)
    items = ocp.args.Composite(meta=ocp.args.JsonSave(meta), variables=ocp.args.StandardSave(variables))
    with (
        _readable_errors(directory),
        written_beside(directory.absolute()) as partial,
        ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer,
    ):
        checkpointer.save(partial, args=items)


def find(path: epath.PathLike, newest: bool = False) -> list[str]:
    """The checkpoints that a path stands for, the most wanted first.

    Args:
      path: a checkpoint, or a run, or its directory of checkpoints: then the best by validation top-1 comes first,
        the newest if none was evaluated. Also a URL of one in a bucket.
      newest: of a run the newest comes first.

    Returns:
      Directories of checkpoints, or their URLs; at least one.

    Raises:
      UserError: if there is none, or the bucket cannot be read.
    """
    metrics = marker.checkpoints(str(path)) if storage.is_url(path) else _checkpoints_in(Path(path).expanduser())
    if not metrics:
        hint = "give a run directory or one of its checkpoints/<step>"
        if not storage.is_url(path) and (Path(path).expanduser() / "sweep.json").is_file():
            hint = f"it is a sweep: googlenet sweep {where(path)} lists its trials, each of which is a run in it"
        if not storage.is_url(path) and Path(path).expanduser().is_file():
            hint = f"bring another system's file in with googlenet import {where(path)} --output DIR, and give DIR"
        raise UserError(f"{where(path)}: no checkpoint there; {hint}")
    # Their paths differ in the step alone: the longer number is the greater.
    by_age = sorted(metrics, key=lambda place: (len(place), place), reverse=True)
    return by_age if newest else sorted(by_age, key=lambda place: _stored_top1(metrics[place]), reverse=True)


def read(path: epath.PathLike, newest: bool = False) -> tuple[dict[str, Any], dict[str, Any]]:
    """Reads what prediction needs of a checkpoint; a run's damaged ones are passed over with a warning.

    Args:
      path: as for `find`.
      newest: likewise.

    Returns:
      (meta, variables): JSON values, and the averaged variables if there are any, else the trained ones, as numpy.

    Raises:
      UserError: if there is no checkpoint, or none that can be read.
    """
    _, meta, variables = _read(path, newest)
    return meta, variables


def _read(path: epath.PathLike, newest: bool = False) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """As `read`, and before it where that was."""
    unreadable = []
    for place in find(path, newest):
        meta_directory, variables_directory = _directories(place)
        try:
            meta = ocp.Checkpointer(ocp.JsonCheckpointHandler()).restore(meta_directory)
            variables = ocp.StandardCheckpointer().restore(variables_directory)
        except Exception as error:  # as above
            unreadable.append(f"{place}: the checkpoint is damaged, or not of this project ({reason(error)})")
            continue
        for what in unreadable:
            log.warning("%s; taking %s", what, place)
        return place, meta, jax.tree.map(np.asarray, variables)
    raise UserError(unreadable[0])


def set_temperature(path: epath.PathLike, temperature: float, step: int) -> str:
    """Stores a temperature, in place of another, in the checkpoint that `read` would take.

    Args:
      path: as for `find`, on this machine.
      temperature: above 0.
      step: of the checkpoint that the temperature was found for.

    Returns:
      The checkpoint's directory.

    Raises:
      UserError: if there is no checkpoint, it is another by now, or it is in a bucket.
    """
    if storage.is_url(place := find(path)[0]):
        raise UserError(f"{where(place)} is in a bucket, where checkpoints are not changed: copy it to this machine")
    place, meta, _ = _read(path)
    if meta["step"] != step:
        raise UserError(f"{where(place)} is the best checkpoint now, the temperature is of step {step}: report again")
    file = _directories(place)[0] / "metadata"
    replace_file(file, json.dumps(meta | {"temperature": temperature}), durable=True)
    return place


def _checkpoints_in(path: Path) -> dict[str, bytes]:
    """As `marker.checkpoints`, of a directory."""
    if (path / "meta").is_dir():
        return {str(path): b""}
    root = path / "checkpoints" if (path / "checkpoints").is_dir() else path
    steps = [entry for entry in root.iterdir() if entry.name.isdecimal()] if root.is_dir() else []
    files = {step: step / "metrics" / "metrics" for step in steps}
    return {str(step): file.read_bytes() if file.is_file() else b"" for step, file in files.items()}


def _directories(place: str) -> tuple[Path, Path]:
    """Those on this machine of a checkpoint's `meta` and of the variables to predict with."""
    if storage.is_url(place):
        item = "ema" if storage.exists(f"{place}/ema") else "variables"
        return storage.fetch(f"{place}/meta"), storage.fetch(f"{place}/{item}")
    directory = Path(place).resolve()
    return directory / "meta", directory / ("ema" if (directory / "ema").is_dir() else "variables")


def _top1(metrics: dict[str, float]) -> float:
    return metrics["top1"]


def _stored_top1(metrics: bytes) -> float:
    try:
        return float(json.loads(metrics)["top1"])
    except (ValueError, KeyError, TypeError):
        return -1.0


def _host_like(leaf: Any) -> np.ndarray:
    return np.empty(leaf.shape, leaf.dtype)


def _check_shapes(wanted: dict[str, Any], found: dict[str, Any]) -> None:
    """Orbax restores a numpy array of another shape without a word."""

    def check(path: Any, want: Any, got: Any) -> None:
        if want.shape != got.shape:
            raise ValueError(f"{jax.tree_util.keystr(path)} is {got.shape}, not {want.shape}")

    jax.tree_util.tree_map_with_path(check, wanted, found)


@contextlib.contextmanager
def _readable_errors(directory: Path) -> Iterator[None]:
    """Turns a failed write into one line; what was saved before stays."""
    try:
        yield
    except Exception as error:  # TensorStore reports a full disk as a ValueError, Orbax others in kinds of its own
        raise UserError(
            f"{directory}: the checkpoint could not be written ({reason(error)}); earlier ones are intact. "
            "Make room or choose another --workdir, and start again to resume"
        ) from error
