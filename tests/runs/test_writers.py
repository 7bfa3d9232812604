"""What writers other than `metrics.jsonl` are given, as TensorBoard, Weights & Biases and MLflow hold it."""

import io
import sys
import time

import numpy as np
import pytest
from boards import read_board
from conftest import small_config
from PIL import Image

from googlenet_jax.config.choices import WRITERS
from googlenet_jax.errors import UserError
from googlenet_jax.runs.directory import RunDirectory
from googlenet_jax.runs.lines import read_lines
from googlenet_jax.runs.writers import memory

IMAGE = np.full((24, 20, 3), (200, 100, 0), np.uint8)
VALUES = np.array([[0.0, 1.0], [2.0, np.nan]], np.float32)


def written(path, first, last, **changes):
    """A run that goes on from one step to another, with all that writers take."""
    config = small_config(**changes)
    run = RunDirectory(path, config)
    run.begin(first)
    run.write(last, last / 4, "val", {"loss": 2.0, "top1": 0.5})
    run.write_images(last, {"val/image_0": IMAGE})
    run.write_histograms(last, {"weights/conv1": VALUES, "weights/gone": np.full(3, np.inf)})
    run.close()
    return (path / "train.log").read_text()


def test_tensorboard(tmp_path):
    written(tmp_path, 0, 4)
    board = read_board(tmp_path / "tensorboard")
    (image,) = board.Images("val/image_0")
    assert (image.step, image.width, image.height) == (4, 20, 24)
    pixels = np.asarray(Image.open(io.BytesIO(image.encoded_image_string)), int)
    assert np.abs(pixels - IMAGE).max() < 10
    assert board.Tags()["tensors"] == ["weights/conv1"]
    (histogram,) = board.Tensors("weights/conv1")
    buckets = np.frombuffer(histogram.tensor_proto.tensor_content).reshape(-1, 3)
    assert (buckets[0, 0], buckets[-1, 1], buckets[:, 2].sum()) == (0, 2, 3)


def test_mlflow_goes_on_in_the_same_run(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # a database takes seconds to make
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file:{tmp_path}/store")
    run = tmp_path / "run"
    written(run, 0, 4, writers=("mlflow",))
    log = written(run, 4, 8, writers=("mlflow",), num_epochs=3.0)
    assert "writes" not in log
    client = mlflow.MlflowClient()
    (experiment,) = client.search_experiments(filter_string="name = 'googlenet_jax'")
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.run_name == "run"
    assert found.info.status == "FINISHED"
    assert found.data.params["optimizer.learning_rate"] == "0.02"
    top1 = client.get_metric_history(found.info.run_id, "val/top1")
    assert [(metric.step, metric.value) for metric in top1] == [(4, 0.5), (8, 0.5)]
    artifacts = client.list_artifacts(found.info.run_id)
    assert {artifact.path for artifact in artifacts} == {"config.json", "images"}
    assert '"num_epochs": 3.0' in mlflow.artifacts.load_text(f"{found.info.artifact_uri}/config.json")
    assert len([a for a in client.list_artifacts(found.info.run_id, "images") if a.path.endswith(".png")]) == 2


def test_mlflow_away_ends_no_training(tmp_path, monkeypatch):
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    log = written(tmp_path, 0, 4, writers=("mlflow",))
    assert log.count("MLflow writes nothing: ") == 1
    assert [line["step"] for line in read_lines(tmp_path)] == [4]


@pytest.fixture
def wandb():
    """The package, without what other tests set; its process ends with the test."""
    package = pytest.importorskip("wandb")
    package.teardown()
    yield package
    package.teardown()


def test_wandb_goes_on_in_the_same_run(wandb, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    run = tmp_path / "run"
    written(run, 0, 4, writers=("wandb",))
    name = memory.recall(run, "wandb")
    time.sleep(1)  # W&B names the directory of an offline start by the second
    log = written(run, 4, 8, writers=("wandb",), num_epochs=3.0)
    assert "writes" not in log
    wandb.teardown()  # which waits until all is in the files
    files = sorted((run / "wandb").glob(f"offline-run-*-{name}/run-{name}.wandb"))
    assert len(files) == 2  # offline each start leaves a directory, of the same run
    for file in files:
        content = file.read_bytes()
        for words in (b"val/top1", b"optimizer.learning_rate", b"weights/conv1", b"val/image_0", b"googlenet_jax"):
            assert words in content, (file, words)
    (picture,) = files[0].parent.glob("files/media/images/val/*.png")
    assert (np.asarray(Image.open(picture)) == IMAGE).all()


def test_wandb_without_a_login_is_one_line_and_away_it_keeps_its_files(wandb, tmp_path, monkeypatch):
    for variable in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))  # no ~/.netrc
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with pytest.raises(UserError, match=r"config\.writers: wandb: .*WANDB_MODE=offline"):
        written(tmp_path / "run", 0, 4, writers=("wandb",))

    wandb.teardown()
    for variable, value in (("API_KEY", "0" * 40), ("BASE_URL", "http://127.0.0.1:9"), ("INIT_TIMEOUT", "2")):
        monkeypatch.setenv(f"WANDB_{variable}", value)
    log = written(tmp_path / "other", 0, 4, writers=("wandb",))
    assert log.count("; what is written stays in") == 1
    assert "writes nothing" not in log
    assert list((tmp_path / "other" / "wandb").glob("offline-run-*/*.wandb"))


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_missing_package_is_told_before_anything_is_made(tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, f"googlenet_jax.runs.writers.{name}", raising=False)
    with pytest.raises(
        UserError, match=rf"config.writers: {name} needs its package: pip install 'googlenet-jax\[{name}\]'"
    ):
        RunDirectory(tmp_path / "run", small_config(writers=("tensorboard", name)))
    assert not (tmp_path / "run").exists()


def test_what_services_call_a_run_survives_nonsense(tmp_path):
    assert memory.recall(tmp_path, "mlflow") is None
    memory.remember(tmp_path, "mlflow", "abc")
    memory.remember(tmp_path, "wandb", "def")
    assert (memory.recall(tmp_path, "mlflow"), memory.recall(tmp_path, "wandb")) == ("abc", "def")
    for nonsense in ("", "[1]", '{"mlflow": 3}', "\x00"):
        (tmp_path / memory.FILE).write_text(nonsense)
        assert memory.recall(tmp_path, "mlflow") is None


def test_the_help_names_the_writers():
    from googlenet_jax.config.fields import FIELDS

    assert all(f"{name}: {row.help}" in FIELDS["writers"].help for name, row in WRITERS.items())


def test_what_tensorboard_gets_is_written_without_tensorflow_and_no_service_is_imported(run_command, tmp_path):
    code = """if True:
        import pathlib, sys
        import numpy as np
        from googlenet_jax.runs import directory
        from googlenet_jax.runs.writers.tensorboard import TensorBoard
        from googlenet_jax.sweep.hparams import write_trial
        run = pathlib.Path(sys.argv[1])
        board = TensorBoard(run, 0)
        board.write_images(1, {"a": np.zeros((8, 8, 3), np.uint8)})
        board.write_histograms(1, {"b": np.arange(9)})
        write_trial(run, "c", {"seed": 1, "model.stem": "small", "augment.flip": True})
        print(sorted({"tensorflow", "jax", "wandb", "mlflow"} & set(sys.modules)))
    """
    assert run_command("-c", code, tmp_path).stdout == "[]\n"
