"""Other systems' GoogLeNets, as real runs of them left their facts: tensors, inputs, outputs.

`data/peer_tensors.json` lists the names and shapes in their files (10 classes), `data/peer_outputs.npz` what they
computed (torchvision 0.28, MindCV 0.5, MindSpore's model zoo, PaddleClas, and Caffe's bvlc_googlenet run by OpenCV
4.14). Their weights were not trained but drawn: each array is a function of its name and shape alone, from numpy's
legacy generator, whose stream is frozen; so the tests keep the small outputs and not the large checkpoints.
"""

import functools
import json
import zlib
from pathlib import Path

import numpy as np

DATA = Path(__file__).parent / "data"
LABELS = np.array([3, 7], np.int32)  # of the two inputs, in training
SYSTEMS = ("caffe", "torchvision", "mindcv", "mindspore", "paddleclas")
_SALT = "googlenet-parity-a"
_VECTORS = {
    "running_mean": "mean",
    "moving_mean": "mean",
    "running_var": "variance",
    "moving_variance": "variance",
    "gamma": "scale",
    "beta": "bias",
}


def _random(name: str) -> np.random.RandomState:
    return np.random.RandomState(zlib.crc32(f"{_SALT}|{name}".encode()))


def _draw(name: str, shape: tuple[int, ...], system: str) -> np.ndarray:
    random, suffix = _random(name), name.rpartition(".")[2]
    if len(shape) > 1:  # random signs of He's size
        fan_in = shape[0] if len(shape) == 2 and system == "paddleclas" else int(np.prod(shape[1:]))
        gain = 0.75 if len(shape) == 4 and system == "paddleclas" else 1
        gain = 0.05 if system == "caffe" and "classifier" in name else gain
        return (np.sign(random.standard_normal(shape)) * np.sqrt(2 / fan_in) * gain).astype(np.float32)
    kind = _VECTORS.get(suffix, "bias")
    if suffix == "weight":
        kind = "scale"
    if kind == "mean":
        return (random.standard_normal(shape) * 0.2).astype(np.float32)
    if kind == "scale":
        return random.uniform(0.5, 1.5, shape).astype(np.float32)
    if kind == "variance":
        return np.exp(random.uniform(np.log(0.5), np.log(2.0), shape)).astype(np.float32)
    gain = 20 if system == "caffe" and "classifier" not in name else 1
    return (random.standard_normal(shape) * 0.1 * gain).astype(np.float32)


@functools.cache
def tensors(system: str) -> dict[str, np.ndarray]:
    """All tensors of a system's checkpoint, by its own names and in its own layout."""
    listed = json.loads((DATA / "peer_tensors.json").read_text())[system]
    drawn = {name: _draw(name, tuple(shape), system) for name, shape in listed if "num_batches" not in name}
    return {name: drawn.get(name, np.array(345)) for name, _ in listed}


@functools.cache
def outputs() -> dict[str, np.ndarray]:
    """What was computed, by "<system>/<mode and size>/<what>"."""
    with np.load(DATA / "peer_outputs.npz") as stored:
        return dict(stored)


def inputs(system: str, size: int = 224) -> np.ndarray:
    """(2, size, size, 3): blocks, noise and a ramp that differs along both axes, so that a flip or a shift shows."""
    scale, tag = (50.0, "caffe") if system == "caffe" else (1.0, "x")
    n, random = 2, _random(f"input|{tag}|2|{size}")
    blocks = random.standard_normal((n, 3, -(-size // 16), -(-size // 16)))
    blocks = blocks.repeat(16, 2).repeat(16, 3)[:, :, :size, :size]
    noise = random.standard_normal((n, 3, size, size))
    line = np.linspace(-1, 1, size)
    ramps = [line[:, None] * (i + 1) - 0.5 * line[None, :] * (n - i) for i in range(n)]
    images = scale * (0.7 * blocks + 0.5 * noise + 0.4 * np.stack(ramps)[:, None])
    return images.astype(np.float32).transpose(0, 2, 3, 1)
