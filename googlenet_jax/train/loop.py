"""The training loop: from a configuration and a directory to a trained network."""

import logging
import time
from pathlib import Path
from typing import Any

import jax
import ml_collections

from googlenet_jax.checkpoint import Checkpoints
from googlenet_jax.config import to_json, validate
from googlenet_jax.console import TrainingDisplay
from googlenet_jax.data.loader import eval_batches, train_batches
from googlenet_jax.data.sources import BadImageLog, open_source
from googlenet_jax.errors import UserError
from googlenet_jax.evaluate import Evaluator
from googlenet_jax.metrics import Metrics
from googlenet_jax.rundir import RunDirectory
from googlenet_jax.train.setup import Training, build_training
from googlenet_jax.train.signals import StopSignals
from googlenet_jax.train.state import TrainState

log = logging.getLogger(__name__)


def train_and_evaluate(config: ml_collections.ConfigDict, workdir: str | Path) -> dict[str, Any]:
    """Trains, evaluates and saves; goes on where an earlier training in the same directory stopped.

    Args:
      config: from a recipe.
      workdir: the run directory.

    Returns:
      {"step": steps done, "finished": whether all of them, "val": the last line of validation metrics or None}.

    Raises:
      UserError: for anything in the configuration, data or machine that a user can mend.
    """
    validate(config)
    train_source, val_source = open_source(config.dataset, config.seed)
    training = build_training(config, len(train_source), len(train_source.labels))
    total = round(config.num_epochs * training.steps_per_epoch)
    eval_size = config.eval.batch_size or config.batch_size
    eval_size = -(-eval_size // len(training.devices)) * len(training.devices)
    evaluator = Evaluator(training.model, training.preprocess, training.devices)
    bad_images = BadImageLog(config.dataset.bad_images)

    run = RunDirectory(Path(workdir), config)
    saved = Checkpoints(run.checkpoints, config.checkpoint.keep)
    try:
        state = _restore_or_create(saved, training)
        start = int(state.step)
        run.rewind(start)
        meta = {
            "config": to_json(config),
            "labels": list(train_source.labels),
            "preprocess": training.preprocess.to_dict(),
        }

        def save(state: TrainState, step: int, val: dict[str, float] | None) -> None:
            items = {"variables": state.variables, "ema": state.ema, "training": _training_item(state)}
            saved.save(step, items, meta | {"step": step, "epoch": step / training.steps_per_epoch}, val)

        def evaluate(state: TrainState, step: int) -> dict[str, float]:
            batches = eval_batches(val_source, config, training.preprocess.crop, bad_images, eval_size)
            values = evaluator.run(state.eval_variables, batches, display.evaluated)
            display.validated(run.write_metrics(step, step / training.steps_per_epoch, "val", values))
            return values

        def due(step: int, every_epochs: float) -> bool:
            interval = every_epochs * training.steps_per_epoch
            return step == total or (interval > 0 and round(max(round(step / interval), 1) * interval) == step)

        display = TrainingDisplay(run.path, start, total, training.steps_per_epoch, len(val_source))
        batches = train_batches(train_source, config, training.preprocess.crop, bad_images, first=start)
        metrics = training.place(Metrics.empty())
        last_save, since, images = start, time.monotonic(), 0
        with display, StopSignals() as stop:
            display.started(config, training, len(train_source))
            for step in range(start + 1, total + 1):
                batch = next(batches)
                state, metrics = training.step(state, metrics, *training.split((batch.images, batch.labels)))
                display.stepped(step)
                images += config.batch_size

                evaluating = due(step, config.eval.every_epochs)
                saving = evaluating if config.checkpoint.every_epochs is None else due(step, config.checkpoint.every_epochs)
                if evaluating or due(step, config.log_every_epochs):
                    values = _read(metrics, state, float(training.schedule(step - 1)), images / (time.monotonic() - since))
                    metrics = training.place(Metrics.empty())
                    display.measured(run.write_metrics(step, step / training.steps_per_epoch, "train", values))
                    _stop_if_diverged(state, config, lambda: save(state, step, None), run.checkpoints)
                    since, images = time.monotonic(), 0
                val = evaluate(state, step) if evaluating else None
                if saving or step == total or stop.received:
                    save(state, step, val)
                    last_save = step
                    since, images = time.monotonic(), 0
                if stop.received:
                    break
        saved.close()
        lines = [line for line in run.metrics() if line["split"] == "val"]
        display.finished(last_save, stop.received, lines, len(bad_images.names))
        return {"step": last_save, "finished": last_save == total, "val": lines[-1] if lines else None}
    finally:
        run.close()


def _restore_or_create(saved: Checkpoints, training: Training) -> TrainState:
    fresh = jax.eval_shape(training.create)
    restored = saved.restore({"variables": fresh.variables, "ema": fresh.ema, "training": _training_item(fresh)})
    if restored is None:
        return training.place(training.create())
    step, items = restored
    log.info("resuming at step %d", step)
    return training.place(TrainState(variables=items["variables"], ema=items["ema"], **items["training"]))


def _training_item(state: TrainState) -> dict[str, Any]:
    return {"step": state.step, "opt_state": state.opt_state, "loss_scale": state.loss_scale}


def _read(metrics: Metrics, state: TrainState, learning_rate: float, images_per_second: float) -> dict[str, float]:
    """What a line of training metrics says; here, and only here, the host waits for the device."""
    skipped = int(state.loss_scale.skipped)
    values = {name: float(value) for name, value in metrics.compute().items()}
    values |= {"learning_rate": learning_rate, "images_per_second": round(images_per_second, 2)}
    if state.loss_scale.growth_steps:
        values["loss_scale"] = float(state.loss_scale.scale)
    return values | ({"skipped_steps": skipped} if skipped else {})


def _stop_if_diverged(state: TrainState, config: ml_collections.ConfigDict, save: Any, where: Path) -> None:
    in_a_row = int(state.loss_scale.skipped_in_a_row)
    if in_a_row >= config.precision.max_skipped:
        save()
        raise UserError(
            f"training diverged: the last {in_a_row} steps had gradients that are not finite and were skipped. The last "
            f"good parameters are in {where / str(int(state.step))}; lower config.optimizer.learning_rate, lengthen "
            "config.schedule.warmup_epochs, or set config.optimizer.clip_norm"
        )
