"""The description of the routes, for programs as OpenAPI 3.1 and for people as a page."""

import html
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from googlenet_jax.serve.metrics import version

_IMAGE = {"type": "string", "format": "binary"}
_TEXT = {"schema": {"type": "string"}}
_JSON = {"application/json": {"schema": {"type": "object"}}}
_TENSORS = {**_JSON, "application/octet-stream": {"schema": _IMAGE}}
# Path, method, what it does, parameters of the query or path, and the body.
_ROUTES: tuple[tuple[str, str, str, dict[str, str], dict[str, Any]], ...] = (
    (
        "/api",
        "post",
        "Classifies images. Answers label:probability<br/> for each class, as Apache SINGA's serve.py did, or JSON.",
        {
            "format": "json for JSON; so does the header Accept: application/json",
            "top": "classes to name",
            "model": "name of the model; without it the first",
            "maps": "1: class activation maps too, in JSON",
        },
        {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"image": {"type": "array", "items": _IMAGE}},
                    "required": ["image"],
                }
            },
            "image/*": {"schema": _IMAGE},
            "application/octet-stream": {"schema": _IMAGE},
        },
    ),
    ("/status", "get", "How the server is doing, and its models.", {}, {}),
    ("/metrics", "get", "Counts and times for Prometheus.", {}, {}),
    ("/health/live", "get", "200 while the process runs.", {}, {}),
    ("/health/ready", "get", "200 while requests are taken, else 503.", {}, {}),
    ("/v2", "get", "Open Inference Protocol: the server.", {}, {}),
    ("/v2/health/live", "get", "As /health/live.", {}, {}),
    ("/v2/health/ready", "get", "As /health/ready.", {}, {}),
    ("/v2/models/{name}", "get", "A model's tensors.", {"name": "of the model"}, {}),
    ("/v2/models/{name}/ready", "get", "Whether the model takes requests.", {"name": "of the model"}, {}),
    ("/v2/models/{name}/config", "get", "The model as Triton's configuration.", {"name": "of the model"}, {}),
    (
        "/v2/models/{name}/infer",
        "post",
        "Classifies the tensor images: UINT8 crops (n, s, s, 3) or BYTES of image files (n), as JSON (bytes in base64) "
        "or binary. The output probabilities is FP32, or with the parameter classification text.",
        {"name": "of the model"},
        _TENSORS,
    ),
    ("/v2/repository/index", "post", "The models that there are.", {}, {}),
    (
        "/v2/repository/models/{name}/load",
        "post",
        "Reads a model's checkpoint again, without losing a request.",
        {"name": "of the model"},
        {},
    ),
    ("/command/stop", "post", "Ends the server, from this machine and with --allow_stop.", {}, {}),
)
# What comes back other than JSON, by path; an error of /api is a line of text unless JSON is asked for.
_ANSWERS: dict[str, dict[str, Any]] = {
    "/api": {"text/html": _TEXT, **_JSON},
    "/metrics": {"text/plain": _TEXT},
    "/v2/models/{name}/infer": _TENSORS,
}
_ERRORS = {
    "400": "what was sent cannot be read",
    "401": "no token, or another",
    "403": "what changes the server is not taken from a page, nor its end from another machine",
    "404": "no such model or path",
    "408": "the body did not arrive in time",
    "413": "too many bytes, pixels or images",
    "415": "no form and no image",
    "429": "the queue is full; the header Retry-After says when to try again",
    "503": "not ready, or stopping",
    "504": "the deadline passed",
}


def description() -> dict[str, Any]:
    """The routes as an OpenAPI 3.1 document."""
    paths: dict[str, Any] = {}
    for path, method, text, parameters, body in _ROUTES:
        error = {"description": "error", "content": _ANSWERS["/api"] if path == "/api" else _JSON}
        done = {"description": "done", "content": _ANSWERS.get(path, _JSON)}
        operation: dict[str, Any] = {"summary": text, "responses": {"200": done, "default": error}}
        if parameters:
            operation["parameters"] = [
                {
                    "name": name,
                    "in": "path" if f"{{{name}}}" in path else "query",
                    "required": f"{{{name}}}" in path,
                    "description": its,
                    "schema": {"type": "string"},
                }
                for name, its in parameters.items()
            ]
        if body:
            operation["requestBody"] = {"required": True, "content": body}
        if method == "post":
            operation["responses"] |= {status: {**error, "description": its} for status, its in _ERRORS.items()}
        paths.setdefault(path, {})[method] = operation
    return {"openapi": "3.1.0", "info": {"title": "googlenet_jax", "version": version()}, "paths": paths}


async def openapi(request: Request) -> Response:
    """`/openapi.json`."""
    return JSONResponse(description())


async def page(request: Request) -> Response:
    """`/docs`: the same to read."""
    rows = "".join(
        f"<h2><code>{method.upper()} {html.escape(path)}</code></h2><p>{html.escape(text)}</p>"
        + (f"<dl>{_definitions(parameters)}</dl>" if parameters else "")
        for path, method, text, parameters, _ in _ROUTES
    )
    style = (
        ":root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;"
        "padding:0 1rem}h2{font-size:1rem;margin:2rem 0 0}dt{font-family:monospace}p{margin:.25rem 0}"
    )
    text = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>googlenet_jax: routes</title><style>{style}</style><h1>Routes</h1>"
        f'<p>For programs: <a href="/openapi.json">openapi.json</a>. From a terminal: '
        f"<code>curl -F image=@cat.jpg {html.escape(str(request.base_url))}api</code></p>{rows}"
        f"<h2>Errors</h2><p>A line of JSON, <code>error</code>; of /api a line of text, unless JSON is asked for.</p>"
        f"<dl>{_definitions(_ERRORS)}</dl></html>"
    )
    policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    return HTMLResponse(text, headers={"Content-Security-Policy": policy})


def _definitions(table: dict[str, str]) -> str:
    return "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd>" for name, text in table.items())
