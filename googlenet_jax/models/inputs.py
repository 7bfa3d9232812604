"""How the families normalise their input, as data; without JAX, so that configurations may use it."""

from typing import NamedTuple


class Normalization(NamedTuple):
    """What becomes of pixels before the network sees them.

    Attributes:
      channel_order: "rgb" or "bgr".
      mean, std: subtracted from and divided into 0..255 pixels, in that order.
    """

    channel_order: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


# The statistics of ImageNet's pixels that torch, MindSpore and Paddle use.
IMAGENET = Normalization("rgb", (0.485 * 255, 0.456 * 255, 0.406 * 255), (0.229 * 255, 0.224 * 255, 0.225 * 255))
CIFAR10 = Normalization("rgb", (0.4914 * 255, 0.4822 * 255, 0.4465 * 255), (0.2023 * 255, 0.1994 * 255, 0.2010 * 255))
# Pixels in -1..1, as TensorFlow's networks have them; torchvision's transform_input comes to the same.
HALF_RANGE = Normalization("rgb", (127.5, 127.5, 127.5), (127.5, 127.5, 127.5))
CAFFE = Normalization("bgr", (104.0, 117.0, 123.0), (1.0, 1.0, 1.0))
# SINGA's serve.py subtracts other means than Caffe's training did.
SINGA = Normalization("bgr", (103.939, 116.779, 123.68), (1.0, 1.0, 1.0))
NORMALIZATIONS = {"imagenet": IMAGENET, "cifar10": CIFAR10, "half_range": HALF_RANGE, "caffe": CAFFE, "singa": SINGA}
