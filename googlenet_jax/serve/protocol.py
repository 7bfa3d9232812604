"""The Open Inference Protocol v2 over HTTP, as tritonclient and KServe speak it; Triton's model repository with it."""

import asyncio
import logging
import re
from typing import Any

import numpy as np
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from googlenet_jax.errors import reason
from googlenet_jax.serve import tensors
from googlenet_jax.serve.answers import failure
from googlenet_jax.serve.batcher import Answer
from googlenet_jax.serve.bodies import counted, whole
from googlenet_jax.serve.metrics import version
from googlenet_jax.serve.models import Model
from googlenet_jax.serve.service import Service

log = logging.getLogger(__name__)

_EXTENSIONS = ["binary_tensor_data", "classification", "model_configuration", "model_repository"]
_JSON_LENGTH = "inference-header-content-length"
_IS_ADDRESS = re.compile(r"(localhost|[0-9.]+|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?")


async def server(request: Request) -> Response:
    """What server this is."""
    return JSONResponse({"name": "googlenet_jax", "version": version(), "extensions": _EXTENSIONS})


async def live(request: Request) -> Response:
    """Whether the process is well."""
    return JSONResponse({"live": True})


async def ready(request: Request) -> Response:
    """Whether it takes requests: 200 or 503."""
    problem = request.app.state.service.problem()
    if problem:
        raise HTTPException(503, problem)
    return JSONResponse({"ready": True})


def _model(request: Request) -> Model:
    model: Model = request.app.state.service.model(request.path_params["name"])
    if request.path_params.get("version", _version(model)) != _version(model):
        raise HTTPException(404, f"of this model there is version {_version(model)} alone")
    return model


def _version(model: Model) -> str:
    return str(model.facts.step)


async def model_ready(request: Request) -> Response:
    """Whether a model takes requests."""
    _model(request)
    return await ready(request)


async def model(request: Request) -> Response:
    """A model's tensors."""
    found = _model(request)
    size = found.image_size
    return JSONResponse(
        {
            "name": found.name,
            "versions": [_version(found)],
            "platform": found.facts.runtime,
            "inputs": [{"name": tensors.INPUT, "datatype": "UINT8", "shape": [-1, size, size, 3]}],
            "outputs": [{"name": tensors.OUTPUT, "datatype": "FP32", "shape": [-1, len(found.net.labels)]}],
        }
    )


async def model_configuration(request: Request) -> Response:
    """The same as Triton's configuration has it."""
    found = _model(request)
    size = found.image_size
    return JSONResponse(
        {
            "name": found.name,
            "platform": found.facts.runtime,
            "max_batch_size": request.app.state.service.limits.queue,
            "input": [{"name": tensors.INPUT, "data_type": "TYPE_UINT8", "dims": [size, size, 3]}],
            "output": [{"name": tensors.OUTPUT, "data_type": "TYPE_FP32", "dims": [len(found.net.labels)]}],
        }
    )


async def infer(request: Request) -> Response:
    """Classifies a tensor of crops, or of encoded images."""
    service: Service = request.app.state.service
    found = _model(request)
    if request.headers.get("content-encoding", "identity") != "identity":
        raise HTTPException(415, "compressed bodies are not taken")
    length = request.headers.get(_JSON_LENGTH)
    if length is not None and not (length.isascii() and length.isdecimal() and len(length) < 12):
        raise HTTPException(400, "Inference-Header-Content-Length: a number of bytes")
    async with counted(request, service) as pieces:
        body = await whole(pieces)
        try:  # in a thread, since JSON of many pixels takes its time, and in turn, since it takes memory
            async with service.parsing:
                inference = await asyncio.to_thread(
                    tensors.parse, body, None if length is None else int(length), found.image_size, service.limits.queue
                )
        except tensors.TensorError as error:
            raise HTTPException(400, str(error)) from None
        answers = await service.classify(request, found, inference.images, seconds=inference.seconds)
    rows = []
    for _, answer in answers:
        if not isinstance(answer, Answer):
            raise failure(answer)  # a tensor has no place for a single image's error
        rows.append(answer.probabilities)
    content, json_length = tensors.answer(
        inference, found.name, _version(found), found.net.labels, np.stack(rows).astype(np.float32)
    )
    if json_length is None:
        return Response(content, media_type="application/json")
    return Response(content, media_type="application/octet-stream", headers={_JSON_LENGTH: str(json_length)})


async def repository(request: Request) -> Response:
    """The models that there are."""
    service: Service = request.app.state.service
    models = service.models
    entries: list[dict[str, Any]] = []
    for name in service.names:
        there = {"version": _version(models[name]), "state": "READY"} if name in models else {"state": "LOADING"}
        entries.append({"name": name, "reason": "", **there})
    return JSONResponse(entries)


async def load(request: Request) -> Response:
    """Reads a model's checkpoint again, and puts what is there now to use; nothing that was admitted is lost."""
    _from_here(request)
    service: Service = request.app.state.service
    name = service.model(request.path_params["name"]).name
    try:
        async with service.reloading:  # one thread waits, the others are there for requests
            await asyncio.to_thread(service.load, [name])
    except Exception as error:  # a file that is changed under us can raise any
        log.error("%s is not loaded again: %s", name, reason(error, 400))
        raise HTTPException(400, f"not loaded again: {reason(error, 400)}") from None
    return JSONResponse({})


async def unload(request: Request) -> Response:
    """Is not done."""
    raise HTTPException(400, "models are not unloaded")


def _from_here(request: Request) -> None:
    """No page may send what changes the server, which browsers would let one of any site.

    Browsers say by the headers Origin and Sec-Fetch-Site who asks, but not in each request: not where a page asks by
    GET or HEAD, without encryption, at a name of its own that was made to mean this machine. That name is in the header
    Host.
    """
    site = request.headers.get("sec-fetch-site", "none")  # as where a person typed the address
    if "origin" in request.headers or site != "none":
        raise HTTPException(403, "not from a page")
    host = request.headers.get("host", "")
    if request.method != "POST" and not _IS_ADDRESS.fullmatch(host):
        raise HTTPException(403, "GET is taken at localhost or an address, not at a name; POST is at any")


async def stop(request: Request) -> Response:
    """Ends the server as SIGTERM does; as SINGA's agent answered."""
    _from_here(request)
    if not request.app.state.allow_stop:
        raise HTTPException(404, "googlenet serve was started without --allow_stop")
    if request.client is None or request.client.host not in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
        raise HTTPException(403, "from this machine alone")
    request.app.state.stop()
    return JSONResponse({"result": "message", "message": "stopping"})
