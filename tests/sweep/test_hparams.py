"""A sweep as TensorBoard's own HPARAMS tab reads it."""

import pytest
from boards import read_boards
from sweep.fake_executor import FakeExecutor
from sweep.test_driver import define, drive, quality
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import api_pb2, get_experiment, list_session_groups
from tensorboard.plugins.hparams.backend_context import Context

from googlenet_jax.runs.writers.tensorboard import TensorBoard


class WritingExecutor(FakeExecutor):
    """Trainings that leave what TensorBoard reads, too."""

    def start(self, jobs):
        super().start(jobs)
        for job in jobs:
            writer = TensorBoard(job.workdir, 0)
            writer.write({"step": 9, "epoch": 9.0, "split": "val", "seconds": 1.0, "top1": quality(job.id, job.until)})
            writer.close()


def tab(path):
    """What the tab asks for: the experiment, and the trials by name of their session group."""
    context = Context(TBContext(data_provider=MultiplexerDataProvider(read_boards(path), str(path))))
    experiment = get_experiment.Handler(RequestContext(), context, "", api_pb2.GetExperimentRequest()).run()
    request = api_pb2.ListSessionGroupsRequest(
        start_index=0,
        slice_size=99,
        include_metrics=True,
        allowed_statuses=[api_pb2.STATUS_UNKNOWN],
        col_params=[api_pb2.ColParams(metric=api_pb2.MetricName(tag="val/top1"))],
    )
    groups = list_session_groups.Handler(RequestContext(), context, "", request).run().session_groups
    return experiment, {group.name: group for group in groups}


def test_the_tab_has_the_trials_their_fields_and_the_objective(tmp_path):
    sweep = ("optimizer.learning_rate=0.1,0.2", "augment.flip=false", "model.blocks=('3a',)", "model.window_5x5=none,3")
    driver = drive(tmp_path, define(*sweep), WritingExecutor(2, quality))
    experiment, groups = tab(tmp_path)
    kinds = {field.name: api_pb2.DataType.Name(field.type) for field in experiment.hparam_infos}
    assert kinds == {
        "optimizer.learning_rate": "DATA_TYPE_FLOAT64",
        "augment.flip": "DATA_TYPE_BOOL",
        "model.blocks": "DATA_TYPE_STRING",
        "model.window_5x5": "DATA_TYPE_FLOAT64",
    }
    assert all(field.differs for field in experiment.hparam_infos)  # a column of its own in the table of runs
    assert experiment.metric_infos[0].name.tag == "val/top1"
    assert groups.keys() == {trial.id for trial in driver.trials}
    assert len(groups) == 4
    for trial in driver.trials:
        group = groups[trial.id]
        assert group.hparams["optimizer.learning_rate"].number_value == trial.overrides["optimizer.learning_rate"]
        assert group.hparams["model.blocks"].string_value == "3a"
        assert not group.hparams["augment.flip"].bool_value
        assert group.hparams["model.window_5x5"].number_value == (trial.overrides["model.window_5x5"] or 0)
        (metric,) = (value for value in group.metric_values if value.name.tag == "val/top1")
        assert metric.value == pytest.approx(quality(trial.id, 9.0))


def test_a_sweep_without_tensorboard_leaves_it_no_files(tmp_path):
    drive(tmp_path, define("seed=0,1", writers=()), FakeExecutor(2, quality))
    assert not list(tmp_path.rglob("*tfevents*"))
