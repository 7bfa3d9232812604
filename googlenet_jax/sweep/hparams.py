"""A sweep as the HPARAMS tab of TensorBoard shows it: which fields vary, their values in each trial, what is compared.

TensorBoard looks for a trial's values beside its metrics, in `tensorboard/` of its run directory. The files are written
before trainings start, and their names come before a training's: TensorBoard reads in that order, and never goes back.
"""

import contextlib
from pathlib import Path
from typing import Any

from tensorboard.compat.proto import summary_pb2
from tensorboard.plugins.hparams import api_pb2, metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboard.plugins.hparams.summary_v2 import hparams_pb

from googlenet_jax.config.fields import FIELDS
from googlenet_jax.runs.writers.events import EventFile
from googlenet_jax.sweep.definition import Definition
from googlenet_jax.sweep.trials import brief

_NAME = "events.out.tfevents.0.hparams"
_TYPES = {bool: "DATA_TYPE_BOOL", int: "DATA_TYPE_FLOAT64", float: "DATA_TYPE_FLOAT64"}


def write_experiment(path: Path, definition: Definition) -> None:
    """Writes which fields a sweep varies, and what its trials are compared by, into its directory."""
    fields = [
        api_pb2.HParamInfo(name=name, type=_TYPES.get(FIELDS[name].type, "DATA_TYPE_STRING"), differs=True)
        for name in definition.space.fields
    ]
    tags = dict.fromkeys(["/".join(definition.objective), "val/top1", "val/loss"])  # the first is the objective
    metrics = [api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag)) for tag in tags]
    experiment = api_pb2.Experiment(hparam_infos=fields, metric_infos=metrics)
    about = metadata.create_summary_metadata(HParamsPluginData(experiment=experiment))
    value = summary_pb2.Summary.Value(tag=metadata.EXPERIMENT_TAG, metadata=about, tensor=metadata.NULL_TENSOR)
    _write(path, summary_pb2.Summary(value=[value]))


def write_trial(run: Path, id: str, values: dict[str, Any]) -> None:
    """Writes a trial's values of the fields that the sweep varies, by name, into its run directory."""
    plain = {name: brief(v) if isinstance(v, tuple) else v for name, v in values.items() if v is not None}
    _write(run / "tensorboard", hparams_pb(plain, trial_id=id))


def _write(directory: Path, summary: summary_pb2.Summary) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(EventFile(directory / _NAME)) as file:
        file.add(summary)
