"""ONNX in int8: static quantisation by ONNX Runtime's tools, of activations and, channel by channel, of kernels.

Activations are uint8 and kernels int8, as ONNX Runtime's CPU kernels want them. What a convolution, its ReLU and its
pool give has a range of its own: one for all branches of a block would be too coarse for some. The mean over places
and the classifiers are computed in float32, of 256 logits the best two being equal too often; their weights are int8
in the file.

Where a range ends is chosen by what it costs: both methods quantise, and the one that is right more often on images
that it has not seen is taken, of equal ones the one with probabilities nearer to the network's.
"""

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from googlenet_jax.errors import UserError
from googlenet_jax.export.calibration import calibrate
from googlenet_jax.export.target import Options
from googlenet_jax.exported.description import Description
from googlenet_jax.net import Net
from googlenet_jax.system.runtime import cpu_flags

_AT_ONCE = 20  # whose activations are held in memory
_QUANTISED = ["Conv", "Relu", "MaxPool"]
_METHODS = {"MinMax": {}, "Percentile": {"CalibPercentile": 99.999}}


def write_int8(net: Net, model: Any, path: Path, options: Options, description: Description) -> None:
    """Writes a float32 model in int8.

    Args:
      net: the network.
      model: an onnx.ModelProto that takes uint8 crops or floats.
      path: the file to write.
      options: `calibration` names the images.
      description: of the network.

    Raises:
      UserError: if ONNX Runtime is missing, or there are no such images.
    """
    try:
        import onnx
        from onnxruntime import quantization
    except ModuleNotFoundError:
        raise UserError("int8 is made by onnxruntime: pip install 'googlenet-jax[onnx]'") from None

    calibration = calibrate(description, options)
    with _without_advice(), tempfile.TemporaryDirectory(dir=path.parent) as directory:
        files, whole = {}, Path(directory) / "float32.onnx"
        onnx.save(model, whole)
        for method, extra in _METHODS.items():
            files[method] = file = Path(directory) / f"{method}.onnx"
            reader = _reader(quantization, model, calibration.measured, description)
            with contextlib.redirect_stdout(io.StringIO()):  # it tells of its histograms
                quantization.quantize_static(
                    whole,
                    file,
                    reader,
                    op_types_to_quantize=_QUANTISED,
                    per_channel=True,
                    reduce_range=not {"avx512_vnni", "avx_vnni"} & cpu_flags(),  # else products saturate in 16 bits
                    activation_type=quantization.QuantType.QUInt8,
                    weight_type=quantization.QuantType.QInt8,
                    calibrate_method=quantization.CalibrationMethod[method],
                    extra_options={"CalibStridedMinMax": min(_AT_ONCE, len(reader)), **extra},
                )
            quantised = onnx.load(file)
            _store_classifiers_in_int8(quantised)
            onnx.helper.set_model_props(quantised, {prop.key: prop.value for prop in model.metadata_props})
            onnx.save(quantised, file)
        calibration.best("onnx", files, net).replace(path)


@contextlib.contextmanager
def _without_advice() -> Iterator[None]:
    """ONNX Runtime's tools log theirs through the root logger."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(max(level, logging.ERROR))
    try:
        yield
    finally:
        root.setLevel(level)


def _store_classifiers_in_int8(model: Any) -> None:
    """Fully connected layers' weights, (outputs, inputs), as int8 with a scale an output."""
    from onnx import helper, numpy_helper

    graph = model.graph
    kept = {tensor.name: tensor for tensor in graph.initializer}
    for layer in [node for node in graph.node if node.op_type == "Gemm"]:
        tensor = kept[layer.input[1]]
        weights = numpy_helper.to_array(tensor)
        scale = np.maximum(np.abs(weights).max(1), 1e-12) / 127
        numbers = np.round(weights / scale[:, None]).astype(np.int8)
        names = [f"{tensor.name}_{part}" for part in ("int8", "scale", "zero")]
        parts = (numbers, scale.astype(np.float32), np.zeros(len(scale), np.int8))
        graph.initializer.extend(map(numpy_helper.from_array, parts, names))
        graph.initializer.remove(tensor)
        graph.node.insert(0, helper.make_node("DequantizeLinear", names, [tensor.name], f"{tensor.name}_float", axis=0))


def _reader(quantization: Any, model: Any, crops: np.ndarray, description: Description) -> Any:
    """ONNX Runtime's reader of these crops, one at a time, some at once."""
    name = model.graph.input[0].name
    whole = len(crops) // min(_AT_ONCE, len(crops)) * min(_AT_ONCE, len(crops))

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.left: Iterator[int] = iter(range(whole))

        def __len__(self) -> int:
            return whole

        def set_range(self, start_index: int, end_index: int) -> None:
            self.left = iter(range(start_index, end_index))

        def get_next(self) -> dict[str, np.ndarray] | None:
            at = next(self.left, None)
            if at is None:
                return None
            one = crops[at : at + 1].repeat(description.batch or 1, 0)
            as_bytes = description.input == "uint8"
            return {name: one if as_bytes else np.asarray(description.preprocess.normalize(jnp.asarray(one)))}

    return Reader()
