"""Where a training begins: at random parameters, at another network's, or where the run stopped."""

import logging
from pathlib import Path
from typing import Any

import ml_collections

from googlenet_jax.config.checks import differences
from googlenet_jax.config.from_json import from_json, read_json
from googlenet_jax.config.resume import bound_to_devices, left_to_start, refused, with_input_of
from googlenet_jax.data.classes import UNUSED
from googlenet_jax.data.identity import check_same
from googlenet_jax.errors import UserError
from googlenet_jax.runs.checkpoint import Checkpoints
from googlenet_jax.runs.directory import CONFIG, RunDirectory
from googlenet_jax.train.fine_tune import initialize, input_of
from googlenet_jax.train.schedule import make_schedule
from googlenet_jax.train.setup import Training
from googlenet_jax.train.state import TrainState, constants

log = logging.getLogger(__name__)


def with_input(config: ml_collections.ConfigDict, run: Path) -> ml_collections.ConfigDict:
    """The configuration with the input normalisation of where it starts from, in fields that are not set.

    Args:
      config: the whole configuration.
      run: the run directory; what it keeps goes before `init_from`, which a run needs at its first start alone.

    Returns:
      A copy, or the configuration itself if there is nothing to add.

    Raises:
      UserError: if there is no checkpoint at `init_from`.
    """
    if not left_to_start(config):
        return config
    return with_input_of(
        config, read_json(run / CONFIG).dataset if (run / CONFIG).exists() else input_of(config.init_from)
    )


def start(saved: Checkpoints, run: RunDirectory, training: Training, images: dict[str, Any]) -> TrainState:
    """The state to train on from, on every device.

    Args:
      saved: the run's checkpoints; the newest readable one is gone on from.
      run: its directory.
      training: that goes on.
      images: from `identity`, of the training images.

    Returns:
      The state.

    Raises:
      UserError: if no checkpoint can be read, the images are others, or `init_from` does not fit.
    """
    fresh, config = training.abstract(), training.config
    restored = saved.restore(items(fresh), lambda meta: _check(meta, run, training, images))
    if restored is None:
        state = training.create()
        if config.init_from is not None:
            state = initialize(state, config, training.preprocess, images["labels"])
        return training.place(state)
    step, found = restored
    log.info("resuming at step %d, with the optimizer's state and at the same place in the data", step)
    state = TrainState(variables=found["variables"], ema=found["ema"], **found["training"], **constants(config))
    return training.place(state)


def _check(meta: dict[str, Any], run: RunDirectory, training: Training, images: dict[str, Any]) -> None:
    """Whether a checkpoint is this training's: its configuration counts, whatever became of `config.json`."""
    config, devices = training.config, len(training.devices)
    if wrong := refused(differences(from_json(meta["config"]), config), config):
        raise UserError(
            f"{run.path} was trained with another configuration ({'; '.join(wrong)}): take another --workdir, or the "
            "run's own"
        )
    if (setting := bound_to_devices(config)) and meta.get("devices", devices) != devices:
        raise UserError(
            f"{run.path} was trained on {meta['devices']} devices, now there are {devices}, by which config.{setting} "
            "trains otherwise: set config.num_devices, or take another --workdir"
        )
    check_same(meta, images, "dataset.name" in run.changes, str(run.path))


def tell_new_end(run: RunDirectory, training: Training, step: int) -> None:
    """Logs what a longer training means for the learning rate from this step on, where it means anything."""
    if "num_epochs" not in run.changes:
        return
    config, calendar = training.config, training.calendar
    course = make_schedule(config.schedule, calendar.steps_per_epoch, run.changes["num_epochs"][0])
    end = round(run.changes["num_epochs"][0] * calendar.steps_per_epoch)
    was = [float(config.optimizer.learning_rate * course(at)) for at in (step, end)]
    now = [float(training.schedule(at)) for at in (step, end)]
    if was != now:  # during warmup the end alone differs
        log.info(
            "the %s schedule ends at epoch %g now: the learning rate goes on at %.4g, where it would have been %.4g",
            config.schedule.name,
            config.num_epochs,
            now[0],
            was[0],
        )


def tell_unreached(config: ml_collections.ConfigDict) -> None:
    """Warns of what the schedule's last boundaries are for, which a shortened training never comes to."""
    late = [boundary for boundary in config.schedule.boundaries if boundary > config.num_epochs]
    if late and config.schedule.name in ("piecewise", "piecewise_exponential"):
        log.warning(
            "config.schedule.boundaries after the last epoch, %g: %s; the learning rate is not what it was to end with",
            config.num_epochs,
            ", ".join(f"{boundary:g}" for boundary in late),
        )


def items(state: TrainState) -> dict[str, Any]:
    """A state as a checkpoint keeps it: what prediction needs, and what only resuming needs, apart."""
    training = {"step": state.step, "opt_state": state.opt_state, "loss_scale": state.loss_scale}
    return {"variables": state.variables, "ema": state.ema, "training": training}


def output_names(config: ml_collections.ConfigDict, labels: list[str]) -> list[str]:
    """Class names of all outputs: the network may have more than the dataset has classes; not less (`UserError`)."""
    outputs = config.model.num_classes or len(labels)
    if outputs < len(labels):
        raise UserError(f"config.model.num_classes={outputs} is less than the dataset's {len(labels)} classes")
    return [*labels, *(f"{UNUSED}{i}" for i in range(len(labels), outputs))]
