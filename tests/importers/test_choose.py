"""Which of a file's dictionaries is the network, told by names alone."""

import peers
import pytest

from googlenet_jax.errors import UserError
from googlenet_jax.importers.choose import choose

NAMES = list(peers.tensors("torchvision"))
CLASSIFIERS = ("fc.weight", "fc.bias")


def prefixed(prefix, names=NAMES):
    return [prefix + name for name in names]


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "module.",
        "_orig_mod.",
        "module._orig_mod.",
        "model.",
        "net.",
        "network.",
        "backbone.",
        "model.backbone.a.b.",
    ],
)
def test_any_prefix_comes_off(prefix):
    chosen = choose({"": [*prefixed(prefix), "criterion.weight"]})
    assert (chosen.weights.prefix, chosen.weights.naming.system, chosen.others) == (prefix, "torchvision", [])


@pytest.mark.parametrize(
    ("groups", "name", "others"),
    [
        ({"net": NAMES}, "net", []),
        ({"model_ema": NAMES}, "model_ema", []),
        ({"model_ema": NAMES, "net": NAMES}, "net", ["model_ema"]),
        ({"ema": NAMES, "state.model": NAMES}, "state.model", ["ema"]),
        ({"optimizer.master": NAMES, "state.model": NAMES}, "state.model", []),
        ({"discriminator": ["a.weight"], "generator": prefixed("module.")}, "generator", []),
        ({"a": NAMES[:300], "b": NAMES}, "b", ["a"]),
        ({"": ["epoch"], "weights": NAMES}, "weights", []),
        ({"state_dict": prefixed("ema_model.") + prefixed("model.")}, "state_dict.model", ["state_dict.ema_model"]),
        ({"": prefixed("ema.") + prefixed("moments.") + NAMES}, "", ["ema"]),
    ],
)
def test_what_fits_best_is_taken(groups, name, others):
    chosen = choose(groups)
    assert (chosen.name, chosen.others) == (name, others)


def test_a_key_decides():
    groups = {"net": NAMES, "ema.model": NAMES, "state_dict": prefixed("a.") + prefixed("b."), "buffers": ["x"]}
    assert choose(groups, key="ema.model").weights.group == "ema.model"
    assert choose(groups, key="ema").weights.group == "ema.model"
    assert choose(groups, key="state_dict.b").weights.prefix == "b."
    with pytest.raises(UserError, match=r"no such key; there are net, state_dict, ema\.model, buffers"):
        choose(groups, key="model")
    with pytest.raises(UserError, match=r"its 1 tensors \(x, \.\.\.\) are not those"):
        choose(groups, key="buffers")


def test_the_kind_of_file_tells_systems_with_the_same_names_apart():
    names = list(peers.tensors("caffe"))
    assert choose({"": names}, "a pickle").weights.naming.system == "singa"
    assert choose({"": names}, "a pickle", system="caffe").weights.naming.system == "caffe"
    assert choose({"": names}, "a .caffemodel").weights.naming.system == "caffe"
    assert choose({"": names}, "an .npz archive").weights.naming.system == "caffe"
    assert choose({"": names}, "an .npz archive", system="singa").weights.naming.system == "singa"
