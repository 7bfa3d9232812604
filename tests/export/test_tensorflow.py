"""SavedModel and TFLite files compute what the network does, as TensorFlow and LiteRT read them."""

import dataclasses
import functools
import shutil
import sys
import zipfile

import jax
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from conftest import small_config
from jax import numpy as jnp

from googlenet_jax.config import override
from googlenet_jax.data.preprocess import make_preprocess
from googlenet_jax.errors import UserError
from googlenet_jax.export.calibration import calibration_crops
from googlenet_jax.export.exporting import export, reference, sample_crops
from googlenet_jax.export.layers import Layer
from googlenet_jax.export.target import Options, describe
from googlenet_jax.export.tensorflow_graph import _same
from googlenet_jax.export.tflite import _choices
from googlenet_jax.exported.opening import ExportedNet, open_exported
from googlenet_jax.exported.tensorflow import tensorflow
from googlenet_jax.models.make_model import make_model
from googlenet_jax.models.pooling import Pool
from googlenet_jax.net import Net


@pytest.fixture(scope="module")
def tf():
    """TensorFlow, which takes seconds to import: not while tests are collected."""
    return tensorflow("SavedModel")


@functools.cache
def network(family, size=64, blocks=("3a", "4a", "5a"), aux=False):
    """A network with random weights, whose logits and statistics are not those of a fresh one."""
    config = small_config(
        model__variant=family, model__blocks=blocks, model__aux_heads=aux, dataset__image_size=size, model__stem="paper"
    )
    config = override(config, {"dataset.channel_order": "bgr" if family == "paper" else "rgb"})
    model = make_model(config, 4)
    shapes = jax.eval_shape(lambda key: model.init(key, jnp.zeros((1, size, size, 3))), jax.random.key(0))
    random = np.random.default_rng(0)

    def values(path, leaf):
        if path[-1].key in ("scale", "var"):
            return random.uniform(0.5, 1.5, leaf.shape).astype(np.float32)
        wide = 1.5 / np.sqrt(np.prod(leaf.shape[:-1])) if path[-1].key == "kernel" else 0.1
        return (random.normal(size=leaf.shape) * wide).astype(np.float32)

    variables = jax.tree_util.tree_map_with_path(values, shapes)
    return Net(model, variables, ["a", "b", "c", "d"], make_preprocess(config), config, 7)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Exports of one network, shared by the tests that only read them."""
    directory = tmp_path_factory.mktemp("exports")
    net = network("batchnorm")
    for name, output in (("savedmodel", "net"), ("tflite", "net.tflite")):
        export(net, "a run", name, directory / output, Options())
    return directory


@pytest.mark.slow
@pytest.mark.parametrize("name", ["savedmodel", "tflite"])
@pytest.mark.parametrize("family", ["paper", "torchvision", "paddleclas"])
def test_computes_what_the_network_does(family, name, tmp_path):
    output = tmp_path / ("net.tflite" if name == "tflite" else "net")
    result = export(network(family), "a run", name, output, Options(output_kind="logits"))
    assert not result.unverified and result.images == 9 == result.agreement
    assert result.difference < 1e-5
    assert [path.name for path in tmp_path.iterdir()] == [output.name]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["savedmodel", "tflite"])
def test_floats_a_fixed_batch_another_size_and_auxiliary_heads(name, tmp_path):
    net = network("torchvision", 96, ("3a", "4a", "4d"), aux=True)
    options = Options(input="float", output_kind="probabilities", batch=4, image_size=80, aux=True)
    output = tmp_path / ("net.tflite" if name == "tflite" else "net")
    result = export(net, "a run", name, output, options)
    assert result.difference < 1e-5 and result.images == 16
    opened = open_exported(output)
    assert len(opened.outputs(sample_crops(80, 3))) == 3
    assert opened.outputs(sample_crops(80, 3))[0].shape == (3, 4)


@pytest.mark.parametrize("output", ["net", "net.tflite"])
def test_description_comes_back(written, output):
    opened = open_exported(written / output)
    assert isinstance(opened, ExportedNet)
    assert opened.description == describe(network("batchnorm"), "a run", Options())
    image = np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)
    got, want = (net.probabilities([image] * 3) for net in (opened, network("batchnorm")))
    np.testing.assert_allclose(got, want, atol=1e-5)


def test_others_read_what_was_written(written, tf):
    crops = sample_crops(64, 2)
    want = network("batchnorm").classify(crops)
    served = tf.saved_model.load(str(written / "net")).signatures["serving_default"]
    assert served.structured_input_signature[1]["images"].dtype == tf.uint8
    np.testing.assert_allclose(served(images=tf.constant(crops))["probabilities"], want, atol=1e-5)
    interpreter = Interpreter(str(written / "net.tflite"))
    np.testing.assert_allclose(interpreter.get_signature_runner()(images=crops)["probabilities"], want, atol=1e-5)


def test_without_litert_tensorflow_runs_it_and_without_both_there_is_a_line(written, monkeypatch):
    crops = sample_crops(64, 3)
    for name in ("ai_edge_litert", "ai_edge_litert.interpreter"):
        monkeypatch.setitem(sys.modules, name, None)
    opened = open_exported(written / "net.tflite")
    np.testing.assert_allclose(opened.classify(crops), network("batchnorm").classify(crops), atol=1e-5)
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(UserError, match=r"ai-edge-litert: pip install 'googlenet-jax\[tf\]'"):
        open_exported(written / "net.tflite")
    with pytest.raises(UserError, match=r"tensorflow: pip install 'googlenet-jax\[tf\]'"):
        open_exported(written / "net")


def spread(net, crops):
    """A network that finds each class among these crops about as often: its logits have mean 0 and variance 1."""
    logits = reference(net, crops, Options(output_kind="logits"))[0]
    mean, std = logits.mean(0), logits.std(0)
    params = net.variables["params"]
    head = params["classifier"]
    head = {"kernel": head["kernel"] / std, "bias": (head["bias"] - mean) / std}
    return dataclasses.replace(net, variables=net.variables | {"params": params | {"classifier": head}})


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "share", "agreeing"), [("float16", 0.52, 0.97), ("int8", 0.3, 0.8)])
def test_smaller_files_agree_on_most_images(written, precision, share, agreeing, tmp_path):
    calibrated = Options(precision="int8", calibration="synthetic")
    options = calibrated if precision == "int8" else Options(precision=precision)
    crops, _ = calibration_crops(describe(network("batchnorm"), "a run", calibrated), calibrated, 500)
    net, output = spread(network("batchnorm"), crops), tmp_path / "net.tflite"
    result = export(net, "a run", "tflite", output, options)
    assert result.size < (written / "net.tflite").stat().st_size * share
    assert not result.unverified and result.images == 9
    got, want = open_exported(output).classify(crops), net.classify(crops)
    assert np.bincount(want.argmax(-1), minlength=4).min() > len(crops) / 10
    assert (got.argmax(-1) == want.argmax(-1)).mean() >= agreeing
    np.testing.assert_allclose(got, want, atol=0.2 if precision == "int8" else 0.01)
    if precision == "int8":
        interpreter = Interpreter(str(tmp_path / "net.tflite"))
        (images,), (output,) = interpreter.get_input_details(), interpreter.get_output_details()
        assert images["dtype"] == np.uint8 and images["quantization"] == (1.0, 0)
        assert output["dtype"] == np.float32
        # Integers from the pixels to the probabilities.
        floats = [d["name"] for d in interpreter.get_tensor_details() if d["dtype"] == np.float32]
        assert floats == [output["name"]]


def test_calibration_leaves_out_what_cannot_be_read(image_folder, caplog):
    options = Options(precision="int8", calibration=f"folder:{image_folder}")
    description = describe(network("batchnorm"), "a run", options)
    (image_folder / "train" / "cat" / "0.jpg").write_bytes(b"no image")
    crops, labels = calibration_crops(description, options, 500)
    for words in ("has 2 classes, the network tells 4 apart, and their names do not say", "may not fit others"):
        assert words in caplog.text
    assert crops.shape == (11, 64, 64, 3) and crops.dtype == np.uint8
    assert labels.tolist() == [0] * 5 + [1] * 6
    crops, labels = calibration_crops(description, options, count=4)
    assert sorted(set(labels.tolist())) == [0, 1]
    for path in (image_folder / "train").rglob("*.*g"):
        path.write_bytes(b"no image")
    with pytest.raises(UserError, match="none of its training images can be read"):
        calibration_crops(description, options, 500)


def test_damaged_files_are_a_line(written, tmp_path):
    def refused(path):
        with pytest.raises(UserError, match=r"googlenet export, or damaged: ") as caught:
            open_exported(path)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    whole = (written / "net.tflite").read_bytes()
    for number, content in enumerate((b"", whole[: len(whole) // 2], whole[-5000:], b"x" * 99)):
        (tmp_path / f"{number}.tflite").write_bytes(content)
        refused(tmp_path / f"{number}.tflite")
    own = describe(network("batchnorm"), "a run", Options())
    flatbuffer = whole[: whole.index(b"PK\x03\x04")]
    others = (("noise", b"x" * 5000, own), ("logits", flatbuffer, dataclasses.replace(own, output="logits")))
    for name, content, description in (*others, ("floats", flatbuffer, dataclasses.replace(own, input="float"))):
        (tmp_path / f"{name}.tflite").write_bytes(content)
        with zipfile.ZipFile(tmp_path / f"{name}.tflite", "a") as archive:
            archive.writestr("description.json", description.to_json())
        refused(tmp_path / f"{name}.tflite")
    shutil.copytree(written / "net", tmp_path / "floats")
    floats = dataclasses.replace(own, input="float").to_json()
    (tmp_path / "floats" / "assets.extra" / "description.json").write_text(floats)
    assert "it takes uint8 images (64, 64, 3)" in refused(tmp_path / "floats")
    for number, file in enumerate(("saved_model.pb", "assets.extra/description.json")):
        shutil.copytree(written / "net", tmp_path / f"{number}")
        (tmp_path / f"{number}" / file).write_bytes((written / "net" / file).read_bytes()[:200])
        refused(tmp_path / f"{number}")


def test_a_savedmodel_that_would_write_files_is_not_run(written, tmp_path, tf):
    class Writer(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 64, 64, 3), tf.uint8, "images")])
        def serve(self, images):
            tf.io.write_file(str(tmp_path / "written"), "x")
            return {"probabilities": tf.zeros((tf.shape(images)[0], 4))}

    module = Writer()
    tf.saved_model.save(module, str(tmp_path / "evil"), signatures=module.serve)
    shutil.copytree(written / "net" / "assets.extra", tmp_path / "evil" / "assets.extra")
    with pytest.raises(UserError, match=r"operations that no export has: .*WriteFile"):
        open_exported(tmp_path / "evil")
    assert not (tmp_path / "written").exists()


def test_a_savedmodel_that_would_fill_the_memory_is_not_run(written, tmp_path, tf):
    from tensorflow.core.protobuf import saved_model_pb2

    shutil.copytree(written / "net", tmp_path / "net")
    model = saved_model_pb2.SavedModel.FromString((written / "net" / "saved_model.pb").read_bytes())
    network = max(model.meta_graphs[0].graph_def.library.function, key=lambda function: len(function.node_def))
    constant = next(node for node in network.node_def if node.op == "Const")
    value = constant.attr["value"].tensor
    value.tensor_content = b""
    del value.tensor_shape.dim[:]
    for _ in range(2):
        value.tensor_shape.dim.add(size=1 << 20)
    (tmp_path / "net" / "saved_model.pb").write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match="would take more than 1 GiB"):
        open_exported(tmp_path / "net")


@pytest.mark.parametrize("rounding", ["ceil", "same", "floor"])
def test_max_pools_pad_as_tensorflow_does(rounding):
    def windows(side, window, stride, before, after):
        starts = range(-before, side + after - window + 1, stride)
        return [(max(start, 0), min(start + window, side)) for start in starts]

    for side in range(1, 60):
        for window, stride in ((3, 1), (3, 2), (2, 2)):
            (ours, _) = Pool(window, stride, rounding).padding((side, side))
            (theirs, _) = _same((side, side), Layer("pool", "max_pool", (), (), window=window, stride=stride))
            if any(ours):
                assert windows(side, window, stride, *ours) == windows(side, window, stride, *theirs)


def test_images_with_the_largest_activations_may_be_left_out_of_calibration():
    net = network("batchnorm")
    crops = np.random.default_rng(0).integers(0, 256, (50, 64, 64, 3), np.uint8) // 8
    crops[7] *= 8  # more contrast than the others
    everything, usual = _choices(net, crops).values()
    np.testing.assert_array_equal(everything, crops)
    np.testing.assert_array_equal(usual, np.delete(crops, 7, 0))
