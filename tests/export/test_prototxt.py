"""The prototxts are BVLC's: layers, order and numbers. `benchmarks/peers.py` has another program read them."""

import collections
import itertools
import re

import numpy as np
import peers
import pytest

from googlenet_jax.config.choices import NORMALIZATIONS
from googlenet_jax.data.preprocess import Preprocess
from googlenet_jax.export import prototxt
from googlenet_jax.models.googlenet import GoogLeNet

WINDOW = (("kernel_size", None), ("stride", 1), ("pad", 0))  # fields of a convolution or pool, and what they are else


def parse(text):
    """Protobuf's text format as {field: [values]}, a message within as such a dictionary."""
    root = collections.defaultdict(list)
    messages = [root]
    for line in text.splitlines():
        if match := re.fullmatch(r" *(\w+) \{", line):
            messages.append(collections.defaultdict(list))
            messages[-2][match[1]].append(messages[-1])
        elif re.fullmatch(r" *\}", line):
            messages.pop()
        elif not line.startswith("#"):
            name, value = re.fullmatch(r' *(\w+): ("[^"]*"|[\w.]+)', line).groups()
            messages[-1][name].append(value.strip('"'))
    assert messages == [root]
    return root


def preprocess(size=224, name="caffe"):
    order, mean, std, fraction = NORMALIZATIONS[name]
    return Preprocess(size, fraction, mean, std, order)


def one(message, *path):
    """The only value at a path of fields."""
    for name in path:
        (message,) = message[name]
    return message


@pytest.fixture(scope="module")
def nets():
    model = GoogLeNet(num_classes=10)
    return {
        "deploy": parse(prototxt.deploy(model, preprocess())),
        "train_val": parse(prototxt.train_val(model, preprocess())),
    }


def test_layers_are_those_of_bvlc(nets):
    # The census of BVLC/caffe models/bvlc_googlenet.
    kinds = {name: collections.Counter(one(layer, "type") for layer in net["layer"]) for name, net in nets.items()}
    both = {"Pooling": 14, "Concat": 9, "LRN": 2}
    single = {"Convolution": 57, "ReLU": 57, "InnerProduct": 1, "Dropout": 1, "Input": 1, "Softmax": 1}
    assert kinds["deploy"] == both | single
    heads = {"Convolution": 59, "ReLU": 61, "InnerProduct": 5, "Dropout": 3, "Pooling": 16}
    assert kinds["train_val"] == both | heads | {"Data": 2, "SoftmaxWithLoss": 3, "Accuracy": 6}
    names = [one(layer, "name") for layer in nets["deploy"]["layer"]]
    stem = "data conv1/7x7_s2 conv1/relu_7x7 pool1/3x3_s2 pool1/norm1 conv2/3x3_reduce conv2/relu_3x3_reduce conv2/3x3"
    block = (
        "1x1 relu_1x1 3x3_reduce relu_3x3_reduce 3x3 relu_3x3 5x5_reduce relu_5x5_reduce 5x5 relu_5x5 pool pool_proj "
        "relu_pool_proj output"
    )
    wanted = [*stem.split(), "conv2/relu_3x3", "conv2/norm2", "pool2/3x3_s2"]
    for name in ("3a", "3b", "pool3", "4a", "4b", "4c", "4d", "4e", "pool4", "5a", "5b"):
        wanted += [f"{name}/3x3_s2"] if "pool" in name else [f"inception_{name}/{layer}" for layer in block.split()]
    assert names == [*wanted, "pool5/7x7_s1", "pool5/drop_7x7_s1", "loss3/classifier", "prob"]
    training = [one(layer, "name") for layer in nets["train_val"]["layer"]]
    assert training[training.index("loss1/ave_pool") - 1] == "inception_4a/output"
    assert training[training.index("loss2/ave_pool") - 1] == "inception_4d/output"
    head = "ave_pool conv relu_conv fc relu_fc drop_fc classifier loss top-1 top-5"
    assert [name.partition("/")[2] for name in training if name.startswith("loss2/")] == head.split()


@pytest.mark.parametrize("which", ["deploy", "train_val"])
def test_every_layer_finds_its_input_and_fits_its_weights(nets, which):
    """The shapes (c, h, w) follow from the text as Caffe computes them, and so do those of the weights."""
    shapes, blobs = {"label": ()}, {}
    for layer in nets[which]["layer"]:
        name, bottoms = one(layer, "name"), layer["bottom"]
        assert set(bottoms) <= shapes.keys(), f"{name} takes what is not there"
        inputs = [shapes[bottom] for bottom in bottoms]
        shape = inputs[0] if inputs else (3, 224, 224)
        for kind in ("convolution_param", "pooling_param"):
            for window in layer[kind]:
                kernel, stride, pad = (int(one(window, key)) if window[key] else default for key, default in WINDOW)
                steps = (shape[1] + 2 * pad - kernel) / stride
                side = int(np.ceil(steps) if kind == "pooling_param" else steps) + 1
                width = int(one(window, "num_output")) if window["num_output"] else shape[0]
                if window["num_output"]:
                    blobs |= {f"{name}_weight": (width, shape[0], kernel, kernel), f"{name}_bias": (width,)}
                shape = (width, side, side)
        if layer["inner_product_param"]:
            width = int(one(layer, "inner_product_param", "num_output"))
            features = shape[0] * (shape[1] * shape[2] if len(shape) == 3 else 1)
            blobs |= {f"{name}_weight": (width, features), f"{name}_bias": (width,)}
            shape = (width,)
        if one(layer, "type") == "Concat":
            shape = (sum(each[0] for each in inputs), *shape[1:])
        shapes |= {top: shape for top in layer["top"] if top != "label"}
    wanted = {name: array.shape for name, array in peers.tensors("caffe").items()}
    if which == "deploy":
        wanted = {name: shape for name, shape in wanted.items() if not name.startswith(("loss1", "loss2"))}
    assert blobs == wanted


def test_training_is_as_published(nets):
    layers = {one(layer, "name"): layer for layer in nets["train_val"]["layer"]}
    losses = [layer for layer in nets["train_val"]["layer"] if one(layer, "type") == "SoftmaxWithLoss"]
    assert [(one(layer, "top"), one(layer, "loss_weight")) for layer in losses] == [
        ("loss1/loss1", "0.3"),
        ("loss2/loss2", "0.3"),
        ("loss3/loss3", "1"),
    ]
    for number, top in itertools.product((1, 2, 3), (1, 5)):
        accuracy = layers[f"loss{number}/top-{top}"]
        assert accuracy["bottom"] == [f"loss{number}/classifier", "label"]
        assert one(accuracy, "include", "phase") == "TEST"
        assert one(accuracy, "accuracy_param", "top_k") == "5" if top == 5 else not accuracy["accuracy_param"]
    for name, field, bias in (
        ("conv2/3x3", "convolution_param", "0.2"),
        ("loss1/fc", "inner_product_param", "0.2"),
        ("loss3/classifier", "inner_product_param", "0"),
    ):
        assert one(layers[name], field, "weight_filler", "type") == "xavier"
        assert one(layers[name], field, "bias_filler", "value") == bias
        rates = [(one(param, "lr_mult"), one(param, "decay_mult")) for param in layers[name]["param"]]
        assert rates == [("1", "1"), ("2", "0")]
    ratios = {name: one(layers[name], "dropout_param", "dropout_ratio") for name in layers if "drop" in name}
    assert ratios == {"loss1/drop_fc": "0.7", "loss2/drop_fc": "0.7", "pool5/drop_7x7_s1": "0.4"}
    images = [layer for layer in nets["train_val"]["layer"] if one(layer, "type") == "Data"]
    assert [one(layer, "include", "phase") for layer in images] == ["TRAIN", "TEST"]
    assert [one(layer, "transform_param", "mirror") for layer in images] == ["true", "false"]
    assert images[0]["transform_param"][0]["mean_value"] == ["104", "117", "123"]


def test_other_sizes_and_inputs():
    model = GoogLeNet(num_classes=10)
    net = parse(prototxt.deploy(model, preprocess(97)))
    assert one(net["layer"][0], "input_param", "shape")["dim"] == ["1", "3", "97", "97"]
    pool = next(layer for layer in net["layer"] if layer["name"] == ["pool5/7x7_s1"])
    assert one(pool, "pooling_param", "kernel_size") == "3"  # 97, 49, 24, 12, 6, 3
    assert "BGR, pixels of 0 to 255 minus (104, 117, 123)\n" in prototxt.deploy(model, preprocess())
    assert "RGB, pixels of 0 to 255 minus (123.675, 116.28, 103.53), divided by (58.395, 57.12, 57.375)\n" in (
        prototxt.deploy(model, preprocess(name="imagenet"))
    )
    assert prototxt.train_val(model, preprocess(name="imagenet")) is None
