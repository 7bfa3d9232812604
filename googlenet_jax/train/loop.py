"""The training loop: from a configuration and a directory to a trained network."""

import contextlib
import logging
import shlex
from pathlib import Path
from typing import Any

import jax
import ml_collections

from googlenet_jax.config import to_json, validate
from googlenet_jax.data.bad_images import BadImageLog
from googlenet_jax.data.identity import identity
from googlenet_jax.data.sources.opening import open_source
from googlenet_jax.errors import UserError
from googlenet_jax.evaluate.metrics import beyond_use
from googlenet_jax.runs.checkpoint import Checkpoints
from googlenet_jax.runs.directory import RunDirectory
from googlenet_jax.runs.lines import Line
from googlenet_jax.runs.mirror import local_run
from googlenet_jax.system import heartbeat
from googlenet_jax.train.display import TrainingDisplay
from googlenet_jax.train.feed import feed
from googlenet_jax.train.meter import Meter
from googlenet_jax.train.profiler import Profiler
from googlenet_jax.train.setup import Training, build_training
from googlenet_jax.train.signals import StopSignals
from googlenet_jax.train.start import items, output_names, start, tell_new_end, tell_unreached, with_input
from googlenet_jax.train.state import Measured, TrainState
from googlenet_jax.train.validation import Validation

log = logging.getLogger(__name__)
_NOT_FINITE = "the loss on the validation images is not finite"


def train_and_evaluate(
    config: ml_collections.ConfigDict, workdir: str | Path, until: float | None = None
) -> dict[str, Any]:
    """Trains, evaluates and saves; goes on where an earlier training in the same directory stopped.

    Args:
      config: from a recipe.
      workdir: the run directory, or a URL of one in a bucket, see `mirror.local_run`.
      until: epoch to stop at, saved, on the way to `num_epochs`; None: do not.

    Returns:
      {"step": steps done, "finished": whether all of them, "val": the last line of validation metrics or None}.

    Raises:
      UserError: for anything in the configuration, data or machine that a user can mend.
    """
    validate(config)
    with StopSignals() as stop, local_run(workdir) as path:  # signals around the last upload too
        config = with_input(config, path)
        train_images, val_images = open_source(config)
        training = build_training(config, len(train_images), len(train_images.labels))
        names = output_names(config, train_images.labels)
        images = identity(train_images, names)
        bad_images = BadImageLog(config.dataset.bad_images)
        validation = Validation(val_images, training, bad_images, names)
        profiler = Profiler(config.profile, training.calendar.total, path / "tensorboard")
        display = TrainingDisplay(str(workdir), training.calendar.total, len(val_images))
        with contextlib.closing(RunDirectory(path, config, jax.process_index() == 0)) as run:
            with contextlib.closing(Checkpoints(run.checkpoints, config.checkpoint.keep)) as saved:
                state = start(saved, run, training, images)
                first = int(state.step)
                run.begin(first)
                tell_new_end(run, training, first)
                tell_unreached(config)
                display.started(training, first, len(train_images))
                save = _Saving(saved, training, images)
                end = training.calendar.end(until)
                with (
                    display,  # before the feed, which may decode all images first
                    contextlib.closing(feed(train_images, training, bad_images, first, display.cached)) as batches,
                    contextlib.closing(profiler),
                ):
                    step = _loop(state, batches, training, validation, run, save, stop, display, profiler, end)
            val = _validations(run)
        display.finished(step, stop.received, val, len(bad_images.skipped))
    return {"step": step, "finished": step == training.calendar.total, "val": val[-1] if val else None}


def _loop(
    state: TrainState,
    batches: Any,
    training: Training,
    validation: Validation,
    run: RunDirectory,
    save: "_Saving",
    stop: StopSignals,
    display: TrainingDisplay,
    profiler: Profiler,
    end: int,
) -> int:
    """Trains up to a step, or until it is told to stop; returns the steps done."""
    config, calendar, step = training.config, training.calendar, int(state.step)
    meter, measured = Meter(training, step), training.place(Measured.empty())
    if int(state.loss_scale.skipped_in_a_row) >= config.precision.max_skipped:  # it ended so before
        raise _diverged(_skipped(int(state.loss_scale.skipped_in_a_row)), run, step)
    ended = [line for line in _validations(run) if line["step"] == step == calendar.total]
    if ended and beyond_use(ended[-1], training.model.num_classes):  # likewise
        raise _diverged(_NOT_FINITE, run, step)
    while step < end:
        profiler.before(step, state)
        state, measured = training.step(state, measured, *next(batches))
        step += 1
        profiler.after(step, state)
        display.stepped(step)
        heartbeat.progress()

        validating = calendar.due(step, config.eval.every_epochs)
        if validating or calendar.due(step, config.log_every_epochs):
            values = meter.read(measured, state, step)
            display.measured(run.write(step, calendar.epoch(step), "train", values))
            if values.get("skipped_in_a_row", 0) >= config.precision.max_skipped:
                save(state, step, None)
                save.wait()
                raise _diverged(_skipped(values["skipped_in_a_row"]), run, step)
            measured = training.place(Measured.empty())
            meter.restart(step)

        val = None
        if validating:
            variables = training.take(state.eval_variables)
            val = validation.run(variables, display.evaluated)
            display.validated(run.write(step, calendar.epoch(step), "val", val))
            validation.show(variables, run, step)
        stopping = stop.after(step) or step == end
        if validating or stopping or save.due(step):
            save(state, step, val)
            meter.restart(step)
        if step == calendar.total and val is not None and beyond_use(val, training.model.num_classes):
            save.wait()
            raise _diverged(_NOT_FINITE, run, step)
        if stopping:
            break
    return step


class _Saving:
    """Saves a state with all that it takes to use it."""

    def __init__(self, saved: Checkpoints, training: Training, images: dict[str, Any]):
        self._saved, self._training, config = saved, training, training.config
        every = config.checkpoint.every_epochs
        self._every_epochs = config.eval.every_epochs if every is None else every
        self._meta = images | {
            "config": to_json(config),
            "preprocess": training.preprocess.to_dict(),
            "devices": len(training.devices),
        }

    def due(self, step: int) -> bool:
        return self._training.calendar.due(step, self._every_epochs)

    def __call__(self, state: TrainState, step: int, val: dict[str, float] | None) -> None:
        meta = self._meta | {"step": step, "epoch": self._training.calendar.epoch(step)}
        heartbeat.pause()  # a slow disk is no hang
        self._saved.save(step, items(self._training.take(state)), meta, val)

    def wait(self) -> None:
        """Until what was saved is there, and what it replaces is gone."""
        self._saved.wait()


def _validations(run: RunDirectory) -> list[Line]:
    """What was measured of the validation images, in order; of a loss that was not finite nothing is there."""
    return [line for line in run.lines() if line["split"] == "val"]


def _skipped(in_a_row: float) -> str:
    return f"the last {in_a_row:.0f} steps had gradients that are not finite and were skipped"


def _diverged(why: str, run: RunDirectory, step: int) -> UserError:
    # What is finite at this step may have grown beyond use: the best of what was validated is worth more.
    kept = {int(path.name) for path in run.checkpoints.glob("*") if path.name.isdecimal()}
    good = [(line["top1"], line["step"]) for line in _validations(run) if "loss" in line and line["step"] in kept]
    way_out = "Begin again in another --workdir"
    if good or why != _NOT_FINITE:
        checkpoint = run.checkpoints / str(max(good)[1] if good else step)
        init_from = shlex.quote(f"--config.init_from={checkpoint}")
        way_out = f"{way_out}, or go on there from the {'best' if good else 'last finite'} parameters by {init_from}"
    return UserError(
        f"training diverged: {why}. {way_out}: with a lower config.optimizer.learning_rate, a longer "
        "config.schedule.warmup_epochs, config.optimizer.clip_norm, or another config.precision.loss_scale"
    )
