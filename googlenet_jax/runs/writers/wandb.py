"""The writer to Weights & Biases (https://docs.wandb.ai); its own environment variables say where and as whom."""

import logging
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from googlenet_jax.config.fields import flatten
from googlenet_jax.config.from_json import read_json
from googlenet_jax.errors import UserError, reason
from googlenet_jax.runs.lines import Line
from googlenet_jax.runs.writers.base import Writer, scalars
from googlenet_jax.runs.writers.memory import recall, remember

try:
    import wandb
except ImportError:
    raise UserError("config.writers: wandb needs its package: pip install 'googlenet-jax[wandb]'") from None

log = logging.getLogger(__name__)
_LONGEST_UPLOAD = 60  # seconds at a training's end, which may be told to hurry; what is left lies in the run directory


class WeightsAndBiases(Writer):
    """A run at Weights & Biases, named as the run directory; a run that goes on goes on in the same.

    Numbers are drawn over a "step" of their own: what is trained again after a crash is written again, with the same
    values.

    Raises:
      UserError: if nobody is logged in.
    """

    def __init__(self, run: Path, step: int):
        known = recall(run, "wandb")
        name = known or secrets.token_hex(4)
        # Later somebody may have given it another title.
        title = None if known else os.environ.get("WANDB_NAME", run.absolute().name)
        try:
            self._run = _begun(run, name, title)
        except wandb.errors.UsageError as error:
            raise UserError(f"config.writers: wandb: {reason(error)} Or set WANDB_MODE=offline") from error
        except wandb.errors.CommError as error:
            log.warning("wandb: %s; what is written stays in %s, for wandb sync", reason(error), run / "wandb")
            wandb.teardown()  # which still holds the run that it could not begin
            self._run = _begun(run, name, title, mode="offline")
        remember(run, "wandb", name)
        self._run.define_metric("step", hidden=True)
        self._run.define_metric("*", step_metric="step")

    def write(self, line: Line) -> None:
        """As `Writer.write`."""
        self._log(line["step"], scalars(line) | {"epoch": line["epoch"]})

    def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        """As `Writer.write_images`."""
        self._log(step, {name: wandb.Image(Image.fromarray(image)) for name, image in images.items()})

    def write_histograms(self, step: int, arrays: Mapping[str, np.ndarray]) -> None:
        """As `Writer.write_histograms`."""
        counts = {name: np.histogram(array, bins=64) for name, array in arrays.items()}
        self._log(step, {name: wandb.Histogram(np_histogram=each) for name, each in counts.items()})

    def _log(self, step: int, values: dict[str, Any]) -> None:
        self._run.log(values | {"step": step})

    def close(self) -> None:
        """As `Writer.close`; waits for the upload, but not for ever."""
        self._run.finish()


def _begun(run: Path, name: str, title: str | None, mode: Any = None) -> "wandb.Run":
    return wandb.init(
        dir=run,
        id=name,
        resume="allow",
        project=os.environ.get("WANDB_PROJECT", "googlenet_jax"),
        name=title,
        config=flatten(read_json(run / "config.json")),
        allow_val_change=True,  # such as num_epochs, which may grow
        mode=mode,
        # The console is this program's, and another run of this process, as in a notebook, is left alone.
        settings=wandb.Settings(console="off", silent=True, finish_timeout=_LONGEST_UPLOAD, reinit="create_new"),
    )
