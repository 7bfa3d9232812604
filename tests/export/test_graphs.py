"""Graphs for other runtimes compute what the network does, for every family, and carry what it takes to use them."""

import dataclasses
import json
import zipfile

import jax
import numpy as np
import onnx
import pytest
from conftest import small_config
from fsspec.implementations.memory import MemoryFileSystem

import googlenet_jax as gn
from googlenet_jax.config.choices import NOT_HERE
from googlenet_jax.data.preprocess import make_preprocess
from googlenet_jax.errors import UserError
from googlenet_jax.evaluate.checkpoints import evaluate_checkpoints
from googlenet_jax.export.exporting import export, reference, sample_crops
from googlenet_jax.export.layers import graph_of
from googlenet_jax.export.target import Options
from googlenet_jax.exported.description import KEY
from googlenet_jax.models.folding import fold
from googlenet_jax.models.make_model import make_model
from googlenet_jax.models.variants import PRESETS
from googlenet_jax.net import Net


def network(variant, size=64, **changes):
    """A network of random variables, with auxiliary heads, for images of a size."""
    config = small_config(model__variant=variant, model__aux_heads=True, dataset__image_size=size)
    config.model.blocks = ("3a", "4a", "4d", "5a")
    config.update_from_flattened_dict({name.replace("__", "."): value for name, value in changes.items()})
    model = make_model(config, 7)
    random = np.random.default_rng(0)
    shapes = jax.eval_shape(model.init, jax.random.key(0), np.zeros((1, size, size, 3), np.float32))

    def draw(path, leaf):
        name = path[-1].key
        if name == "var":
            return random.uniform(0.5, 2, leaf.shape).astype(np.float32)
        scale = (2 / np.prod(leaf.shape[:-1])) ** 0.5 if name == "kernel" else 0.1
        return (random.standard_normal(leaf.shape) * scale + (name == "scale")).astype(np.float32)

    variables = jax.tree_util.tree_map_with_path(draw, shapes)
    labels = [f"class {i}" for i in range(7)]
    return Net(model, variables, labels, make_preprocess(config), config, 3)


@pytest.mark.parametrize(
    ("variant", "name"),
    [*((variant, "onnx") for variant in PRESETS), ("paper", "stablehlo"), ("batchnorm", "stablehlo")],
)
def test_every_family_computes_the_same_elsewhere(variant, name, tmp_path):
    net, size = network(variant), 79 if name == "onnx" else 64  # an odd size, where paddings differ
    options = Options(output_kind="logits", aux=name == "stablehlo", image_size=size)
    result = export(net, "runs/here", name, tmp_path / f"net.{name}", options)
    assert result.difference < 2e-5 and result.agreement == result.images == 9
    again = gn.load(tmp_path / f"net.{name}")
    assert (again.labels, again.step, again.description.source) == (net.labels, 3, "runs/here")
    if name == "stablehlo":  # by JAX alone, as docs/export.md says
        program = jax.export.deserialize(bytearray(zipfile.ZipFile(tmp_path / "net.stablehlo").read("program")))
        crops = sample_crops(size, 2)
        np.testing.assert_allclose(program.call(crops)[0], again.outputs(crops)[0], rtol=1e-5, atol=1e-6)
    assert again.preprocess == net.preprocess.replace(image_size=size, network_size=size)
    crops = sample_crops(size, 2)
    np.testing.assert_allclose(again.classify(crops), jax.nn.softmax(reference(net, crops, options)[0]), atol=1e-5)


def test_what_was_trained_in_half_precision_is_exported_in_float32(tmp_path):
    net = network("mindcv", 32, precision__compute_dtype="bfloat16", model__blocks=("3a", "4a"))
    for name in ("onnx", "stablehlo"):
        assert export(net, "x", name, tmp_path / f"net.{name}", Options()).difference < 2e-5


def test_a_network_that_enlarges_its_crops_keeps_that_where_its_weights_are_written(tmp_path):
    net = network("batchnorm", 32, dataset__network_size=40, model__blocks=("3a",))
    with pytest.raises(UserError, match="give --image_size"):
        export(net, "x", "onnx", tmp_path / "net.onnx", Options())
    export(net, "x", "safetensors", tmp_path / "net.safetensors", Options())
    again = gn.load(tmp_path / "net.safetensors")
    assert again.preprocess == net.preprocess and again.preprocess.network_size == 40


def test_weights_of_a_network_that_torchvision_lacks_have_this_projects_names(tmp_path, googlenet):
    net = network("torchvision", 32, model__stem="small", model__blocks=("3a",))
    export(net, "x", "safetensors", tmp_path / "net.safetensors", Options())
    again = gn.load(tmp_path / "net.safetensors")
    jax.tree.map(np.testing.assert_array_equal, again.variables, net.variables)
    command = ["import", tmp_path / "net.safetensors", "--output", tmp_path / "net"]
    assert googlenet(*command)[0] == 0
    back = gn.load(tmp_path / "net")
    jax.tree.map(np.testing.assert_array_equal, back.variables, net.variables)
    assert (back.labels, back.preprocess, back.config) == (net.labels, net.preprocess, net.config)
    for wrong, words in ((command, "net is not empty"), ([*command, "--labels", "x"], "says itself what it is")):
        status, _, errors = googlenet(*wrong)
        assert (status, words in errors) == (2, True)


@pytest.mark.parametrize("stem", ["small", "tiny"])
def test_options_and_stems(stem, tmp_path):
    """Floats in, heads out, a batch of two, bgr, logits against probabilities; a part of the blocks."""
    net = network(
        "batchnorm", 32, model__stem=stem, dataset__channel_order="bgr", model__blocks=("3a", "4a", "4d", "5a")
    )
    options = Options(input="float", aux=True, batch=2)
    assert export(net, "x", "onnx", tmp_path / "a.onnx", options).difference < 1e-5
    pools = [node.name for node in onnx.load(tmp_path / "a.onnx").graph.node if node.name.startswith("pool")]
    assert pools == {"small": ["pool2"], "tiny": []}[stem] + ["pool3", "pool4"]
    exported = gn.load(tmp_path / "a.onnx")
    outputs = exported.outputs(sample_crops(32, 3))
    assert [output.shape for output in outputs] == [(3, 7)] * 3
    np.testing.assert_allclose(
        exported.predict(sample_crops(32, 3))[2].probabilities[0], outputs[0][2].max(), rtol=1e-6
    )


def test_an_onnx_file_is_readable_by_people_and_programs(tmp_path):
    blocks = ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
    export(network("paper", model__blocks=blocks), "runs/here", "onnx", tmp_path / "a.onnx", Options())
    model = onnx.load(tmp_path / "a.onnx")
    onnx.checker.check_model(model, full_check=True)
    names = [node.name for node in model.graph.node]
    assert {"conv1", "pool1", "norm1", "inception_3a/5x5_reduce", "inception_5b", "classifier"} <= set(names)
    assert {opset.version for opset in model.opset_import} == {17}
    assert {dim.dim_param or dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim} == {"n", 64, 3}
    assert not any(attribute.name == "ceil_mode" for node in model.graph.node for attribute in node.attribute)
    props = {prop.key: prop.value for prop in model.metadata_props}
    assert props["classes"].splitlines()[6] == "class 6" and json.loads(props[KEY])["family"] == "paper"


@pytest.mark.parametrize(("precision", "least"), [("float16", 9), ("int8", 6)])
def test_less_precision(precision, least, tmp_path):
    net = network("batchnorm", 32, model__blocks=("3a", "4a"), model__aux_heads=False)
    options = Options(precision=precision, calibration="synthetic" if precision == "int8" else None)
    whole = export(net, "x", "onnx", tmp_path / "whole.onnx", Options())
    result = export(net, "x", "onnx", tmp_path / "a.onnx", options)
    assert result.agreement >= least and 1e-6 < result.difference < 0.2
    assert result.size < (0.55 if precision == "float16" else 0.4) * whole.size
    model = onnx.load(tmp_path / "a.onnx")
    onnx.checker.check_model(model, full_check=True)
    if precision == "int8":
        (classified,) = (node for node in model.graph.node if node.op_type == "Gemm")
        (before,) = (node.op_type for node in model.graph.node if classified.input[0] in node.output)
        (after,) = (node.op_type for node in model.graph.node if classified.output[0] in node.input)
        assert "QuantizeLinear" not in before + after  # of 256 logits the best two are often equal
        floats = {tensor.name for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT}
        assert classified.input[1] not in floats


def test_evaluate_and_predict_take_the_file_for_the_run(finished_run, tmp_path, run_command):
    wanted = evaluate_checkpoints([finished_run])
    for name in ("onnx", "stablehlo", "safetensors"):
        export(gn.load(finished_run), str(finished_run), name, tmp_path / f"a.{name}", Options())
        found = evaluate_checkpoints([tmp_path / f"a.{name}"])
        assert found["top1"] == wanted["top1"] and found["loss"] == pytest.approx(wanted["loss"], rel=1e-5)
        assert {**found["per_class"]} == wanted["per_class"]
    both = evaluate_checkpoints([tmp_path / "a.onnx", finished_run], crops=10)
    assert both["loss"] == pytest.approx(evaluate_checkpoints([finished_run], crops=10)["loss"], rel=1e-5)


def test_a_file_in_a_bucket_is_used_like_one_here(caches, tmp_path):
    here = tmp_path / "a.onnx"
    export(network("mindcv", 32, model__blocks=("3a",), model__aux_heads=False), "x", "onnx", here, Options())
    system, image = MemoryFileSystem(), np.zeros((40, 50, 3), np.uint8)
    with pytest.raises(UserError, match=r"memory://bucket/a\.onnx: there is no such object"):
        gn.load("memory://bucket/a.onnx")
    system.pipe("/bucket/a.onnx", here.read_bytes())
    assert gn.load("memory://bucket/a.onnx").predict([image]) == gn.load(here).predict([image])


def test_folding_changes_nothing_but_rounding():
    net = network("torchvision")
    model, variables = fold(net.model, net.variables)
    x = np.random.default_rng(1).standard_normal((2, 64, 64, 3)).astype(np.float32)
    assert "batch_stats" not in variables
    wanted, found = jax.jit(net.model.apply)(net.variables, x), jax.jit(model.apply)(variables, x)
    np.testing.assert_allclose(found, wanted, atol=2e-5 * float(np.abs(wanted).max()))


def test_what_does_not_compute_the_same_is_removed(tmp_path, monkeypatch):
    net = network("mindcv", 32, model__blocks=("3a",), model__aux_heads=False)
    wrong = dataclasses.replace(net, variables=jax.tree.map(lambda leaf: leaf * 1.1, net.variables))
    monkeypatch.setattr("googlenet_jax.export.onnx.graph_of", lambda net, *more: graph_of(wrong, *more))
    with pytest.raises(UserError, match="differs from the network by"):
        export(net, "x", "onnx", tmp_path / "new" / "er" / "a.onnx", Options())
    assert not [*tmp_path.iterdir()]


def test_mistakes_are_one_line(finished_run, tmp_path, googlenet):
    def refused(*arguments):
        given = ["--checkpoint", finished_run, "--output", tmp_path / "a.onnx", "--format", "onnx", *arguments]
        status, _, said = googlenet("export", *given)
        assert status == 2 and said.count("\n") == 1 and not [*tmp_path.iterdir()], said
        return said

    assert "needs --calibration" in refused("--precision", "int8")
    assert NOT_HERE["air"] in refused("--format", "air")
    assert "takes no --aux; it goes with" in refused(
        "--format", "safetensors", "--output", tmp_path / "a.safetensors", "--aux"
    )
    assert "there is no" in refused("--precision", "int8", "--calibration", "folder:/nowhere")
    assert "images of" in refused("--batch", 10**20)
    assert "is a URL" in refused("--output", "s3://bucket/a.onnx")


@pytest.mark.parametrize("suffix", ["onnx", "stablehlo", "safetensors"])
def test_damaged_and_foreign_files_are_refused(suffix, tmp_path):
    net, path = network("mindcv", 32, model__blocks=("3a",), model__aux_heads=False), tmp_path / f"a.{suffix}"
    export(net, "x", suffix, path, Options())
    whole = path.read_bytes()
    for damaged in (b"", b"\x08\x07rubbish", whole[: len(whole) // 2], whole[:-3]):
        path.write_bytes(damaged)
        with pytest.raises(
            UserError, match=f"no {suffix} file of googlenet export, or damaged|not those of the network"
        ):
            gn.load(path)
    with pytest.raises(UserError, match="there is no such file"):
        gn.load(tmp_path / f"b.{suffix}")


def test_a_small_file_cannot_ask_for_all_memory(tmp_path):
    export(
        network("mindcv", 32, model__blocks=("3a",), model__aux_heads=False),
        "x",
        "onnx",
        tmp_path / "a.onnx",
        Options(),
    )
    model = onnx.load(tmp_path / "a.onnx")
    (output,) = model.graph.output
    last = next(node for node in model.graph.node if output.name in node.output)
    last.output[0] = "all"
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1, 1 << 42]), "shape"))
    for kind, inputs, result in (("ConstantOfShape", ["shape"], "zeros"), ("ReduceMax", ["zeros"], "most")):
        model.graph.node.append(onnx.helper.make_node(kind, inputs, [result]))
    model.graph.node.append(onnx.helper.make_node("Add", ["all", "most"], [output.name]))
    onnx.save(model, tmp_path / "b.onnx")
    with pytest.raises(UserError, match=r"b\.onnx does not run .* more than the \d+ MiB that graphs may take"):
        gn.load(tmp_path / "b.onnx").predict([np.zeros((9, 9, 3), np.uint8)])


def test_a_description_that_makes_no_sense_is_refused(tmp_path):
    export(
        network("mindcv", 32, model__blocks=("3a",), model__aux_heads=False),
        "x",
        "stablehlo",
        tmp_path / "a.stablehlo",
        Options(),
    )
    with zipfile.ZipFile(tmp_path / "a.stablehlo") as archive:
        program, description = archive.read("program"), json.loads(archive.read("description.json"))

    def changed(change, **facts):
        with zipfile.ZipFile(tmp_path / "b.stablehlo", "w", **facts) as archive:
            archive.writestr("program", program)
            archive.writestr("description.json", json.dumps(description | change))
        return tmp_path / "b.stablehlo"

    p = description["preprocess"]
    preprocesses = [{}, p | {"mean": ["a", "b", "c"]}, p | {"std": [0, 1, 1]}, p | {"resize": "no"}]
    changes = [{"labels": 3}, {"batch": -1}, {"batch": 1 << 20}, {"unknown": 1}, {"step": "x"}]
    for change in [*changes, *({"preprocess": each} for each in preprocesses)]:
        with pytest.raises(UserError, match="makes no sense"):
            gn.load(changed(change))
    # What only running it tells.
    lies = [{"labels": ["a"]}, {"input": "float"}, {"preprocess": p | {"image_size": 48, "network_size": 48}}]
    for lie, message in zip(lies, ("gives other outputs", "does not run", "does not run"), strict=True):
        with pytest.raises(UserError, match=message):
            gn.load(changed(lie)).predict([np.zeros((9, 9, 3), np.uint8)])
    for config in ('{"foo": 1}', "[" * 100_000):
        with pytest.raises(UserError, match=r"no field|not a configuration"):
            _ = gn.load(changed({"config": config})).config
    with pytest.raises(UserError, match="than the file"):
        gn.load(changed({}, compression=zipfile.ZIP_DEFLATED))
