"""Names of files and classes that are no UTF-8, or would be markup or escape sequences, end nothing."""

import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, small
from PIL import Image

import googlenet_jax as gn
from googlenet_jax.data.sources.opening import open_source
from googlenet_jax.evaluate.checkpoints import evaluate_checkpoints
from googlenet_jax.prepare.folder import prepare_folder
from googlenet_jax.prepare.form import AS_THEY_ARE

CLASSES = (b"caf\xe9", b"[red]\x1b[31m")
# What Python prints in by itself under LANG=en_US.UTF-8, but not under C or C.UTF-8.
STRICT = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """(folder, run trained on it, what the training printed)."""
    base = tmp_path_factory.mktemp("odd")
    folder = base / "images"
    rng = np.random.default_rng(0)
    for split, count in ((b"train", 8), (b"val", 2)):
        for label in CLASSES:
            directory = os.path.join(os.fsencode(folder), split, label)
            os.makedirs(directory)
            for i in range(count):
                pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                # PNG files that are called JPEG are spoken of, those that are damaged too.
                Image.fromarray(pixels).save(os.fsdecode(directory + b"/\xe9%d.jpg" % i), "PNG" if i else "JPEG")
            with open(directory + b"/\xff\n.jpg", "wb") as file:
                file.write(b"damaged")
    changes = {"dataset__name": f"folder:{folder}", "num_epochs": 1.0, "model__blocks": ("3a",)}
    command = [sys.executable, *map(str, small(base / "run", **changes))]
    result = subprocess.run(command, cwd=ROOT, env=STRICT, capture_output=True)
    assert result.returncode == 0, result.stderr
    return folder, base / "run", result.stdout + result.stderr


@pytest.mark.slow
def test_a_training_names_them(odd):
    _, run, printed = odd
    log = (run / "train.log").read_text()
    for text in (log, printed.decode()):
        assert "caf?/?1.jpg: a PNG file" in text
        assert "caf?/??.jpg: not an image" in text
        assert "\x1b" not in text
    assert gn.load(run).labels == [label.decode("utf-8", "replace") for label in sorted(CLASSES)]


@pytest.mark.slow
def test_they_are_evaluated_and_predicted(odd):
    folder, run, _ = odd
    values = evaluate_checkpoints([run])
    assert (values["images"], values["unreadable_images"]) == (4, 2)
    for name, arguments, status in (("evaluate", [], 0), ("predict", [folder / "val"], 1)):
        command = [sys.executable, "-m", "googlenet_jax.cli", name, "--checkpoint", run, *arguments]
        result = subprocess.run(command, cwd=ROOT, env=STRICT, capture_output=True)
        assert (result.returncode, result.stderr.count(b"Traceback")) == (status, 0), result.stderr
        printed = result.stdout.decode()
        assert "\x1b" not in printed
        assert "caf?" in printed
        assert "[red]?[31m" in printed


@pytest.mark.slow
def test_they_are_packed(odd, tmp_path):
    folder, run, _ = odd
    output = tmp_path / os.fsdecode(b"caf\xe9")
    prepare_folder(str(folder), output, AS_THEY_ARE, lambda *_: None)
    config = gn.load(run).config
    before = open_source(config)[0]
    config.dataset.name = f"records:{output}"
    after = open_source(config)[0]
    assert (after.labels, len(after)) == (before.labels, len(before))
    assert after[0][0].pixels().tolist() == before[0][0].pixels().tolist()
