"""Pickles: what stands beside the weights is kept as records, whatever it is, and nothing runs."""

import argparse
import collections
import datetime
import fractions
import io
import pathlib
import pickle
import pickletools

import numpy as np
import pytest

from googlenet_jax.formats import pickles
from googlenet_jax.formats.pickle_values import Array, Opaque

LIMIT = 1 << 20


class Scheduler:
    """Stands for any object with attributes."""

    def __init__(self):
        self.milestones = collections.Counter({30: 1})


class Keywords:
    """Made by keywords, so that its pickle has NEWOBJ_EX."""

    def __new__(cls, *, rate=0):
        return super().__new__(cls)

    def __getnewargs_ex__(self):
        return (), {"rate": 1}


class Attributes(dict):
    """A dictionary of a class of its own."""


HARMLESS = {
    "counter": collections.Counter({30: 1, 60: 1}),
    "defaultdict": collections.defaultdict(list, {"a": [1]}),
    "set": {1, 2},
    "frozenset": frozenset({"a"}),
    "date": datetime.datetime(2026, 11, 25, tzinfo=datetime.UTC),
    "path": pathlib.PurePosixPath("/data"),
    "namespace": argparse.Namespace(lr=0.1, data=pathlib.PurePosixPath("/data")),
    "object": Scheduler(),
    "keywords": Keywords(),
    "attributes": Attributes(a=1),
    "complex": 1j,
    "class": collections.Counter,
    "random": np.random.RandomState(0).get_state(),
    "generator": np.random.default_rng(0),
    "text": np.array(["cat", "dog"]),
    "objects": np.array([Scheduler()]),
    "scalar": np.float64(93.5),
    "word": np.str_("cat"),
    "keys": {(1, 2): "a", None: "b", 1.5: "c", 1 << 70: "d", Scheduler: "e", frozenset(): "f"},
}


# Before protocol 4 an object with keywords is written by way of builtins.getattr, which is refused.
PAIRS = [(name, p) for name in HARMLESS for p in range(4 * (name == "keywords"), pickle.HIGHEST_PROTOCOL + 1)]


@pytest.mark.parametrize(("name", "protocol"), PAIRS)
def test_harmless_values_stand_beside_the_weights(name, protocol):
    data = pickle.dumps({"before": 1, "it": HARMLESS[name], "weights": np.arange(3.0)}, protocol)
    content = pickles.decode_whole(io.BytesIO(data), LIMIT).content
    assert content["before"] == 1
    assert isinstance(content["weights"], Array)
    assert content["weights"].values.tolist() == [0, 1, 2]


def test_opaque_records_say_what_they_stand_for():
    decoded = pickles.decode_whole(io.BytesIO(pickle.dumps({"a": fractions.Fraction(1, 2), "b": {1}})), LIMIT)
    assert isinstance(decoded.content["a"], Opaque)
    assert decoded.content["a"].name == decoded.unread == "fractions.Fraction"
    assert decoded.content["b"].name == "builtins.set"


def test_keys_that_cost_are_equal_to_nothing():
    """The hash of nested tuples that share their parts doubles with each level."""
    nested = ()
    for _ in range(100):
        nested = (nested, nested)
    parts = [b")"] + [b"q\x00h\x00\x86"] * 100
    content = pickles.decode(io.BytesIO(b"\x80\x02}" + b"".join(parts) + b"K\x01s."), LIMIT)
    assert [type(key) for key in content] == [Opaque]


@pytest.mark.parametrize(
    "name",
    [
        *(
            "os system",
            "posix system",
            "nt system",
            "subprocess Popen",
            "builtins eval",
            "builtins getattr",
            "pty spawn",
        ),
        *("__builtin__ __import__", "sys exit", "runpy run_path", "shutil rmtree", "socket socket", "ctypes CDLL"),
        *("importlib import_module", "importlib.util find_spec", "webbrowser open", "os.path join", "builtins exec"),
    ],
)
def test_what_can_do_harm_refuses_the_whole_file(name):
    module, _, function = name.partition(" ")
    weights = pickle.dumps(np.arange(3.0), 2)[2:-1]
    call = b"c" + name.replace(" ", "\n").encode() + b"\n" + b"(X\x01\x00\x00\x00atR"
    text = b"".join(b"\x8c" + bytes([len(part)]) + part.encode() for part in (module, function))
    for data in (b"\x80\x02}(K\x01" + weights + b"K\x02" + call + b"u.", b"\x80\x04}(K\x01" + text + b"\x93u."):
        pickletools.dis(data, io.StringIO())  # they are pickles
        with pytest.raises(ValueError, match=f"{module}.{function}, which is refused"):
            pickles.decode(io.BytesIO(data), LIMIT)
