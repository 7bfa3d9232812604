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
    "__init__": "",
    "files": "def upload():\n    return {'of_torch.pth': b''}\n",
    "output": "",  # JAX asks for it
    "drive": "import pathlib\n\ndef mount(place):\n    (pathlib.Path(place) / 'MyDrive').mkdir(parents=True)\n",
}

# launch.py with trainings that take no time.
LAUNCH = f"""
from pathlib import Path
from googlenet_jax.cli.launch import main
from googlenet_jax.sweep.executors import local
from sweep.fake_executor import FakeExecutor

local.Local = lambda place: FakeExecutor(2, lambda id, epoch: 0.5 + int(id, 16) % 100 / 1000)
main(Path({str(ROOT)!r}) / "configs" / "digits.py")
"""


@pytest.fixture
def execute(tmp_path, monkeypatch):
    """Executes a notebook in a directory of its own, and gives what it printed."""
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "1")
    for path in (ROOT / "tests", ROOT, tmp_path / "packages"):
        monkeypatch.setenv("PYTHONPATH", str(path), prepend=os.pathsep)

    def run(notebook: nbformat.NotebookNode) -> str:
        NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
        return "".join(output.get("text", "") for output in outputs(notebook))

    return run


def read(path: Path, **parameters: object) -> nbformat.NotebookNode:
    """A notebook with other values in its form."""
    notebook = nbformat.read(path, as_version=4)
    for name, value in parameters.items():
        form, replaced = re.compile(rf"^{name} = .*(?=  # @param)", re.MULTILINE), 0
        for cell in notebook.cells:
            cell.source, n = form.subn(f"{name} = {value!r}", cell.source)
            replaced += n
        assert replaced == 1, f"{name} is no parameter of {path.name}"
    return notebook


def outputs(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """What its cells gave."""
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def figures(notebook: nbformat.NotebookNode) -> int:
    """How many pictures there are among what its cells gave."""
    return sum("image/png" in output.get("data", {}) for output in outputs(notebook))


@pytest.mark.parametrize("path", [TOUR, EXPERIMENTS], ids=lambda path: path.stem)
def test_notebooks_are_committed_without_outputs(path):
    notebook = read(path)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert cell.cell_type == "markdown" or (cell.outputs, cell.execution_count) == ([], None)
    assert path.stat().st_size < 40_000


def test_both_notebooks_install_alike():
    tour, experiments = read(TOUR), read(EXPERIMENTS)
    assert tour.cells[2].source.startswith("# @title Install")
    assert tour.cells[1:3] == experiments.cells[1:3]


@pytest.mark.slow
def test_tour_needs_nothing(execute, tmp_path):
    notebook = read(TOUR, DIGITS_EPOCHS=0.2, EPOCHS=0.4)
    for cell in notebook.cells:
        cell.source = cell.source.replace('"model.blocks": "3a,3b"', '"model.blocks": "3a"')  # sooner compiled
    text = execute(notebook)
    assert "runs/digits: step 4, 10 classes: 0, 1, 2, 3, 4, ..." in text
    assert "360 images: top-1 " in text
    assert "ONNX Runtime says " in text
    assert figures(notebook) == 6  # curves, digits, maps, classes; curves, digits in ink
    assert len(nbformat.writes(notebook)) < 1_000_000
    assert (tmp_path / "googlenet" / "googlenet.onnx").read_bytes() == (tmp_path / "googlenet.onnx").read_bytes()
    (tuned,) = (tmp_path / "googlenet").glob("digits_on_ink_*")
    assert (tuned / "config.json").exists()


@pytest.mark.slow
def test_in_colab_a_file_is_uploaded_and_imported(execute, tmp_path):
    package = tmp_path / "packages" / "google" / "colab"
    package.mkdir(parents=True)
    for name, source in COLAB.items():
        (package / f"{name}.py").write_text(source)
    # Colab's kernel has it imported.
    (tmp_path / "packages" / "sitecustomize.py").write_text("import google.colab\n")
    (tmp_path / "of_torch.pth").write_bytes(writers.pth(peers.tensors("torchvision")))
    notebook = read(TOUR, DRIVE=f"{tmp_path}/drive", NETWORK="upload")
    end = next(i for i, cell in enumerate(notebook.cells) if cell.source.startswith("## Classify"))
    notebook.cells[end:] = [nbformat.v4.new_code_cell("print(mount_drive())")]
    text = execute(notebook)
    assert "checkpoints/of_torch: step 0, 10 classes: class 0, " in text
    assert f"{tmp_path}/drive/MyDrive\n" in text


@pytest.mark.slow
def test_experiments_runs_a_sweep_and_reads_it(execute, tmp_path):
    (tmp_path / "launch.py").write_text(LAUNCH)
    notebook = read(EXPERIMENTS)
    text = execute(notebook)
    assert "sweep in runs/sweeps/rates: 6 trainings" in text
    assert figures(notebook) == 3
    assert len(nbformat.writes(notebook)) < 1_000_000
    results = (tmp_path / "runs" / "sweeps" / "rates" / "results.csv").read_text()
    assert results.count("finished") == 6
