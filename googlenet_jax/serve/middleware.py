"""Around every request: the access log, counts, security's headers, the token."""

import hmac
import json
import logging
import time
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from googlenet_jax.errors import shown
from googlenet_jax.serve.service import Service

log = logging.getLogger(__name__)
access_log = logging.getLogger("googlenet_jax.serve.access")

_LEFT = 499  # as nginx calls a client that did not wait
_MOST_SHOWN = 256  # characters of a path
_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}


class Watched:
    """Logs each request as a line of JSON, and counts it.

    Args:
      app: what answers.
      service: whose metrics count.
      routes: of each endpoint its path's template, which metrics go by.
    """

    def __init__(self, app: ASGIApp, service: Service, routes: Mapping[Any, str]):
        self._app, self._service, self._routes = app, service, routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status, sent = time.monotonic(), 500, 0

        async def watched_send(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
                if self._service.stopping:  # so that the client asks another server the next time
                    headers["Connection"] = "close"
            sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, watched_send)
        except ClientDisconnect:
            status = _LEFT
        finally:
            seconds = time.monotonic() - start
            route = self._routes.get(scope.get("endpoint"), "other")
            method = scope["method"] if scope["method"] in ("GET", "POST", "HEAD", "OPTIONS") else "other"
            self._service.metrics.request(method, route, status, seconds)
            line = {
                "time": round(time.time(), 3),
                "client": (scope.get("client") or ("",))[0],
                "method": shown(scope["method"], 20),
                "path": shown(scope["path"], _MOST_SHOWN),
                "status": status,
                "bytes": sent,
                "ms": round(1e3 * seconds, 1),
            }
            access_log.info("%s", json.dumps(line))


class Faults:
    """Answers for what goes wrong in the server, within what all answers get; the traceback is in the log.

    Args:
      app: what answers.
    """

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        begun = False

        async def noticing(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noticing)
        except ClientDisconnect:
            raise
        except Exception:
            if begun or scope["type"] != "http":
                raise
            log.exception("%s %s", scope["method"], shown(scope["path"], _MOST_SHOWN))
            await JSONResponse({"error": "a fault of the server, see its log"}, 500)(scope, receive, send)


class Guarded:
    """Asks for a bearer token on all paths but those that anybody may see.

    Args:
      app: what answers.
      token: that is asked for.
      open_paths: that need none.
    """

    def __init__(self, app: ASGIApp, token: str, open_paths: frozenset[str]):
        self._app, self._wanted, self._open = app, f"Bearer {token}".encode(), open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http" and scope["path"] not in self._open and scope["method"] != "OPTIONS":
            given = Headers(scope=scope).get("authorization", "").encode("latin-1")
            if not hmac.compare_digest(given, self._wanted):
                headers = {"WWW-Authenticate": "Bearer"}
                refused = JSONResponse({"error": "no token, or not this server's"}, 401, headers)
                await refused(scope, receive, send)
                return
        await self._app(scope, receive, send)
