"""The writer to MLflow (https://mlflow.org/docs); its own environment variables say where."""

import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from googlenet_jax.config.fields import flatten
from googlenet_jax.config.from_json import read_json
from googlenet_jax.errors import UserError
from googlenet_jax.runs.lines import Line
from googlenet_jax.runs.writers.base import Writer, scalars
from googlenet_jax.runs.writers.memory import recall, remember

try:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param
except ImportError:
    raise UserError("config.writers: mlflow needs its package: pip install 'googlenet-jax[mlflow]'") from None


class MLflow(Writer):
    """A run of MLflow, named as the run directory; a run that goes on goes on in the same.

    Its parameters are the configuration's fields at the run's start, which MLflow lets nobody change; its artifact
    `config.json` is the newest. MLflow has no histograms.
    """

    def __init__(self, run: Path, step: int):
        logging.getLogger("mlflow").setLevel(logging.WARNING)  # how it makes a database is not this program's news
        self._client, name = MlflowClient(), recall(run, "mlflow")
        self._name = self._created(run) if name is None else name
        self._client.update_run(self._name, status="RUNNING")
        self._client.log_artifact(self._name, str(run / "config.json"))

    def _created(self, run: Path) -> str:
        title = os.environ.get("MLFLOW_EXPERIMENT_NAME", "googlenet_jax")
        known = self._client.get_experiment_by_name(title)
        experiment = self._client.create_experiment(title) if known is None else known.experiment_id
        name = self._client.create_run(experiment, run_name=run.absolute().name).info.run_id
        fields = flatten(read_json(run / "config.json"))
        self._client.log_batch(name, params=[Param(field, str(value)) for field, value in fields.items()])
        remember(run, "mlflow", name)
        return name

    def write(self, line: Line) -> None:
        """As `Writer.write`."""
        now, values = int(1000 * time.time()), scalars(line) | {"epoch": line["epoch"]}
        metrics = [Metric(name, value, now, line["step"]) for name, value in values.items()]
        self._client.log_batch(self._name, metrics=metrics)

    def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        """As `Writer.write_images`."""
        for name, image in images.items():
            self._client.log_image(self._name, image, key=name, step=step)

    def close(self) -> None:
        """As `Writer.close`."""
        self._client.set_terminated(self._name)
