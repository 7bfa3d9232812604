"""LiteRT, formerly TensorFlow Lite: one file for phones and small devices.

Behind the flatbuffer stands a zip archive with `description.json`, as TFLite has its associated files; interpreters do
not look there.
"""

import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from googlenet_jax.export.calibration import calibrate
from googlenet_jax.export.target import Options, Target
from googlenet_jax.export.tensorflow_graph import save_network
from googlenet_jax.exported.description import FILE, Description
from googlenet_jax.exported.tensorflow import IMAGES, SIGNATURE, quiet, tensorflow
from googlenet_jax.net import Net

_USUAL = 0.98  # of the images that ranges are measured on


def write(net: Net, path: Path, options: Options, description: Description) -> None:
    """Writes a .tflite; see `Target.write`."""
    tf = tensorflow("TFLite")
    int8 = options.precision == "int8"
    with tempfile.TemporaryDirectory(dir=path.parent) as directory:
        graph = Path(directory) / "graph"
        save_network(net, graph, description, integers=int8)

        def convert(file: Path, crops: np.ndarray | None = None) -> None:
            with quiet():
                converter = tf.lite.TFLiteConverter.from_saved_model(str(graph), signature_keys=[SIGNATURE])
                if options.precision == "float16":  # of weights; a runtime computes in it where the hardware does
                    converter.optimizations = [tf.lite.Optimize.DEFAULT]
                    converter.target_spec.supported_types = [tf.float16]
                if crops is not None:
                    _quantize(tf, converter, crops, description)
                file.write_bytes(converter.convert())
            with zipfile.ZipFile(file, "a") as archive:
                archive.writestr(FILE, description.to_json())

        if not int8:
            convert(path)
            return
        calibration = calibrate(description, options)
        files: dict[str, Path] = {}
        for name, crops in _choices(net, calibration.measured).items():
            files[name] = Path(directory) / f"{len(files)}.tflite"
            convert(files[name], crops)
        calibration.best("tflite", files, net).replace(path)


def _choices(net: Net, crops: np.ndarray) -> dict[str, np.ndarray]:
    """Crops to measure ranges on: TFLite's reach from least to greatest, so that a few odd images may spoil them."""
    largest = [float(np.max(net.look(crop[None])[1])) for crop in crops]
    usual = crops[largest <= np.quantile(largest, _USUAL)]
    return {"all": crops, f"the {_USUAL:.0%} with the smallest activations": usual}


def _quantize(tf: Any, converter: Any, crops: np.ndarray, description: Description) -> None:
    """Integers throughout, weights by channel; what has no integer version, as the paper's LRN, stays float32."""

    def batches() -> Iterator[dict[str, np.ndarray]]:
        size = description.batch or 1
        for start in range(0, len(crops), size):
            batch = np.take(crops, range(start, start + size), 0, mode="wrap")
            if description.input == "uint8":
                # Of all values, so that a step of the input is one of the pixels.
                batch[0, 0, :2] = [[0] * 3, [255] * 3]
                yield {IMAGES: batch.astype(np.float32)}
            else:
                yield {IMAGES: np.asarray(description.preprocess.normalize(jnp.asarray(batch)))}

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = batches
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.lite.OpsSet.TFLITE_BUILTINS]
    converter.inference_input_type = tf.uint8 if description.input == "uint8" else tf.float32
    converter.inference_output_type = tf.float32


TARGET = Target(
    suffix=".tflite",
    write=write,
    takes=frozenset({"input", "output_kind", "image_size", "batch", "precision", "aux", "calibration"}),
    precisions=("float32", "float16", "int8"),
)
