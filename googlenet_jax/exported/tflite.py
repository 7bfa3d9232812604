"""TFLite files in LiteRT, or where that is not installed in TensorFlow's own interpreter."""

import threading
from pathlib import Path
from typing import Any

import numpy as np

from googlenet_jax.errors import UserError
from googlenet_jax.exported.description import FILE, Description
from googlenet_jax.exported.opening import Run, missing
from googlenet_jax.exported.tensorflow import (
    IMAGES,
    SIGNATURE,
    check_input,
    quiet,
    tensorflow,
)
from googlenet_jax.formats import zips
from googlenet_jax.system.runtime import cpu_cores

_MOST = 1 << 24  # bytes of a description


def open_tflite(path: Path) -> tuple[Description, Run]:
    """Loads a file; its description, and what runs it on a CPU."""
    with path.open("rb") as stream, zips.opened(stream) as archive:
        description = Description.from_json(zips.member(archive, FILE, _MOST))
    with quiet():
        interpreter = _interpreter(path)
        interpreter.allocate_tensors()
        runner = interpreter.get_signature_runner(SIGNATURE)
    images, outputs = runner.get_input_details()[IMAGES], runner.get_output_details()
    names = description.output_names(len(outputs))
    if set(names) != set(outputs):
        raise ValueError(f"outputs that its description lacks: {', '.join(outputs)}")
    check_input(description, tuple(images["shape"][1:]), np.dtype(images["dtype"]).name)

    alone = threading.Lock()  # an interpreter takes one call at a time

    def run(batch: np.ndarray) -> list[np.ndarray]:
        with alone:
            outputs = runner(**{IMAGES: batch})
        return [outputs[name] for name in names]

    return description, run


def _interpreter(path: Path) -> Any:
    facts: dict[str, Any] = {"model_path": str(path), "num_threads": cpu_cores()}
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ModuleNotFoundError:
        pass
    else:
        return Interpreter(**facts)
    try:
        tf = tensorflow("TFLite")
    except UserError:
        raise missing("ai-edge-litert", "tf", "TFLite") from None
    # Without TensorFlow's operations, some of which read and write files.
    resolver = tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    return tf.lite.Interpreter(**facts, experimental_op_resolver_type=resolver)
