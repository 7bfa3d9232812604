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

from googlenet_jax.export.calibration import calibration_crops
from googlenet_jax.export.target import Options, Target
from googlenet_jax.export.tensorflow_graph import save_network
from googlenet_jax.exported.description import FILE, Description
from googlenet_jax.exported.tensorflow import IMAGES, SIGNATURE, quiet, tensorflow
from googlenet_jax.net import Net


def write(net: Net, path: Path, options: Options, description: Description) -> None:
    """Writes a .tflite; see `Target.write`."""
    tf = tensorflow("TFLite")
    crops = calibration_crops(description, options)[0] if options.precision == "int8" else None
    with tempfile.TemporaryDirectory() as directory:
        save_network(net, Path(directory), description, integers=crops is not None)
        with quiet():
            converter = tf.lite.TFLiteConverter.from_saved_model(directory, signature_keys=[SIGNATURE])
            if options.precision == "float16":  # of weights; a runtime computes in it where the hardware does
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
                converter.target_spec.supported_types = [tf.float16]
            if crops is not None:
                _quantize(tf, converter, crops, description)
            model = converter.convert()
    path.write_bytes(model)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(FILE, description.to_json())


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
