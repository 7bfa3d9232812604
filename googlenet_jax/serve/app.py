"""The routes, and what stands around them."""

import logging
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from googlenet_jax.serve import api, documents, protocol
from googlenet_jax.serve.middleware import Faults, Guarded, Watched
from googlenet_jax.serve.page import page
from googlenet_jax.serve.service import Service

log = logging.getLogger(__name__)

_MODEL = "/v2/models/{name}"
_VERSION = _MODEL + "/versions/{version}"
_HEALTH = ("/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready")


async def _index(request: Request) -> Response:
    found = page()
    return Response(found.html, media_type="text/html", headers={"Content-Security-Policy": found.policy})


async def _metrics(request: Request) -> Response:
    return PlainTextResponse(request.app.state.service.metrics.text(), media_type="text/plain; version=0.0.4")


def _routes() -> list[Route]:
    get, post = ["GET"], ["POST"]
    table: list[tuple[str, list[str], Callable[..., Any]]] = [
        ("/", get, _index),
        ("/api", post, api.classify),
        ("/status", get, api.status),
        ("/metrics", get, _metrics),
        ("/docs", get, documents.page),
        ("/openapi.json", get, documents.openapi),
        *((path, get, protocol.live if path.endswith("live") else protocol.ready) for path in _HEALTH),
        ("/v2", get, protocol.server),
        *((base, get, protocol.model) for base in (_MODEL, _VERSION)),
        *((base + "/ready", get, protocol.model_ready) for base in (_MODEL, _VERSION)),
        *((base + "/config", get, protocol.model_configuration) for base in (_MODEL, _VERSION)),
        *((base + "/infer", post, protocol.infer) for base in (_MODEL, _VERSION)),
        ("/v2/repository/index", post, protocol.repository),
        ("/v2/repository/models/{name}/load", post, protocol.load),
        ("/v2/repository/models/{name}/unload", post, protocol.unload),
        ("/command/stop", ["GET", "POST"], protocol.stop),
    ]
    return [Route(path, endpoint, methods=methods) for path, methods, endpoint in table]


def make_app(
    service: Service,
    stop: Callable[[], object],
    allow_stop: bool = False,
    token: str = "",
    origins: tuple[str, ...] = (),
) -> Starlette:
    """The ASGI application.

    Args:
      service: what it serves.
      stop: ends the server.
      allow_stop: whether `/command/stop` does that.
      token: that requests have to bring; "": none.
      origins: of other sites whose pages may ask, "*" for all.

    Returns:
      The application.
    """
    routes = _routes()
    paths: dict[Any, str] = {}
    for route in routes:
        paths.setdefault(route.endpoint, route.path)
    around = [Middleware(Watched, service=service, routes=paths)]
    if origins:
        methods, headers = ["GET", "POST"], ["Authorization", "Content-Type", "Inference-Header-Content-Length"]
        around.append(
            Middleware(
                CORSMiddleware,
                allow_origins=origins,
                allow_methods=methods,
                allow_headers=headers,
                expose_headers=["Inference-Header-Content-Length", "Retry-After"],
            )
        )
    if token:
        open_paths = frozenset({"/", "/docs", "/openapi.json", *_HEALTH})
        around.append(Middleware(Guarded, token=token, open_paths=open_paths))
    around.append(Middleware(Faults))
    handlers: dict[Any, Any] = {HTTPException: _refused}
    app = Starlette(routes=routes, middleware=around, exception_handlers=handlers)
    app.router.redirect_slashes = False  # to where the header Host says
    app.state.service, app.state.stop, app.state.allow_stop = service, stop, allow_stop
    return app


async def _refused(request: Request, error: HTTPException) -> Response:
    """What a client did wrong, or what the server cannot do now."""
    if request.scope["path"] == "/api" and not api.wants_json(request):
        return HTMLResponse(api.error_text(error.detail), error.status_code, error.headers)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)
