"""Caffe's deploy.prototxt and train_val.prototxt of bvlc_googlenet, for a network of the paper's family.

Layers, names, fillers and multipliers are those of BVLC/caffe `models/bvlc_googlenet`; widths are the paper's Table 1.
"""

from collections.abc import Sequence
from typing import Any

from googlenet_jax.data.preprocess import Preprocess
from googlenet_jax.importers.names import UNITS
from googlenet_jax.importers.namings import CAFFE
from googlenet_jax.models.googlenet import AUX_AFTER, TABLE_1, GoogLeNet
from googlenet_jax.models.normalization import LRN

Fields = Sequence[
    tuple[str, Any]
]  # of a message, in order; a value is a number, text, an `_Enum` or a message's fields
_NAMES = CAFFE[0]
NET_NAME = "GoogleNet"  # BVLC's
_AUX_WEIGHT = 0.3
_MULTIPLIERS = [("param", [("lr_mult", 1), ("decay_mult", 1)]), ("param", [("lr_mult", 2), ("decay_mult", 0)])]


class _Enum(str):
    """A value of an enumeration, which stands without quotes."""


def deploy(model: GoogLeNet, preprocess: Preprocess) -> str:
    """The network at inference, from "data" to "prob".

    Args:
      model: the network, of all of the paper's blocks.
      preprocess: how it wants its input.

    Returns:
      The text.
    """
    size = preprocess.image_size
    shape = [("dim", dim) for dim in (1, 3, size, size)]
    net = _Net(model, size)
    net.add("Input", "data", (), input_param=[("shape", shape)])
    net.add("Softmax", "prob", (net.main_head(train=False),))
    return f"# data: {_input(preprocess)}\n{net.text()}"


def train_val(model: GoogLeNet, preprocess: Preprocess) -> str | None:
    """The network in training and validation: images and labels, three losses and their accuracies.

    Args:
      model: as for `deploy`.
      preprocess: how it wants its input.

    Returns:
      The text; None where Caffe's Data layer, which gives BGR without a standard deviation, cannot give that input.
    """
    if preprocess.channel_order != "bgr" or preprocess.std != (1.0, 1.0, 1.0):
        return None
    net = _Net(model, preprocess.image_size)
    means = [("mean_value", mean) for mean in preprocess.mean]
    for phase, images, mirror, batch in (("TRAIN", "train", "true", 32), ("TEST", "val", "false", 50)):
        source = f"examples/imagenet/ilsvrc12_{images}_lmdb"
        net.add(
            "Data",
            "data",
            (),
            tops=("data", "label"),
            include=[("phase", _Enum(phase))],
            transform_param=[("mirror", _Enum(mirror)), ("crop_size", preprocess.image_size), *means],
            data_param=[("source", source), ("batch_size", batch), ("backend", _Enum("LMDB"))],
        )
    net.loss("loss3", "loss3", net.main_head(train=True), 1)
    return net.text()


def _input(preprocess: Preprocess) -> str:
    """What the network wants as input, in words."""
    size, order = preprocess.image_size, preprocess.channel_order.upper()
    mean, std = (", ".join(f"{value:g}" for value in values) for values in (preprocess.mean, preprocess.std))
    divided = "" if set(preprocess.std) == {1.0} else f", divided by ({std})"
    return f"1 x 3 x {size} x {size}, {order}, pixels of 0 to 255 minus ({mean}){divided}"


class _Net:
    """Layers in the order in which Caffe's file has them."""

    def __init__(self, model: GoogLeNet, size: int):
        self.model, self.size = model, size
        self.layers: list[Fields] = []

    def text(self) -> str:
        lines = [line for layer in self.layers for line in _lines("layer", layer)]
        return "\n".join([f'name: "{NET_NAME}"', *lines, ""])

    def add(self, kind: str, name: str, bottoms: Sequence[str], tops: Sequence[str] = (), **parameters: Any) -> str:
        """Adds a layer, whose output has its name if no other is given; returns the output's."""
        tops = tops or (name,)
        ends = [*(("bottom", bottom) for bottom in bottoms), *(("top", top) for top in tops)]
        rates = _MULTIPLIERS if kind in ("Convolution", "InnerProduct") else []  # of the weights and the bias
        self.layers.append([("name", name), ("type", kind), *ends, *rates, *parameters.items()])
        return tops[0]

    def main_head(self, train: bool) -> str:
        """From "data" to the main classifier's logits; in training with the auxiliary heads and their losses."""
        conv1, conv2_reduce, conv2 = _NAMES.stem
        x = self.conv(conv1, "data", 64, 7, 2)
        x = self.norm("pool1/norm1", self.pool("pool1/3x3_s2", x, 3, 2))
        x = self.conv(conv2, self.conv(conv2_reduce, x, 64, 1), 192, 3)
        x = self.pool("pool2/3x3_s2", self.norm("conv2/norm2", x), 3, 2)
        for block, following in zip(TABLE_1, [*list(TABLE_1)[1:], None], strict=True):
            x = self.inception(block, x)
            if train and block in AUX_AFTER:
                self.head(AUX_AFTER[block], x)
            if following is not None and following[0] != block[0]:
                x = self.pool(f"pool{block[0]}/3x3_s2", x, 3, 2)
        # The average is over all that is left, 7x7 of 224 px.
        x = self.pool("pool5/7x7_s1", x, self.last_side(), 1, "AVE")
        x = self.dropout("pool5/drop_7x7_s1", x, self.model.variant.dropout)
        return self.dense(_NAMES.classifier, x, self.model.num_classes, 0)

    def last_side(self) -> int:
        """Side of block 5b's output: conv1 and four pools, whose sides are rounded up."""
        side = (self.size - 1) // 2 + 1
        for _ in range(4):
            side = -(-(side - 3) // 2) + 1
        return side

    def inception(self, block: str, x: str) -> str:
        at = _NAMES.block.format(block)
        widths = dict(zip(UNITS, TABLE_1[block], strict=True))

        def unit(name: str, bottom: str, kernel: int) -> str:
            return self.conv(at + name, bottom, widths[name], kernel)

        one = unit("1x1", x, 1)
        three = unit("3x3", unit("3x3_reduce", x, 1), 3)
        five = unit("5x5", unit("5x5_reduce", x, 1), 5)
        pooled = unit("pool_proj", self.pool(f"{at}pool", x, 3, 1, pad=1), 1)
        return self.add("Concat", f"{at}output", (one, three, five, pooled))

    def head(self, number: int, x: str) -> None:
        conv, hidden, classifier = _NAMES.aux[number - 1]
        at = f"loss{number}"
        x = self.conv(conv, self.pool(f"{at}/ave_pool", x, 5, 3, "AVE"), 128, 1)
        x = self.relu(hidden, self.dense(hidden, x, 1024, 0.2))
        x = self.dropout(f"{at}/drop_fc", x, self.model.variant.aux_dropout)
        x = self.dense(classifier, x, self.model.num_classes, 0)
        self.loss(at, "loss", x, _AUX_WEIGHT)

    def loss(self, at: str, name: str, logits: str, weight: float) -> None:
        self.add("SoftmaxWithLoss", f"{at}/{name}", (logits, "label"), (f"{at}/{at}",), loss_weight=weight)
        test = [("phase", _Enum("TEST"))]
        self.add("Accuracy", f"{at}/top-1", (logits, "label"), include=test)
        self.add("Accuracy", f"{at}/top-5", (logits, "label"), include=test, accuracy_param=[("top_k", 5)])

    def conv(self, name: str, x: str, width: int, kernel: int, stride: int = 1) -> str:
        pad = [("pad", kernel // 2)] if kernel > 1 else []
        step = [("stride", stride)] if stride > 1 else []
        shape = [("num_output", width), *pad, ("kernel_size", kernel), *step]
        return self.relu(name, self.add("Convolution", name, (x,), convolution_param=[*shape, *_fillers(0.2)]))

    def relu(self, name: str, x: str) -> str:
        at, _, own = name.rpartition("/")
        return self.add("ReLU", f"{at}/relu_{own.removesuffix('_s2')}", (x,), (x,))

    def pool(self, name: str, x: str, kernel: int, stride: int, kind: str = "MAX", pad: int = 0) -> str:
        window = [("pool", _Enum(kind)), ("kernel_size", kernel), ("stride", stride), *([("pad", pad)] if pad else [])]
        return self.add("Pooling", name, (x,), pooling_param=window)

    def norm(self, name: str, x: str) -> str:
        constants = [("local_size", LRN.size), ("alpha", LRN.alpha), ("beta", LRN.beta)]
        return self.add("LRN", name, (x,), lrn_param=constants)

    def dropout(self, name: str, x: str, ratio: float) -> str:
        return self.add("Dropout", name, (x,), (x,), dropout_param=[("dropout_ratio", ratio)])

    def dense(self, name: str, x: str, width: int, bias: float) -> str:
        return self.add("InnerProduct", name, (x,), inner_product_param=[("num_output", width), *_fillers(bias)])


def _fillers(bias: float) -> list[tuple[str, Any]]:
    constant = [("type", "constant"), ("value", bias)]
    return [("weight_filler", [("type", "xavier")]), ("bias_filler", constant)]


def _lines(name: str, value: Any, indent: str = "") -> list[str]:
    """One field in protobuf's text format."""
    if isinstance(value, list):
        inner = [line for key, part in value for line in _lines(key, part, indent + "  ")]
        return [f"{indent}{name} {{", *inner, f"{indent}}}"]
    if isinstance(value, str) and not isinstance(value, _Enum):
        return [f'{indent}{name}: "{value}"']
    return [f"{indent}{name}: {value if isinstance(value, str) else format(value, '.9g')}"]
