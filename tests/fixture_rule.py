"""Weights and inputs that another system computed the stored outputs with, regenerated from their names.

Each array is a function of its name and shape alone, drawn from numpy's legacy generator, whose stream is frozen; so
the tests keep the small outputs and not the large checkpoints.
"""

import zlib
from pathlib import Path

import numpy as np

from googlenet_jax.models.googlenet import TABLE_1

ROOT = Path(__file__).parent
_SALT = "googlenet-parity-a"


def _random(name: str) -> np.random.RandomState:
    return np.random.RandomState(zlib.crc32(f"{_SALT}|{name}".encode()))


def weight(name: str, shape: tuple[int, ...], fan_in: int) -> np.ndarray:
    """Random signs of He's size, sqrt(2 / fan_in)."""
    return (np.sign(_random(name).standard_normal(shape)) * np.sqrt(2 / fan_in)).astype(np.float32)


def bias(name: str, width: int) -> np.ndarray:
    """Normal, of deviation 0.1."""
    return (_random(name).standard_normal(width) * 0.1).astype(np.float32)


def inputs(n: int = 2, size: int = 224, scale: float = 1.0, tag: str = "x") -> np.ndarray:
    """(n, 3, size, size): blocks, noise and a ramp that differs along both axes, so that a flip or a shift shows."""
    random = _random(f"input|{tag}|{n}|{size}")
    blocks = random.standard_normal((n, 3, -(-size // 16), -(-size // 16)))
    blocks = blocks.repeat(16, 2).repeat(16, 3)[:, :, :size, :size]
    noise = random.standard_normal((n, 3, size, size))
    line = np.linspace(-1, 1, size)
    ramps = [line[:, None] * (i + 1) - 0.5 * line[None, :] * (n - i) for i in range(n)]
    return (scale * (0.7 * blocks + 0.5 * noise + 0.4 * np.stack(ramps)[:, None])).astype(np.float32)


def caffe_variables(num_classes: int) -> dict:
    """The `paper` family's variables, from Caffe's names; its biases are 20 times, its classifiers 1/20 the rule's."""
    params: dict = {}

    def conv(path: tuple[str, ...], layer: str, window: int, width_in: int, width: int) -> None:
        kernel = weight(f"{layer}_weight", (width, width_in, window, window), width_in * window**2)
        _put(params, path, {"kernel": kernel.transpose(2, 3, 1, 0), "bias": 20 * bias(f"{layer}_bias", width)})

    def dense(path: tuple[str, ...], layer: str, width_in: int, width: int, gains: tuple[float, float]) -> None:
        kernel = gains[0] * weight(f"{layer}_weight", (width, width_in), width_in).T
        _put(params, path, {"kernel": kernel, "bias": gains[1] * bias(f"{layer}_bias", width)})

    conv(("conv1",), "conv1/7x7_s2", 7, 3, 64)
    conv(("conv2_reduce",), "conv2/3x3_reduce", 1, 64, 64)
    conv(("conv2",), "conv2/3x3", 3, 64, 192)
    width_in = 192
    for block, w in TABLE_1.items():
        for name, window, width_from, width in (
            ("1x1", 1, width_in, w.one),
            ("3x3_reduce", 1, width_in, w.three_reduce),
            ("3x3", 3, w.three_reduce, w.three),
            ("5x5_reduce", 1, width_in, w.five_reduce),
            ("5x5", 5, w.five_reduce, w.five),
            ("pool_proj", 1, width_in, w.pool_proj),
        ):
            conv((f"inception_{block}", name), f"inception_{block}/{name}", window, width_from, width)
        width_in = w.total
    for head, width_in in ((1, 512), (2, 528)):
        conv((f"aux{head}", "conv"), f"loss{head}/conv", 1, width_in, 128)
        dense((f"aux{head}", "fc"), f"loss{head}/fc", 2048, 1024, (1, 20))
        dense((f"aux{head}", "classifier"), f"loss{head}/classifier", 1024, num_classes, (0.05, 1))
    dense(("classifier",), "loss3/classifier", 1024, num_classes, (0.05, 1))
    return {"params": params}


def _put(tree: dict, path: tuple[str, ...], value: dict) -> None:
    for part in path[:-1]:
        tree = tree.setdefault(part, {})
    tree[path[-1]] = value
