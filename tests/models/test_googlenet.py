"""The network against the paper's figures; tests/importers compares it with other systems."""

import jax
import jax.numpy as jnp
import pytest
from clu.parameter_overview import count_parameters

from googlenet_jax.errors import UserError
from googlenet_jax.models.googlenet import TABLE_1, GoogLeNet
from googlenet_jax.models.summary import PAPER_TABLE_1, summarize
from googlenet_jax.models.variants import PRESETS, get_variant

# Counted from each system's own definition: without and with auxiliary heads, 1000 classes.
PARAMETERS = {
    "paper": (6_998_552, 13_378_280),
    "batchnorm": (7_005_832, 13_385_816),
    "torchvision": (6_624_904, 13_004_888),
    "mindcv": (6_991_272, 13_370_744),
    "mindspore": (6_624_904, 6_624_904),
    "paddleclas": (6_991_272, 11_535_736),
}


def shapes_of(model, size=224):
    return jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros((1, size, size, 3))))


@pytest.mark.parametrize("name", PRESETS)
def test_parameter_counts(name):
    for aux_heads, expected in zip((False, True), PARAMETERS[name], strict=True):
        assert count_parameters(shapes_of(GoogLeNet(1000, PRESETS[name], aux_heads))["params"]) == expected


def test_summary_agrees_with_the_papers_table_1():
    rows = {row.name: row for row in summarize(GoogLeNet(1000, PRESETS["paper"]))}
    assert (rows["conv1"].parameters, rows["conv1"].multiply_adds) == (64 * (7 * 7 * 3 + 1), 64 * 7 * 7 * 3 * 112**2)
    for name, (parameters, multiply_adds) in PAPER_TABLE_1.items():
        if name == "conv1":  # the paper's 2.7K and 34M are those of a 7x1 after a 1x7
            continue
        # Rows 4c and 5a of the paper do not follow from its own widths.
        assert rows[name].parameters / 1000 == pytest.approx(parameters, rel=0.11 if name == "inception_4c" else 0.05)
        got = rows[name].multiply_adds / 1e6
        assert got == pytest.approx(multiply_adds, rel=0.06 if name == "inception_5a" else 0.03)
    assert rows["conv1"].shape == (112, 112, 64)
    assert rows["inception_4e"].shape == (14, 14, 832)
    assert rows["inception_5b"].shape == (7, 7, 1024)
    assert sum(row.multiply_adds for row in rows.values() if row.name[:3] != "aux") == pytest.approx(1.5827e9, rel=1e-4)


def test_parameters_have_the_papers_names():
    params = shapes_of(GoogLeNet(10, PRESETS["paper"]))["params"]
    blocks = {f"inception_{block}" for block in TABLE_1}
    assert set(params) == {"conv1", "conv2_reduce", "conv2", "aux1", "aux2", "classifier"} | blocks
    assert set(params["inception_3a"]) == {"1x1", "3x3_reduce", "3x3", "5x5_reduce", "5x5", "pool_proj"}
    assert params["inception_3a"]["5x5"]["kernel"].shape == (5, 5, 16, 32)


@pytest.mark.parametrize("family", ["batchnorm", "paper"])
def test_small_stems_keep_parameters_and_resolution(family):
    standard, small, tiny = (GoogLeNet(10, get_variant(family, stem), False) for stem in ("paper", "small", "tiny"))
    shapes = jax.tree.map(jnp.shape, shapes_of(standard, 64))
    assert shapes == jax.tree.map(jnp.shape, shapes_of(small, 64)) == jax.tree.map(jnp.shape, shapes_of(tiny, 64))
    assert {row.name: row for row in summarize(tiny, 32)}["inception_3a"].shape == (32, 32, 256)
    assert summarize(small, 100_000)  # nothing is computed, so nothing is in memory
    rows = {row.name: row for row in summarize(small, 64)}
    assert rows["inception_3a"].shape == (32, 32, 256)
    assert rows["inception_5b"].shape == (8, 8, 1024)


def test_unknown_variant_names_the_nearest():
    with pytest.raises(UserError, match="did you mean 'torchvision'"):
        get_variant("torchvison")


def test_half_precision_keeps_parameters_and_logits_in_float32():
    model = GoogLeNet(10, PRESETS["batchnorm"], False, dtype=jnp.bfloat16)
    variables = shapes_of(model, 32)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    x = jnp.zeros((2, 32, 32, 3))
    logits, new = jax.eval_shape(lambda v: model.apply(v, x, train=True, mutable=["batch_stats"]), variables)
    assert {leaf.dtype for leaf in jax.tree.leaves((logits, new))} == {jnp.dtype("float32")}
