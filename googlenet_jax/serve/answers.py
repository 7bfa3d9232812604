"""What the routes answer, as text and JSON."""

import html
from collections.abc import Sequence
from typing import Any

from starlette.exceptions import HTTPException

from googlenet_jax.classifier import likeliest
from googlenet_jax.data.pictures.picture import TooManyPixelsError
from googlenet_jax.errors import UserError
from googlenet_jax.serve.batcher import Answer, DeviceError, Ticket, TooLateError
from googlenet_jax.serve.intake import Intake

_DIGITS = 4  # significant, of a class activation map's numbers


def failure(error: BaseException) -> HTTPException:
    """The status and the line for an image without an answer."""
    if isinstance(error, TooManyPixelsError):
        return HTTPException(413, _without_name(error))
    if isinstance(error, UserError):
        return HTTPException(400, _without_name(error))
    if isinstance(error, TooLateError):
        return HTTPException(504, "the deadline passed before the network saw the image")
    if isinstance(error, DeviceError):
        return HTTPException(503, "the device failed, try again", {"Retry-After": "2"})
    raise error


def _without_name(error: UserError) -> str:
    return str(error).removeprefix(f"{Intake.NAME}: ")


def singa_text(labels: Sequence[str], answer: Answer, top: int) -> str:
    """One image's answer as SINGA's serve.py has it: `label:probability<br/>` for each class."""
    classes = likeliest(answer.probabilities, top)
    # str of a float32 has the digits that numpy has for it, as there.
    return "".join(f"{html.escape(labels[i], quote=False)}:{answer.probabilities[i]!s}<br/>" for i in classes)


def as_json(name: str, ticket: Ticket, answer: Answer, top: int) -> dict[str, Any]:
    """One image's answer.

    Args:
      name: of the file, as the client gave it.
      ticket: the image's.
      answer: what the network says.
      top: classes that are named.

    Returns:
      {"file", "labels", "classes", "probabilities", "width", "height", "box": left, top, right, bottom of what the
      network saw by width and height, "maps": rows of the class activation map of each label, if they were asked for}.
    """
    net = ticket.model.net
    classes = likeliest(answer.probabilities, top)
    width, height = ticket.shape
    left, upper, right, lower = net.preprocess.box(width, height)
    found: dict[str, Any] = {
        "file": name,
        "labels": [net.labels[i] for i in classes],
        "classes": [int(i) for i in classes],
        "probabilities": [float(answer.probabilities[i]) for i in classes],
        "width": width,
        "height": height,
        "box": [left / width, upper / height, right / width, lower / height],
    }
    if answer.maps is not None:
        found["maps"] = [[[float(f"{v:.{_DIGITS}g}") for v in row] for row in its] for its in answer.maps]
    return found
