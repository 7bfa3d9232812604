"""What the peers' servers share: the network in ONNX Runtime or PyTorch, Pillow's decoding, and the answer."""

import argparse
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Run = Callable[[np.ndarray], np.ndarray]


def arguments(description: str | None) -> argparse.Namespace:
    """What every peer is started with.

    Args:
      description: of the server, for its help.

    Returns:
      `weights`, `host` and `port`.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--weights", required=True, help=".onnx, or .pth: a state_dict with torchvision's names")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    return parser.parse_args()


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def decode(file: bytes) -> np.ndarray:
    """The crop of an image file, see `crop`."""
    return crop(Image.open(io.BytesIO(file)))


def crop(image: Image.Image) -> np.ndarray:
    """The central 224 px of an image whose short side is made 256 px, (224, 224, 3) uint8."""
    image = image.convert("RGB")
    scale = 256 / min(image.size)
    width, height = (max(256, round(side * scale)) for side in image.size)
    image = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = (width - 224) // 2, (height - 224) // 2
    return np.array(image.crop((left, top, left + 224, top + 224)))


def answer(probabilities: np.ndarray) -> dict[str, list[Any]]:
    """The five likeliest classes of one image."""
    best = np.argsort(probabilities)[::-1][:5]
    return {"classes": best.tolist(), "probabilities": probabilities[best].tolist()}


def open_network(weights: str) -> Run:
    """What computes the probabilities (n, classes) of crops (n, 224, 224, 3) uint8.

    Args:
      weights: see `arguments`.

    Returns:
      The function.
    """
    return _onnxruntime(weights) if Path(weights).suffix == ".onnx" else _torch(weights)


def _onnxruntime(weights: str) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores()
    # As in ours; with spinning, the default, they answered 14 to 37 % fewer images on two busy cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
    (images,) = session.get_inputs()

    def run(crops: np.ndarray) -> np.ndarray:
        return session.run(None, {images.name: crops})[0]

    return run


def _torch(weights: str) -> Run:
    # Threads that spin while they wait keep busy cores from the other processes: seconds an image, not 40 ms.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch
    from torch_network import GoogLeNet

    torch.set_num_threads(cores())
    network = GoogLeNet(torch.load(weights, weights_only=True)).eval().to(memory_format=torch.channels_last)
    scales = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    mean, std = (torch.tensor(scale).mul(255).view(1, 3, 1, 1) for scale in scales)

    def run(crops: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            images = torch.from_numpy(crops).permute(0, 3, 1, 2)
            return torch.softmax(network((images - mean) / std), -1).numpy()

    return run
