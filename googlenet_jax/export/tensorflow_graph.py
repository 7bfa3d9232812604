"""The network in TensorFlow's plain operations: what `savedmodel` and `tflite` are written from."""

from pathlib import Path
from typing import Any

import numpy as np

from googlenet_jax.export.layers import INPUT, Graph, Layer, Sides, graph_of
from googlenet_jax.exported.description import Description
from googlenet_jax.exported.tensorflow import IMAGES, SIGNATURE, quiet, tensorflow
from googlenet_jax.models.convolution import conv_padding
from googlenet_jax.models.normalization import LRN
from googlenet_jax.net import Net


def save_network(net: Net, path: Path, description: Description, integers: bool = False) -> None:
    """Writes a network as a SavedModel with the signature `SIGNATURE`.

    Args:
      net: the network.
      path: directory to write.
      description: says what it takes and gives.
      integers: for a converter to int8: pixels come as float32, 0 to 255, and all that can be is an operation that has
        an integer version.

    Raises:
      UserError: if TensorFlow is missing.
    """
    tf = tensorflow("SavedModel")
    size = description.preprocess.image_size
    graph = graph_of(net, size, description.aux, description.input == "uint8")
    dtype = tf.uint8 if description.input == "uint8" and not integers else tf.float32
    images = tf.TensorSpec((description.batch, size, size, 3), dtype, IMAGES)
    module = tf.Module("GoogLeNet")
    with quiet():
        function = tf.function(_Network(tf, graph, description, integers), input_signature=[images], autograph=False)
        tf.saved_model.save(module, str(path), signatures={SIGNATURE: function.get_concrete_function()})


class _Network:
    """Follows a graph: each kind of layer is a method of its name, from maps (n, h, w, c) to a map."""

    def __init__(self, tf: Any, graph: Graph, description: Description, integers: bool):
        self.tf, self.graph, self.description, self.integers = tf, graph, description, integers

    def __call__(self, images: Any) -> dict[str, Any]:
        """Outputs (n, classes) by name, of images (n, size, size, 3)."""
        maps = {INPUT: self.normalized(images) if self.description.input == "uint8" else images}
        for layer in self.graph.layers:
            maps[layer.name] = getattr(self, layer.kind)(layer, *(maps[name] for name in layer.inputs))
        activation = self.tf.nn.softmax if self.description.output == "probabilities" else self.tf.identity
        heads = self.graph.outputs
        names = self.description.output_names(len(heads))
        return {name: activation(maps[head], name=name) for name, head in zip(names, heads, strict=True)}

    def normalized(self, images: Any) -> Any:
        mean, std = self.description.preprocess.of_rgb
        if not self.integers:
            return self.tf.divide(self.tf.cast(images, self.tf.float32) - mean, std, name=INPUT)
        # As a convolution its bias has 32 bits, and the pixels are rounded once rather than at each step.
        scaled = self.tf.nn.depthwise_conv2d(images, (1 / std).reshape(1, 1, 3, 1), (1, 1, 1, 1), "VALID")
        return self.tf.nn.bias_add(scaled, -mean / std, name=INPUT)

    def conv(self, layer: Layer, x: Any) -> Any:
        padding = "SAME" if layer.padding == _same(x.shape[1:3], layer) else "VALID"
        if padding == "VALID" and np.any(layer.padding):
            x = self.tf.pad(x, ((0, 0), *layer.padding, (0, 0)))
        x = self.tf.nn.conv2d(x, layer.kernel, layer.stride, padding)
        return self.tf.nn.bias_add(x, layer.bias, name=layer.name)

    def relu(self, layer: Layer, x: Any) -> Any:
        return self.tf.nn.relu(x, name=layer.name)

    def max_pool(self, layer: Layer, x: Any) -> Any:
        # Where the families pad at all, it is as SAME does, or around a single pixel, where all paddings are alike.
        padding = "SAME" if np.any(layer.padding) else "VALID"
        return self.tf.nn.max_pool2d(x, layer.window, layer.stride, padding, name=layer.name)

    def lrn(self, layer: Layer, x: Any) -> Any:
        facts = {"depth_radius": LRN.size // 2, "bias": LRN.k, "alpha": LRN.alpha / LRN.size, "beta": LRN.beta}
        return self.tf.nn.local_response_normalization(x, **facts, name=layer.name)

    def concat(self, layer: Layer, *maps: Any) -> Any:
        return self.tf.concat(maps, -1, name=layer.name)

    def averages(self, layer: Layer, x: Any) -> Any:
        assert layer.matrices is not None
        rows, columns = layer.matrices
        _, h, w, c = x.shape
        x = self.tf.matmul(rows, self.tf.reshape(x, (-1, h, w * c)))
        return self.tf.matmul(columns, self.tf.reshape(x, (-1, len(rows), w, c)), name=layer.name)

    def mean(self, layer: Layer, x: Any) -> Any:
        return self.tf.reduce_mean(x, (1, 2), name=layer.name)

    def flatten(self, layer: Layer, x: Any) -> Any:
        return self.tf.reshape(self.tf.transpose(x, (0, 3, 1, 2)), (-1, *layer.shape), name=layer.name)

    def dense(self, layer: Layer, x: Any) -> Any:
        return self.tf.nn.bias_add(self.tf.matmul(x, layer.kernel), layer.bias, name=layer.name)


def _same(sides: tuple[int, int], layer: Layer) -> Sides:
    """The padding that TensorFlow calls SAME."""
    rows, columns = (conv_padding(side, layer.window, layer.stride, same=True) for side in sides)
    return rows, columns
