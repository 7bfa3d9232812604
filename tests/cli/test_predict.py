"""`googlenet predict`: what may be named, what is printed of it, and the exit status."""

import io
import json
import os
import pty
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

import googlenet_jax as gn


@pytest.fixture
def predict(finished_run, googlenet, monkeypatch):
    """Runs the command in this process: (status, standard output, standard error)."""

    def run(*arguments, stdin=b""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        return googlenet("predict", "--checkpoint", finished_run, *arguments)

    return run


@pytest.fixture
def pictures(tmp_path):
    """Images at two depths, and what is none: a text, a damaged image, a hidden file."""
    rng = np.random.default_rng(0)
    (tmp_path / "pictures" / "more").mkdir(parents=True)
    for name in ("b.png", "a.jpg", "more/c.webp", "more/odd[1].png"):
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(tmp_path / "pictures" / name)
    (tmp_path / "pictures" / "notes.txt").write_text("no image")
    (tmp_path / "pictures" / ".hidden.png").write_text("no image")
    (tmp_path / "bad.png").write_text("no image")
    return tmp_path / "pictures"


def names(out):
    return [line for line in out.splitlines() if not line.startswith(" ")]


def test_tables_and_json(predict, pictures, finished_run):
    status, out, _ = predict(pictures / "a.jpg", "--json")
    (entry,) = json.loads(out)
    (expected,) = gn.load(finished_run).predict(pictures / "a.jpg")
    assert (status, entry["image"], entry["labels"]) == (0, str(pictures / "a.jpg"), expected.labels)
    assert entry["probabilities"] == pytest.approx(expected.probabilities, abs=1e-6)
    status, out, _ = predict(pictures / "a.jpg", "--top", 2)
    table = out.splitlines()
    assert (status, table[0], len(table)) == (0, str(pictures / "a.jpg"), 3)
    assert entry["labels"][0] in table[1]


def test_directories_and_patterns(predict, pictures):
    everything = [str(pictures / name) for name in ("a.jpg", "b.png", "more/c.webp", "more/odd[1].png")]
    status, out, err = predict(pictures)
    assert (status, names(out)) == (0, everything)
    assert err == f"{pictures}: 1 file left out: 1 .txt\n"
    assert names(predict(pictures / "*.png", pictures / "more")[1]) == [everything[1], *everything[2:]]
    assert names(predict(pictures / "**" / "c.*")[1]) == [everything[2]]
    assert names(predict(everything[3])[1]) == [everything[3]]


def test_standard_input_is_an_image_or_a_list(predict, pictures):
    image = (pictures / "a.jpg").read_bytes()
    status, out, _ = predict("-", "--json", stdin=image)
    (entry,) = json.loads(out)
    assert (status, entry["image"]) == (0, "-")
    assert entry["labels"] == json.loads(predict(pictures / "a.jpg", "--json")[1])[0]["labels"]
    listing = f"\ufeff{pictures / 'b.png'}\r\n\r\n{pictures / 'more'}\n".encode()
    assert len(names(predict("-", pictures / "a.jpg", stdin=listing)[1])) == 4
    for stdin, said in ((b"", "is empty"), (b"\0\0\0", "neither an image"), (b"nowhere.png\n", "no such file")):
        status, out, err = predict("-", stdin=stdin)
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert said in err
    assert predict("-", stdin=image[:300])[0] == 1


def test_a_bad_file_is_a_line_among_the_others(predict, pictures):
    good, bad, nowhere = pictures / "a.jpg", pictures.parent / "bad.png", pictures / "nowhere.png"
    status, out, _ = predict(bad, good, nowhere)
    lines = out.splitlines()
    assert (status, names(out)) == (1, [str(bad), str(good), str(nowhere)])
    assert lines[1] == "  cannot be read: not an image that can be read"
    assert lines[-1] == "  cannot be read: there is no such file"
    status, out, _ = predict(bad, good, "--json")
    entries = json.loads(out)
    assert (status, sorted(entries[0]), "labels" in entries[1]) == (1, ["error", "image"], True)
    assert predict(bad)[0] == 1


def test_many_images_are_read_in_batches(predict, pictures, monkeypatch):
    sizes = []
    original = gn.net.Net.predict
    monkeypatch.setattr(
        gn.net.Net, "predict", lambda net, crops, top: sizes.append(len(crops)) or original(net, crops, top)
    )
    listing = f"{pictures / 'a.jpg'}\n{pictures / 'b.png'}\n".encode() * 70
    status, out, errors = predict("-", "--json", stdin=listing)
    entries = json.loads(out)
    assert errors.startswith("140 images in ") and "images/s" in errors
    assert (status, len(entries), sizes) == (0, 140, [64, 64, 12])
    assert {entry["labels"][0] for entry in entries[::2]} == {entries[0]["labels"][0]}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.png"], "nowhere.png (in HERE): there is no such file"),
        (["nowhere.png", "x*.png"], "2 such names in all"),
        (["x*.png"], "nothing there is of this pattern"),
        (["empty"], "no images in this directory"),
        (["a.png", "--top", "0"], "--top 0: at least 1"),
    ],
)
def test_nothing_to_predict_is_one_line_and_status_2(predict, arguments, said, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    status, out, err = predict(*arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert said.replace("HERE", str(tmp_path)) in err


def test_names_in_any_encoding_are_printed(finished_run, pictures):
    """As bytes that are no UTF-8, with an escape sequence, and on a terminal with a progress bar."""
    directory = os.fsencode(pictures)
    os.rename(directory + b"/a.jpg", directory + b"/caf\xe9 :cat: [red].jpg")
    os.rename(directory + b"/b.png", directory + b"/\x1b[31m.png")
    command = [sys.executable, "-m", "googlenet_jax.cli", "predict", "--checkpoint", finished_run, pictures]
    environment = os.environ | {"PYTHONIOENCODING": "ascii:strict"}
    result = subprocess.run(command, cwd=ROOT, capture_output=True, env=environment)
    assert (result.returncode, len(names(result.stdout.decode("ascii")))) == (0, 4), result.stderr
    main, terminal = pty.openpty()
    with subprocess.Popen(command, cwd=ROOT, stdout=terminal, stderr=terminal) as process:
        os.close(terminal)
        seen = b""
        try:
            while data := os.read(main, 4096):
                seen += data
        except OSError:  # Linux has it so when the other side closes
            pass
    os.close(main)
    assert process.returncode == 0, seen
    assert b"caf? :cat: [red].jpg" in seen
    assert b"?[31m.png" in seen
