"""Class names from files as people have them."""

import os
import threading

import pytest

from googlenet_jax.errors import UserError
from googlenet_jax.importers.labels import read_labels


def test_labels(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    threading.Thread(target=(tmp_path / "pipe").write_text, args=("ant\nbee\n",)).start()
    assert read_labels(str(tmp_path / "pipe"), 2) == ["ant", "bee"]
    assert read_labels("imagenet", 1000)[:2] == ["tench, Tinca tinca", "goldfish, Carassius auratus"]
    assert read_labels(None, 1000)[-1] == "toilet tissue, toilet paper, bathroom tissue"
    (tmp_path / "labels.txt").write_text("{0: 'cat',\n 1: 'dog'}\n")
    assert read_labels(str(tmp_path / "labels.txt"), 2) == ["cat", "dog"]
    for encoding in ("utf-8-sig", "utf-16"):
        (tmp_path / "labels.txt").write_text("n00000001 cat\n\nn00000002 dog\n\n", encoding=encoding)
        assert read_labels(str(tmp_path / "labels.txt"), 2) == ["cat", "dog"]
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read_labels("~/labels.txt", 2) == ["cat", "dog"]
    with pytest.raises(UserError, match="2 names for 3 classes"):
        read_labels(str(tmp_path / "labels.txt"), 3)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("2 ant\n0 bee\n1 cat", ["bee", "cat", "ant"]),
        ("1, ant\n2, bee\n3, cat", ["ant", "bee", "cat"]),
        ("{2: 'ant',\n 1: 'bee, wasp',\n 0: 'cat'}", ["cat", "bee, wasp", "ant"]),
        ("0 n00000003 ant\n1 n00000002 bee\n2 n00000001 cat", ["ant", "bee", "cat"]),
        ("1 cent\n2 cent\n5 cent", ["1 cent", "2 cent", "5 cent"]),
        ("7\n8\n9", ["7", "8", "9"]),
        ('["ant", "bee", "cat"]', ["ant", "bee", "cat"]),
        ('{"1": ["n00000002", "bee"], "0": ["n00000003", "ant"], "2": ["n00000001", "cat"]}', ["ant", "bee", "cat"]),
        ('{"cat": 2, "ant": 0, "bee": 1}', ["ant", "bee", "cat"]),
    ],
)
def test_labels_are_placed_by_their_index(tmp_path, text, names):
    (tmp_path / "labels").write_text(text)
    assert read_labels(str(tmp_path / "labels"), 3) == names


@pytest.mark.parametrize("text", ['{"a": 0, "b": 5, "c": 2}', '{"0": 1.5}', "[[[]]]", "[" * 100_000, "{}"])
def test_json_that_names_no_classes_is_refused(tmp_path, text):
    (tmp_path / "labels").write_text(text)
    with pytest.raises(UserError, match="names for 3 classes"):
        read_labels(str(tmp_path / "labels"), 3)
