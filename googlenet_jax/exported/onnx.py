"""ONNX files in ONNX Runtime."""

from pathlib import Path

import numpy as np

from googlenet_jax.exported.description import KEY, Description
from googlenet_jax.exported.opening import Run, missing
from googlenet_jax.system.runtime import cpu_cores


def open_onnx(path: Path) -> tuple[Description, Run]:
    """Loads a file; its description, and what runs it on a CPU."""
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise missing("onnxruntime", "onnx", "ONNX") from None

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cpu_cores()
    options.log_severity_level = 3
    facts = {"providers": ["CPUExecutionProvider"], "enable_fallback": 0}  # of which it would tell on standard output
    session = onnxruntime.InferenceSession(str(path), options, **facts)
    description = Description.from_json(session.get_modelmeta().custom_metadata_map.get(KEY, ""))
    (images,) = session.get_inputs()

    def run(batch: np.ndarray) -> list[np.ndarray]:
        return session.run(None, {images.name: batch})

    return description, run
