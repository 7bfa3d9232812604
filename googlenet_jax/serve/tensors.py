"""Tensors of the Open Inference Protocol v2, as JSON and in its binary extension.

Protocol: https://github.com/kserve/open-inference-protocol; binary data and classification: Triton's extensions of it.
"""

import base64
import binascii
import itertools
import json
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from googlenet_jax.classifier import likeliest
from googlenet_jax.errors import shown

INPUT, OUTPUT = "images", "probabilities"
# In JSON; a list or object counts as four, as much as it takes of memory. While Python parses it no other thread runs.
_MOST_VALUES = 8_000_000
_HINT = "binary tensors need the header Inference-Header-Content-Length"


class TensorError(Exception):
    """A request that makes no sense; the message says why in a line."""


class Output(NamedTuple):
    """What a client wants of the network.

    Attributes:
      binary: behind the JSON, not in it.
      classes: so many likeliest ones as text "probability:index:label"; 0: the numbers of all.
    """

    binary: bool
    classes: int


class Inference(NamedTuple):
    """A request.

    Attributes:
      id: that the client gave it, or None.
      images: encoded files, or crops (s, s, 3) uint8.
      output: what is wanted.
      seconds: after which the answer comes too late; None: whenever.
    """

    id: str | None
    images: list[bytes | np.ndarray]
    output: Output
    seconds: float | None


def parse(body: bytes, json_length: int | None, size: int, most: int) -> Inference:
    """Reads a request.

    Args:
      body: JSON, and what lies behind it.
      json_length: bytes of the JSON, from the header Inference-Header-Content-Length; None: all.
      size: side of the model's crops, pixels.
      most: images that are taken.

    Returns:
      The request.

    Raises:
      TensorError: if it makes no sense.
    """
    if json_length is not None and not 0 <= json_length <= len(body):
        raise TensorError("Inference-Header-Content-Length is more than the body has")
    head, tail = (body, b"") if json_length is None else (body[:json_length], memoryview(body)[json_length:])
    if head.count(b",") + 4 * (head.count(b"[") + head.count(b"{")) > _MOST_VALUES:
        raise TensorError("so many numbers are not taken as JSON; send the tensor in binary form")
    try:
        request = json.loads(head)
    except (ValueError, RecursionError):
        raise TensorError(f"the body is no JSON; {_HINT}") from None
    if not isinstance(request, dict):
        raise TensorError("the body is no JSON object")
    inputs = request.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise TensorError(f"inputs: one tensor is asked for, {INPUT}")
    if inputs[0].get("name") != INPUT:
        raise TensorError(f"the input's name is {INPUT}")
    parameters = _object(request, "parameters")
    timeout = parameters.get("timeout")  # microseconds, as Triton has it
    if timeout is not None and not (_is_number(timeout) and 0 < timeout < 1e15):
        raise TensorError("parameters.timeout: microseconds, above 0")
    id = request.get("id")
    if id is not None and (not isinstance(id, str) or len(id) > 256):
        raise TensorError("id: a text of at most 256 characters")
    output = _output(request, bool(parameters.get("binary_data_output", False)))
    return Inference(id, _images(inputs[0], tail, size, most), output, None if timeout is None else timeout / 1e6)


def _object(parent: dict[str, Any], name: str) -> dict[str, Any]:
    found = parent.get(name, {})
    if not isinstance(found, dict):
        raise TensorError(f"{name}: no JSON object")
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _output(request: dict[str, Any], binary: bool) -> Output:
    outputs = request.get("outputs", [{"name": OUTPUT}])
    if not isinstance(outputs, list) or len(outputs) != 1 or not isinstance(outputs[0], dict):
        raise TensorError(f"outputs: there is one, {OUTPUT}")
    if outputs[0].get("name") != OUTPUT:
        raise TensorError(f"the output's name is {OUTPUT}")
    parameters = _object(outputs[0], "parameters")
    classes = parameters.get("classification", 0)
    if not isinstance(classes, int) or isinstance(classes, bool) or classes < 0:
        raise TensorError("classification: a number of classes")
    return Output(bool(parameters.get("binary_data", binary)), classes)


def _images(tensor: dict[str, Any], tail: bytes | memoryview, size: int, most: int) -> list[bytes | np.ndarray]:
    shape, kind = tensor.get("shape"), tensor.get("datatype")
    if not isinstance(shape, list) or not all(type(n) is int and 0 <= n < 1 << 31 for n in shape) or not shape:
        raise TensorError("shape: a list of whole numbers")
    length = _object(tensor, "parameters").get("binary_data_size")
    if length is None and len(tail):
        raise TensorError("there are bytes behind the JSON, but the input has no binary_data_size")
    if length is not None and length != len(tail):
        raise TensorError(f"binary_data_size is {shown(str(length), 20)}, but {len(tail)} bytes lie behind the JSON")
    if not 1 <= shape[0] <= most:
        raise TensorError(f"{shape[0]} images: 1 to {most} a request")
    if kind == "UINT8":
        if shape[1:] != [size, size, 3]:
            raise TensorError(f"UINT8 {INPUT} have the shape (n, {size}, {size}, 3), RGB, not {shown(str(shape), 60)}")
        return list(_pixels(tensor.get("data"), tail, shape, length is not None))
    if kind == "BYTES":
        if shape[1:] not in ([], [1]):
            raise TensorError(f"BYTES {INPUT} have the shape (n), not {shown(str(shape), 60)}")
        files = _split(tail) if length is not None else _decoded(tensor.get("data"))
        if len(files) != shape[0]:
            raise TensorError(f"there are {len(files)} images, but the shape says {shape[0]}")
        return list(files)
    raise TensorError(f"{INPUT} are UINT8 crops (n, {size}, {size}, 3), or BYTES of image files (n)")


def _pixels(data: Any, tail: bytes | memoryview, shape: list[int], binary: bool) -> np.ndarray:
    count = int(np.prod(shape, dtype=np.int64))
    if binary:
        if len(tail) != count:
            raise TensorError(f"the shape asks for {count} bytes, there are {len(tail)}")
        return np.frombuffer(tail, np.uint8).reshape(shape)
    try:
        for _ in shape[1:]:
            if isinstance(data, list) and data and isinstance(data[0], list):
                data = list(itertools.chain.from_iterable(data))
        # Not by NumPy, which makes room for the longest text in each place where there are texts among the numbers.
        if not isinstance(data, list) or len(data) != count:
            raise ValueError
        return np.frombuffer(bytes(data), np.uint8).reshape(shape)
    except (ValueError, TypeError):
        raise TensorError(f"data: {count} whole numbers from 0 to 255, flat or nested as the shape says") from None


def _split(tail: bytes | memoryview) -> list[bytes]:
    """Texts in the binary form: each after its length, 4 bytes, the lowest first."""
    found, at = [], 0
    while at < len(tail):
        if at + 4 > len(tail):
            raise TensorError("BYTES: a length is cut off")
        (length,) = struct.unpack_from("<I", tail, at)
        at += 4
        if at + length > len(tail):
            raise TensorError("BYTES: an element is cut off")
        found.append(bytes(tail[at : at + length]))
        at += length
    return found


def _decoded(data: Any) -> list[bytes]:
    """Image files in JSON, base64."""
    flat = (
        [item for row in data for item in (row if isinstance(row, list) else [row])] if isinstance(data, list) else []
    )
    try:
        return [base64.b64decode(text, validate=True) for text in flat]
    except (binascii.Error, ValueError, TypeError):
        raise TensorError("data: each image is a text, its file in base64") from None


def answer(
    inference: Inference, model: str, version: str, labels: Sequence[str], probabilities: np.ndarray
) -> tuple[bytes, int | None]:
    """Writes an answer.

    Args:
      inference: the request.
      model, version: that answered.
      labels: class names by index.
      probabilities: (n, classes) float32.

    Returns:
      (body, bytes of its JSON if more lies behind it).
    """
    tail = b""
    output: dict[str, Any] = {"name": OUTPUT}
    if inference.output.classes:
        indices = likeliest(probabilities, inference.output.classes)
        texts = [f"{row[i]!s}:{i}:{labels[i]}" for row, its in zip(probabilities, indices, strict=True) for i in its]
        output |= {"datatype": "BYTES", "shape": list(indices.shape), "data": texts}
        if inference.output.binary:
            encoded = [text.encode() for text in texts]
            tail = b"".join(struct.pack("<I", len(text)) + text for text in encoded)
    else:
        output |= {"datatype": "FP32", "shape": list(probabilities.shape)}
        if inference.output.binary:
            tail = np.ascontiguousarray(probabilities, "<f4").tobytes()
        else:
            output["data"] = probabilities.ravel().tolist()
    if inference.output.binary:
        output.pop("data", None)
        output["parameters"] = {"binary_data_size": len(tail)}
    head: dict[str, Any] = {"model_name": model, "model_version": version, "outputs": [output]}
    if inference.id is not None:
        head["id"] = inference.id
    encoded_head = json.dumps(head).encode()
    return encoded_head + tail, len(encoded_head) if inference.output.binary else None
