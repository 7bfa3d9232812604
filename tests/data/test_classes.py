"""Which of a network's classes a dataset's are, by their names."""

import logging

import numpy as np
import pytest

from googlenet_jax.data.classes import imagenet, named, places, with_classes_of
from googlenet_jax.data.sources.base import ArraySource
from googlenet_jax.errors import UserError

WORDS = [words for _, words in imagenet()]
NUMBERS = [number for number, _ in imagenet()]
SHORT = [words.split(", ")[0] for words in WORDS]
PETS = ["ant", "bee", "cat", "dog"]
SORTED = sorted(str(i) for i in range(12))  # as the directories 0 to 11 are: 0, 1, 10, 11, 2, ...


def labelled(given, known):
    """The labels of a source of one image a class, as the network has them."""
    source = ArraySource(np.zeros((len(given), 2, 2, 3), np.uint8), np.arange(len(given)), given)
    found = with_classes_of(source, known, "folder:x", "runs/y")
    return [found[i][1] for i in range(len(given))]


def test_imagenets_folders_have_its_words():
    assert named(["n01440764", "tench", "n00000000"]) == ["n01440764 tench, Tinca tinca", "tench", "n00000000"]


@pytest.mark.parametrize("known", [WORDS, NUMBERS, named(NUMBERS), SHORT], ids=["words", "numbers", "both", "short"])
def test_some_of_imagenets_classes_are_found_by_number_or_words(known):
    assert labelled(["n01443537", "n01440764", "n15075141"], known) == [1, 0, 999]
    assert labelled(["goldfish, Carassius auratus", "toilet tissue, toilet paper, bathroom tissue"], known) == [1, 999]
    assert labelled(["Carassius auratus", "tench"], known) == [1, 0]
    assert labelled(NUMBERS, known) == labelled(WORDS, known) == labelled(SHORT, known) == [*range(1000)]


def test_two_classes_of_one_name_are_told_by_their_number_alone():
    assert [WORDS[i] for i in (134, 517)] == ["crane", "crane"]
    assert labelled(["n03126707", "n02012849"], WORDS) == [517, 134]
    assert places(["crane", "tench"], NUMBERS) == [None, 0]
    with pytest.raises(UserError, match="2 classes that runs/y does not know, or two of a name: 'b', 'b'"):
        labelled(["a", "b", "b"], ["b", "a", "b"])
    assert labelled(["b", "a", "b"], ["b", "a", "b"]) == [0, 1, 2]


def test_names_go_before_order():
    assert labelled(["dog", "ant"], PETS) == [3, 0]
    assert labelled(PETS[::-1], PETS) == [3, 2, 1, 0]
    assert labelled(["bee", "cat"], [*PETS, "unused 4"]) == [1, 2]
    assert labelled([str(i) for i in range(12)], SORTED) == [SORTED.index(str(i)) for i in range(12)]
    assert labelled(["0", "1", "2"], SORTED) == [0, 1, 4]
    assert labelled(["unused things", "ant"], ["ant", "unused things", "unused 2"]) == [1, 0]
    with pytest.raises(UserError, match=r"folder:x has 1 classes that runs/y does not know.*: 'a_bee'; call them"):
        labelled(["a_bee", "ant", "cat", "dog"], PETS)


def test_names_that_say_nothing_are_taken_in_order(caplog):
    assert labelled(PETS, [f"class {i}" for i in range(4)]) == [0, 1, 2, 3]
    assert labelled(["0", "1", "2", "3"], ["1", "2", "3", "4"]) == [0, 1, 2, 3]
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        assert labelled(["w", "x", "y", "z"], PETS) == [0, 1, 2, 3]
    assert "no class name in common: classes are taken in order; the first is 'w' there, 'ant' here" in caplog.text
    for given in (["w", "x"], ["0", "1"]):
        with pytest.raises(UserError, match="folder:x has 2 classes, runs/y tells 4 apart"):
            labelled(given, PETS)
