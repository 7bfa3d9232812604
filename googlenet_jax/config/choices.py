"""What a user chooses by name: one table a choice, one row a name.

Configuration, command line, help and errors read them. Nothing here imports JAX, or what a row stands for:
`Choice.load` does, when it is chosen. To add one is to add its row and the function or file that the row names;
`tests/config/test_choices.py` loads every row.
"""

import difflib
import importlib
from collections.abc import Iterable
from typing import Any, NamedTuple

from googlenet_jax.errors import UserError


def implementation(target: str) -> Any:
    """What stands at "module:name" below `googlenet_jax`, imported now."""
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(f"googlenet_jax.{module}"), name)


class Choice(NamedTuple):
    """One row of a table.

    Attributes:
      help: what it is, in a few words.
      target: "module:name" of what implements it, below `googlenet_jax`.
      place: of a dataset, what stands behind "kind:" in `dataset.name`; "" for a kind that stands alone.
    """

    help: str
    target: str
    place: str = ""

    def load(self) -> Any:
        """What implements it, imported now."""
        return implementation(self.target)


def chosen(table: dict[str, Any], name: str, what: str) -> Any:
    """The row of that name.

    Args:
      table: one of this module's.
      name: that a user gave.
      what: what it names, for the message.

    Returns:
      The row.

    Raises:
      UserError: if there is none; the message names the nearest.
    """
    if name in table:
        return table[name]
    raise UserError(f"{what} {name!r} is not known: {nearest(name, table)}")


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for a name that is not known: the nearest one that is, or all."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(names)}"


class Stem(NamedTuple):
    """Where the first layers shrink the image.

    Attributes:
      help: what it is.
      strides: of conv1, pool1 and pool2; a pool of stride 1 is left out.
    """

    help: str
    strides: tuple[int, int, int]


class Normalization(NamedTuple):
    """What becomes of pixels before the network sees them.

    Attributes:
      channel_order: "rgb" or "bgr".
      mean, std: subtracted from and divided into 0..255 pixels, in that order.
      crop_fraction: see `eval.crop_fraction`; 1 where whole images are enlarged.
    """

    channel_order: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    crop_fraction: float = 0.875


# Each is a row of the same name in `models/variants.py`, which has the data.
FAMILIES = {
    "paper": "Caffe's bvlc_googlenet: LRN and biases, as in the paper",
    "batchnorm": "the paper's topology with batch norm",
    "torchvision": "torchvision's GoogLeNet: batch norm, 3x3 for 5x5",
    "mindcv": "MindCV's: neither LRN nor batch norm",
    "mindspore": "MindSpore's model zoo: batch norm, no auxiliary heads",
    "paddleclas": "PaddleClas's: ReLU after each block",
}

STEMS = {
    "paper": Stem("as in the paper: a 224 px image reaches inception 3a at 28x28", (2, 2, 2)),
    "small": Stem("conv1 at stride 1 and no pool1, for images of 64 px and less", (1, 1, 2)),
    "tiny": Stem("no pool2 either, for images of 32 px: three times the work of small", (1, 1, 1)),
}

# Inception blocks in network order; their widths are in `models/googlenet.py`, the paper's Table 1.
BLOCKS = ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")

NORMALIZATIONS = {
    # The statistics of ImageNet's pixels that torch, MindSpore and Paddle use.
    "imagenet": Normalization("rgb", (0.485 * 255, 0.456 * 255, 0.406 * 255), (0.229 * 255, 0.224 * 255, 0.225 * 255)),
    "cifar10": Normalization(
        "rgb", (0.4914 * 255, 0.4822 * 255, 0.4465 * 255), (0.2023 * 255, 0.1994 * 255, 0.2010 * 255), 1.0
    ),
    # Pixels in -1..1, as TensorFlow's networks have them; torchvision's transform_input comes to the same.
    "half_range": Normalization("rgb", (127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
    "caffe": Normalization("bgr", (104.0, 117.0, 123.0), (1.0, 1.0, 1.0)),
    # SINGA's serve.py subtracts other means than Caffe's training did.
    "singa": Normalization("bgr", (103.939, 116.779, 123.68), (1.0, 1.0, 1.0)),
}

# Each opens a place: (place, whole configuration) -> `Splits`.
DATASETS = {
    "digits": Choice("scikit-learn's handwritten digits", "data.sources.builtin:open_digits"),
    "synthetic": Choice("noise around a pattern a class", "data.sources.builtin:open_synthetic"),
    "folder": Choice("image files in class directories, or lists", "data.sources.folders:open_folder", "PATH"),
    "records": Choice("what googlenet prepare wrote", "data.sources.records:open_records", "PATH"),
    "cifar": Choice("CIFAR-10 or CIFAR-100 as published", "data.sources.cifar:open_cifar", "PATH"),
    "tfds": Choice("a prepared TensorFlow dataset", "data.sources.tfds:open_tfds", "NAME"),
    "none": Choice("imported networks have no data of their own", "data.sources.builtin:refuse_none"),
}

CROPS = {
    "none": Choice("the evaluation crop", "data.crops.training:central"),
    "random": Choice("that, at a random place", "data.crops.training:random"),
    "shift": Choice("pad, and crop at random", "data.crops.training:central"),
    "resized": Choice("a random part of the image, resized", "data.crops.training:resized"),
}

# How a row of `CROPS` is cut out of squares that are cached on the devices, as far as that can be: (square, key,
# configuration) -> crop; None: it is the square already.
DEVICE_CROPS = {
    "none": None,
    "shift": None,
    "random": Choice("a square at a random place", "data.augment.batch:random_crop"),
    "resized": Choice("a random part, resized", "data.augment.batch:random_resized_crop"),
}

SAMPLINGS = {
    "torchvision": Choice("RandomResizedCrop's", "data.crops.windows:torchvision_window"),
    "paddleclas": Choice("RandCropImage's", "data.crops.windows:paddle_window"),
}

OPTIMIZERS = {
    "sgd": Choice("momentum, plain or Nesterov's", "train.optimizer:sgd"),
    "rmsprop": Choice("RMSProp with momentum", "train.optimizer:rmsprop"),
    "adamw": Choice("Adam with decoupled weight decay", "train.optimizer:adamw"),
}

SCHEDULES = {
    "constant": Choice("the base rate throughout", "train.schedule:constant"),
    "piecewise": Choice("times a factor at each boundary", "train.schedule:piecewise"),
    "piecewise_exponential": Choice("smoothly by a factor up to each boundary", "train.schedule:piecewise_exponential"),
    "exponential": Choice("times decay_rate every decay_epochs", "train.schedule:exponential"),
    "polynomial": Choice("a power of what is left", "train.schedule:polynomial"),
    "cosine": Choice("half a cosine", "train.schedule:cosine"),
}

# Where measured values go besides `metrics.jsonl`: each a `Writer`.
WRITERS = {
    "tensorboard": Choice("TensorBoard's files in tensorboard/", "runs.writers.tensorboard:TensorBoard"),
    "wandb": Choice("Weights & Biases", "runs.writers.wandb:WeightsAndBiases"),
    "mlflow": Choice("MLflow", "runs.writers.mlflow:MLflow"),
}

DTYPES = ("float32", "bfloat16", "float16")

TEST_CROPS = {
    1: Choice("the central crop", "evaluate.views:one"),
    10: Choice("corners and centre, mirrored", "evaluate.views:ten"),
    144: Choice("the paper's: 4 scales, 3 squares, 6 crops, mirrored", "evaluate.views:paper_144"),
}

RESIZES = {
    "short": "images keep their shape, as torchvision has it",
    "square": "made square first, as Caffe does",
}

FORMATS = {
    "caffe": Choice("Caffe: .caffemodel, .caffemodel.h5", "importers.namings:CAFFE"),
    "singa": Choice("Apache SINGA: .pickle, .tar.gz", "importers.namings:SINGA"),
    "torchvision": Choice("torchvision, DeepSpark: .pth", "importers.namings:TORCHVISION"),
    "mindcv": Choice("MindCV: .ckpt", "importers.namings:MINDCV"),
    "mindspore": Choice("MindSpore's model zoo: .ckpt", "importers.namings:MINDSPORE"),
    "paddleclas": Choice("PaddleClas: .pdparams", "importers.namings:PADDLECLAS"),
}

# What an export writes: each a `Target`.
EXPORTS = {
    "onnx": Choice("an ONNX graph, for ONNX Runtime and OpenVINO, .onnx", "export.onnx:TARGET"),
    "stablehlo": Choice("a program for CPU, CUDA and TPU that JAX alone loads, .stablehlo", "export.stablehlo:TARGET"),
    "savedmodel": Choice("a directory for TensorFlow Serving", "export.savedmodel:TARGET"),
    "tflite": Choice("LiteRT, for phones and small devices, .tflite", "export.tflite:TARGET"),
    "safetensors": Choice("weights with class names and preprocessing, .safetensors", "export.safetensors:TARGET"),
    "mindir": Choice("a MindSpore graph, .mindir", "export.mindir:TARGET"),
    "torchvision": Choice("a state_dict for torchvision's GoogLeNet, .pth", "export.torchvision:TARGET"),
    "caffe": Choice("weights and prototxts for Caffe's bvlc_googlenet, .caffemodel", "export.caffe:TARGET"),
    "singa": Choice("weights for SINGA's GoogLeNet, which has no auxiliary heads, .pickle", "export.singa:TARGET"),
    "mindcv": Choice("weights for MindCV's GoogLeNet, .ckpt", "export.mindspore:MINDCV_TARGET"),
    "mindspore": Choice("weights for that of MindSpore's model zoo, .ckpt", "export.mindspore:ZOO_TARGET"),
    "paddleclas": Choice("weights for PaddleClas's GoogLeNet, .pdparams", "export.paddleclas:TARGET"),
}


# What cannot be written, and what to do instead.
NOT_HERE = {"air": "written only on Ascend; take --format mindir, or --format onnx and Ascend's converter atc"}


class Runtime(NamedTuple):
    """What opens an exported file.

    Attributes:
      suffix: what the file's name ends in, or the file that makes a directory one.
      name: of the runtime.
      target: as in `Choice`: a function of the path that gives the description and what runs it.
    """

    suffix: str
    name: str
    target: str

    def load(self) -> Any:
        """What implements it."""
        return implementation(self.target)


RUNTIMES = {
    "onnx": Runtime(".onnx", "ONNX Runtime", "exported.onnx:open_onnx"),
    "stablehlo": Runtime(".stablehlo", "StableHLO in JAX", "exported.stablehlo:open_stablehlo"),
    "savedmodel": Runtime("saved_model.pb", "TensorFlow", "exported.savedmodel:open_savedmodel"),
    "tflite": Runtime(".tflite", "LiteRT", "exported.tflite:open_tflite"),
    "safetensors": Runtime(".safetensors", "JAX", "exported.safetensors:open_safetensors"),
    "mindir": Runtime(".mindir", "MindSpore", "exported.mindir:open_mindir"),
}

# Each says what of a picture speaks for a class, see `explain.methods`.
EXPLANATIONS = {
    "cam": Choice("class activation maps, exact for this network", "explain.methods:class_activation"),
    "occlusion": Choice("what is lost when a square covers a place", "explain.methods:occlusion"),
    "integrated_gradients": Choice("gradients along the way to the picture", "explain.methods:integrated_gradients"),
}

# Each draws the next point of a sweep: (ranges, number, what is known, whether larger is better) -> overrides.
SEARCHES = {
    "random": Choice("points drawn independently", "sweep.search:draw"),
    "tpe": Choice("Optuna's Parzen estimator, which learns from earlier points", "sweep.search:parzen"),
}

# Where a sweep's trainings run: each makes an `Executor`.
EXECUTORS = {
    "local": Choice("processes of this machine, each with its share of the devices", "sweep.executors.local:Local"),
    "slurm": Choice("jobs of a Slurm cluster", "sweep.executors.slurm:Slurm"),
}
