"""The notebooks are executed, and lie in the repository as nobody has executed them."""

import os
import re
from pathlib import Path

import nbformat
import peers
import pytest
import writers
from conftest import ROOT
from nbclient import NotebookClient

TOUR, EXPERIMENTS = (ROOT / "notebooks" / name for name in ("googlenet_colab.ipynb", "experiments.ipynb"))

# What Colab has and other places have not: a button that sends files, and a Drive.
COLAB = {
    "files": "def upload():\n    return {'of_torch.pth': b''}\n",
    "drive": "import pathlib\n\ndef mount(place):\n    (pathlib.Path(place) / 'MyDrive').mkdir(parents=True)\n",
}


@pytest.fixture
def execute(tmp_path, monkeypatch):
    """Executes a notebook in a directory of its own, with other parameters, and gives what it printed."""
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "1")
    for path in (ROOT, tmp_path / "packages"):
        monkeypatch.setenv("PYTHONPATH", str(path), prepend=os.pathsep)

    def run(path: Path, **parameters: object) -> tuple[nbformat.NotebookNode, str]:
        notebook = nbformat.read(path, as_version=4)
        for name, value in parameters.items():
            replaced = 0
            for cell in notebook.cells:
                cell.source, n = re.subn(rf"^{name} = .*(?=  # @param)", f"{name} = {value!r}", cell.source, flags=re.M)
                replaced += n
            assert replaced == 1, f"{name} is no parameter of {path.name}"
        NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
        return notebook, "".join(
            output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", [])
        )

    return run


def outputs(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """What its cells gave."""
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def figures(notebook: nbformat.NotebookNode) -> list[int]:
    """Bytes of each figure, as base64 has them."""
    return [len(out["data"]["image/png"]) for out in outputs(notebook) if "image/png" in out.get("data", {})]


@pytest.mark.parametrize("path", [TOUR, EXPERIMENTS], ids=lambda path: path.stem)
def test_notebooks_are_committed_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert cell.cell_type == "markdown" or (cell.outputs, cell.execution_count) == ([], None)
    assert path.stat().st_size < 40_000


def test_both_notebooks_install_alike():
    tour, experiments = (nbformat.read(path, as_version=4) for path in (TOUR, EXPERIMENTS))
    assert tour.cells[2].source.startswith("# @title Install")
    assert tour.cells[1:3] == experiments.cells[1:3]


@pytest.mark.slow
def test_tour_needs_nothing(execute, tmp_path):
    notebook, text = execute(TOUR, DIGITS_EPOCHS=0.2, EPOCHS=0.4)
    assert "runs/digits: step 4, 10 classes: 0, 1, 2, 3, 4, ..." in text
    assert "360 images: top-1 " in text and "200 images: top-1 " in text  # before fine-tuning, and after it
    assert len(figures(notebook)) == 7  # curves, digits, maps, classes; curves, digits, classes
    assert len(nbformat.writes(notebook)) < 2_000_000
    assert (tmp_path / "googlenet" / "googlenet.onnx").read_bytes() == (tmp_path / "googlenet.onnx").read_bytes()
    assert (tmp_path / "googlenet" / "digits_on_ink" / "config.json").exists()


@pytest.mark.slow
def test_tour_in_colab_with_a_file_of_torchvision(execute, tmp_path):
    package = tmp_path / "packages" / "google" / "colab"
    package.mkdir(parents=True)
    for name, source in COLAB.items() | {("__init__", "")}:
        (package / f"{name}.py").write_text(source)
    startup = tmp_path / "packages" / "sitecustomize.py"
    startup.write_text("import google.colab\n")  # which Colab's kernel has imported
    (tmp_path / "of_torch.pth").write_bytes(writers.pth(peers.tensors("torchvision")))
    notebook, text = execute(TOUR, DRIVE=str(tmp_path / "drive"), NETWORK="upload", EPOCHS=0.2, IMAGE_SIZE=32)
    assert "checkpoints/of_torch: step 0, 10 classes: class 0, " in text
    assert "name a DATASET" in text  # an imported network has no images
    assert "200 images: top-1 " in text  # but a fine-tuned one has
    assert len(figures(notebook)) == 5
    saved = tmp_path / "drive" / "MyDrive" / "googlenet"
    assert sorted(path.name for path in saved.iterdir()) == ["googlenet.onnx", "of_torch_on_ink"]


@pytest.mark.slow
def test_experiments_runs_a_sweep_and_reads_it(execute, tmp_path):
    (tmp_path / "launch.py").symlink_to(ROOT / "launch.py")
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    notebook, text = execute(EXPERIMENTS, EPOCHS=0.2, RATES="0.03", SEEDS="0,1")
    assert "sweep in runs/sweeps/rates: 2 trainings" in text
    assert len(figures(notebook)) == 3
    assert (tmp_path / "runs" / "sweeps" / "rates" / "results.csv").read_text().count("finished") == 2
