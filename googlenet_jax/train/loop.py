"""The training loop: from a configuration and a directory to a trained network."""

import contextlib
import logging
import time
from pathlib import Path
from typing import Any

import jax
import ml_collections

from googlenet_jax.checkpoint import Checkpoints
from googlenet_jax.config import to_json, validate
from googlenet_jax.console import TrainingDisplay
from googlenet_jax.data.bad_images import BadImageLog
from googlenet_jax.data.loader import Process, eval_batches
from googlenet_jax.data.sources import open_source
from googlenet_jax.errors import UserError
from googlenet_jax.evaluate import Evaluator, Member, eval_batch_size, windows_of
from googlenet_jax.metrics import Metrics
from googlenet_jax.mirror import local_run
from googlenet_jax.net import UNUSED
from googlenet_jax.rundir import RunDirectory
from googlenet_jax.train.feed import feed
from googlenet_jax.train.fine_tune import initialize, with_its_input
from googlenet_jax.train.setup import Training, build_training
from googlenet_jax.train.signals import StopSignals
from googlenet_jax.train.state import TrainState

log = logging.getLogger(__name__)


def train_and_evaluate(config: ml_collections.ConfigDict, workdir: str | Path) -> dict[str, Any]:
    """Trains, evaluates and saves; goes on where an earlier training in the same directory stopped.

    Args:
      config: from a recipe.
      workdir: the run directory, or a URL of one in a bucket, see `mirror.local_run`.

    Returns:
      {"step": steps done, "finished": whether all of them, "val": the last line of validation metrics or None}.

    Raises:
      UserError: for anything in the configuration, data or machine that a user can mend.
    """
    validate(config)
    config = with_its_input(config)
    train_source, val_source = open_source(config.dataset, config.seed)
    training = build_training(config, len(train_source), len(train_source.labels))
    epoch = training.steps_per_epoch
    total = round(config.num_epochs * epoch)
    if total < 1:
        raise UserError(f"config.num_epochs={config.num_epochs} is less than one step of {config.batch_size} images")
    bad_images = BadImageLog(config.dataset.bad_images)
    evaluator = Evaluator([Member(training.model, training.preprocess)], training.devices)
    eval_size = eval_batch_size(config, training.devices)
    save_every = config.eval.every_epochs if config.checkpoint.every_epochs is None else config.checkpoint.every_epochs

    data = {"labels": _labels(config, train_source.labels), "training images": len(train_source)}
    meta = data | {"config": to_json(config), "preprocess": training.preprocess.to_dict()}

    def due(step: int, every_epochs: float) -> bool:
        interval = every_epochs * epoch
        return step == total or (interval > 0 and round(max(round(step / interval), 1) * interval) == step)

    def evaluate(state: TrainState, step: int) -> dict[str, float]:
        process = Process(jax.process_index(), jax.process_count())
        cut = windows_of([training.preprocess])
        batches = eval_batches(val_source, config, cut, bad_images, eval_size, process)
        values = evaluator.run([state.eval_variables], batches, display.evaluated).values
        display.validated(run.write_metrics(step, step / epoch, "val", values))
        return values

    def save(state: TrainState, step: int, val: dict[str, float] | None) -> None:
        items = {"variables": state.variables, "ema": state.ema, "training": _training_item(state)}
        saved.save(step, items, meta | {"step": step, "epoch": step / epoch}, val)

    with (
        StopSignals() as stop,  # around the last upload too
        local_run(workdir) as path,
        contextlib.closing(RunDirectory(path, config, jax.process_index() == 0)) as run,
    ):
        with contextlib.closing(Checkpoints(run.checkpoints, config.checkpoint.keep)) as saved:
            state = _restore_or_create(saved, training, data, config)
            start = step = int(state.step)
            run.rewind(start)
            metrics = training.place(Metrics.empty())
            display = TrainingDisplay(str(workdir), start, total, len(val_source))
            display.started(config, training.devices, len(train_source))
            with (
                display,
                contextlib.closing(feed(train_source, training, config, bad_images, start, display.cached)) as batches,
            ):
                since, measured = time.monotonic(), start
                while step < total:
                    state, metrics = training.step(state, metrics, *next(batches))
                    step += 1
                    display.stepped(step)

                    if due(step, config.log_every_epochs) or due(step, config.eval.every_epochs):
                        values = _read(metrics, state)  # here, and only here, the host waits for the device
                        speed = (step - measured) * config.batch_size / (time.monotonic() - since)
                        rate = float(training.schedule(step - 1))
                        values |= {"learning_rate": rate, "images_per_second": round(speed, 1)}
                        display.measured(run.write_metrics(step, step / epoch, "train", values))
                        metrics = training.place(Metrics.empty())
                        if values.get("skipped_in_a_row", 0) >= config.precision.max_skipped:
                            save(state, step, None)
                            raise _diverged(values["skipped_in_a_row"], run.checkpoints / str(step))
                        since, measured = time.monotonic(), step
                    val = evaluate(state, step) if due(step, config.eval.every_epochs) else None
                    stopping = stop.after(step)
                    if val is not None or due(step, save_every) or stopping:
                        save(state, step, val)
                        since, measured = time.monotonic(), step
                    if stopping:
                        break
        lines = [line for line in run.metrics() if line["split"] == "val"]
        display.finished(step, stop.received, lines, len(bad_images.skipped))
    return {"step": step, "finished": step == total, "val": lines[-1] if lines else None}


def _labels(config: ml_collections.ConfigDict, labels: list[str]) -> list[str]:
    """Class names of all outputs: beyond the dataset's classes the network may have more."""
    outputs = config.model.num_classes or len(labels)
    if outputs < len(labels):
        raise UserError(f"config.model.num_classes={outputs} is less than the dataset's {len(labels)} classes")
    return [*labels, *(f"{UNUSED}{i}" for i in range(len(labels), outputs))]


def _restore_or_create(
    saved: Checkpoints, training: Training, data: dict[str, Any], config: ml_collections.ConfigDict
) -> TrainState:
    fresh = training.abstract()
    items = {"variables": fresh.variables, "ema": fresh.ema, "training": _training_item(fresh)}
    restored = saved.restore(items, same=data)
    if restored is None:
        state = training.create()
        return training.place(state if config.init_from is None else initialize(state, config, training.preprocess))
    step, items = restored
    log.info("resuming at step %d, with the optimizer's state and at the same place in the data", step)
    return training.place(TrainState(variables=items["variables"], ema=items["ema"], **items["training"]))


def _training_item(state: TrainState) -> dict[str, Any]:
    return {"step": state.step, "opt_state": state.opt_state, "loss_scale": state.loss_scale}


def _read(metrics: Metrics, state: TrainState) -> dict[str, float]:
    """The metrics since the last reading, and what there is to say of the loss scale."""
    values = {name: float(value) for name, value in metrics.compute().items()}
    if state.loss_scale.growth_steps:
        values["loss_scale"] = float(state.loss_scale.scale)
    skipped = {
        "skipped_steps": int(state.loss_scale.skipped),
        "skipped_in_a_row": int(state.loss_scale.skipped_in_a_row),
    }
    return values | {name: count for name, count in skipped.items() if count}


def _diverged(skipped_in_a_row: float, checkpoint: Path) -> UserError:
    return UserError(
        f"training diverged: the last {skipped_in_a_row} steps had gradients that are not finite and were skipped. "
        f"The last good parameters are in {checkpoint}; lower config.optimizer.learning_rate, lengthen "
        "config.schedule.warmup_epochs, or set config.optimizer.clip_norm"
    )
