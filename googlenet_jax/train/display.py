"""What a person sees of a training: a progress bar, a line an evaluation, a summary with the next steps."""

import logging
import math
import shlex
from typing import Any

import jax
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from googlenet_jax.system.console import console
from googlenet_jax.train.setup import Training

log = logging.getLogger(__name__)


class TrainingDisplay:
    """Follows a training.

    Args:
      workdir: the run directory, or its URL.
      total: its last step.
      val_images: in the validation set.
    """

    def __init__(self, workdir: str, total: int, val_images: int):
        self.workdir, self.total, self._next = workdir.rstrip("/"), total, list[str]()
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            disable=not console.is_terminal or jax.process_index() > 0,
        )
        self.training = self.progress.add_task("training", total=total, note="")
        self.caching = self.progress.add_task("decoding", total=None, note="", visible=False)
        self.evaluating = self.progress.add_task("evaluating", total=val_images, note="", visible=False)

    def __enter__(self) -> "TrainingDisplay":
        self.progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.progress.stop()

    def started(self, training: Training, step: int, images: int) -> None:
        """The training is about to begin after this step, on so many images."""
        config, devices, run = training.config, training.devices, shlex.quote(self.workdir)
        self._next = [
            f"googlenet predict --checkpoint {run} IMAGE...",
            f"googlenet evaluate --checkpoint {run}",
            f"googlenet report {run}",
            *(f"tensorboard --logdir {run}/tensorboard" for _ in {"tensorboard"} & {*config.writers}),
        ]
        log.info(
            "%s, %d images at %d px, batch %d on %d %s device%s, %g epochs = %d steps, run directory %s",
            config.model.variant,
            images,
            config.dataset.image_size,
            config.batch_size,
            len(devices),
            devices[0].platform,
            "s" if len(devices) > 1 else "",
            config.num_epochs,
            self.total,
            self.workdir,
        )
        note = "compiling, up to a minute the first time" if step < self.total else ""
        self.progress.update(self.training, completed=step, note=note)

    def cached(self, done: int, total: int) -> None:
        """So many of the training images are decoded."""
        self.progress.update(self.caching, completed=done, total=total, visible=done < total)

    def stepped(self, step: int) -> None:
        """A step went to the devices."""
        self.progress.update(self.training, completed=step)

    def measured(self, line: dict[str, Any]) -> None:
        """Training metrics were read."""
        loss, top1 = line.get("loss", math.nan), line.get("top1", math.nan)  # absent when every step was skipped
        note = f"loss {loss:.3f}  top-1 {top1:.1%}  {line['images_per_second']:.0f} images/s"
        self.progress.update(self.training, note=note)
        log.debug("step %d %s", line["step"], note)
        if line.get("skipped_steps"):
            log.warning("step %d: %d steps skipped so far, not finite", line["step"], line["skipped_steps"])

    def evaluated(self, images: int) -> None:
        """A batch of validation images went to the devices."""
        self.progress.update(self.evaluating, advance=images, visible=True)

    def validated(self, line: dict[str, Any]) -> None:
        """The validation set was evaluated."""
        self.progress.reset(self.evaluating, visible=False)
        top1, top5, loss = (line.get(name, math.nan) for name in ("top1", "top5", "loss"))
        percents = f"val top-1 {100 * top1:6.2f} %   top-5 {100 * top5:6.2f} %"
        log.info("epoch %-6.4g %s   loss %.4f   %.0f s", line["epoch"], percents, loss, line["seconds"])

    def finished(self, step: int, signal: str | None, val: list[dict[str, Any]], bad_images: int) -> None:
        """The training ended: after its last step, by a signal, or where it was to stop."""
        if bad_images:
            log.warning("%d images could not be read and were left out; train.log names them", bad_images)
        if step < self.total:
            log.info("%s: saved at step %d of %d and stopped", signal or "--until", step, self.total)
            log.info("to go on: the same command with --workdir %s", self.workdir)
            return
        table = Table("validation", "epoch", "top-1", "top-5", "loss", title=f"trained {step} steps")
        if val:
            best = max(val, key=lambda line: (line.get("top1", 0), line["step"]))  # as `checkpoint.read` has it
            for name, line in (("best", best), ("last", val[-1])):
                top1, top5, loss = (line.get(key, math.nan) for key in ("top1", "top5", "loss"))
                table.add_row(name, f"{line['epoch']:g}", f"{top1:.2%}", f"{top5:.2%}", f"{loss:.4f}")
        if jax.process_index() == 0:
            console.print(table)
        log.info("the run is in %s", self.workdir)
        for number, command in enumerate(self._next):
            log.info("%s %s", "     " if number else "next:", command)
