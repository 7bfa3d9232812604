"""The Colab notebook is executed."""

import nbformat
import pytest
from conftest import ROOT
from nbclient import NotebookClient
from PIL import Image


@pytest.fixture
def run(finished_run):
    return finished_run


def test_notebook_runs(run, tmp_path, monkeypatch):
    Image.new("RGB", (64, 48), "orange").save(tmp_path / "a.png")
    monkeypatch.setenv("CHECKPOINT", str(run))
    monkeypatch.setenv("IMAGES", str(tmp_path / "a.png"))
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(ROOT / "notebooks" / "googlenet_colab.ipynb", as_version=4)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "python3", "language": "python"}
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    text = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    assert "class " in text
    assert any("image/png" in o.get("data", {}) for c in notebook.cells for o in c.get("outputs", []))
