"""MindSpore's operations in numpy, as its documentation has them: MINDIR files are evaluated with them in the tests."""

import numpy as np

from googlenet_jax.formats.mindir import CONSTANT


def windows(x, window, stride):
    """The elements of each window of (n, c, h, w) maps, one array a place in the window."""
    h, w = ((side - window) // stride + 1 for side in x.shape[2:])
    for i in range(window):
        for j in range(window):
            yield i, j, x[:, :, i : i + stride * h : stride, j : j + stride * w : stride]


def conv2d(x, weights, *, kernel_size, pad, stride, pad_mode, format, out_channel, **_):
    assert pad_mode == "pad" and format == "NCHW" and weights.shape[0] == out_channel
    assert weights.shape[2:] == kernel_size
    (top, bottom, left, right), n = pad, len(x)
    x, total = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right))), 0
    for i, j, part in windows(x, kernel_size[0], stride[2]):
        total = total + weights[:, :, i, j] @ np.ascontiguousarray(part).reshape(n, part.shape[1], -1)
    return total.reshape(n, out_channel, *part.shape[2:])


def bias_add(x, bias, layout):
    assert layout == 0  # NCHW
    return x + bias.reshape(-1, *[1] * (x.ndim - 2))


def max_pool(x, *, kernel_size, strides, pad_mode, format):
    assert format == "NCHW" and kernel_size[:2] == strides[:2] == (1, 1)
    window, stride = kernel_size[2], strides[2]
    if pad_mode == "SAME":
        totals = [max((-(-side // stride) - 1) * stride + window - side, 0) for side in x.shape[2:]]
        sides = [(total // 2, total - total // 2) for total in totals]
        x = np.pad(x, ((0, 0), (0, 0), *sides), constant_values=-np.inf)
    return np.max([part for _, _, part in windows(x, window, stride)], 0)


def pad_v3(x, paddings, value, *, mode, paddings_contiguous):
    assert mode == "constant" and paddings_contiguous and value.shape == ()
    left, right, top, bottom = paddings
    return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=value.item())


def softmax(x, axes):
    powers = np.exp(x - x.max(axes, keepdims=True))
    return powers / powers.sum(axes, keepdims=True)


OPERATIONS = {
    "Transpose": lambda x, order: x.transpose(order),
    "Cast": lambda x, kind: x.astype({43: np.float32}[kind]),
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Pow": np.power,
    "Square": np.square,
    "ReLU": lambda x: np.maximum(x, 0),
    "Conv2D": conv2d,
    "BiasAdd": bias_add,
    "MaxPool": max_pool,
    "PadV3": pad_v3,
    "MakeTuple": lambda *parts: parts,
    "Concat": lambda parts, axis: np.concatenate(parts, axis),
    "ReduceMean": lambda x, axes, keep: x.mean(axes, keepdims=keep),
    "MatMul": lambda a, b, ta, tb: (a.T if ta else a) @ (b.T if tb else b),
    "Softmax": softmax,
}


def evaluate(program, images):
    """The output of a `formats.mindir.Program` with one input and one output."""
    (given,) = program.inputs
    assert images.dtype == given.dtype and images.shape[1:] == given.shape[1:]
    values = {given.name: images, **program.parameters}
    for node in program.nodes:
        if node.kind == CONSTANT:
            values[node.name] = node.attributes["value"]
        else:
            values[node.name] = OPERATIONS[node.kind](*(values[name] for name in node.inputs), **node.attributes)
    (output,) = program.outputs
    assert values[output.name].dtype == np.float32
    return values[output.name]
