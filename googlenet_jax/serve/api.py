"""`POST /api`: pictures from a form, as Apache SINGA's serve.py took them (tag 2.0.0), and more of them; `/status`."""

import html
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from googlenet_jax.serve.answers import as_json, failure, singa_text
from googlenet_jax.serve.batcher import Answer
from googlenet_jax.serve.bodies import Upload, counted, read_uploads, whole
from googlenet_jax.serve.metrics import version
from googlenet_jax.serve.service import Service

_FIELD = "image"
_MOST_MAPS = 2000  # of a request; no other request is looked at while their numbers are written


def wants_json(request: Request) -> bool:
    """Whether the client asks for JSON, by `?format=json` or the header Accept."""
    if (format := request.query_params.get("format")) is not None:
        return format == "json"
    return "application/json" in request.headers.get("accept", "")


async def classify(request: Request) -> Response:
    """Answers for each image of the form's field `image`, or for the one image that is the body."""
    service: Service = request.app.state.service
    if request.query_params.get("format", "json") not in ("json", "html"):
        raise HTTPException(400, "format: json or html is asked for")
    model = service.model(request.query_params.get("model"))
    top = _number(request, "top", service.limits.top, len(model.net.labels))
    json = wants_json(request)
    maps = top if json and model.has_maps and _number(request, "maps", 0, 1) else 0
    async with counted(request, service) as pieces:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "multipart/form-data":
            uploads = await read_uploads(request.headers, pieces, _FIELD, service.limits.queue)
        elif kind.startswith("image/") or kind in ("", "application/octet-stream"):
            uploads = [Upload("", await whole(pieces))]
        else:
            raise HTTPException(
                415,
                f"send images as a form, curl -F {_FIELD}=@cat.jpg, or one as the body, curl -T cat.jpg -X POST; "
                "addresses of images are not fetched",
            )
        if maps * len(uploads) > _MOST_MAPS:
            raise HTTPException(413, f"{maps * len(uploads):,} maps: at most {_MOST_MAPS:,} a request; lower top")
        answers = await service.classify(request, model, [upload.data for upload in uploads], maps)
    failures = {i: failure(answer) for i, (_, answer) in enumerate(answers) if not isinstance(answer, Answer)}
    if len(failures) == len(answers):
        raise failures[0]
    if json:
        found: list[dict[str, Any]] = [
            as_json(upload.name, ticket, answer, top)
            if isinstance(answer, Answer)
            else {"file": upload.name, "error": failures[i].detail}
            for i, (upload, (ticket, answer)) in enumerate(zip(uploads, answers, strict=True))
        ]
        return JSONResponse({"model": model.name, "predictions": found})
    texts = [
        singa_text(model.net.labels, answer, top) if isinstance(answer, Answer) else error_text(failures[i].detail)
        for i, (_, answer) in enumerate(answers)
    ]
    return HTMLResponse("<hr/>".join(texts))


def error_text(detail: str) -> str:
    """An error as a client of SINGA's shows it."""
    return f"Sorry, {html.escape(detail, quote=False)}<br/>"


def _number(request: Request, name: str, default: int, most: int) -> int:
    """A whole number of the query."""
    text = request.query_params.get(name)
    if text is None:
        return min(default, most)
    least = 0 if name == "maps" else 1
    if not (text.isascii() and text.isdecimal() and len(text) < 8 and int(text) >= least):
        raise HTTPException(400, f"{name}: a whole number of {least} or more is asked for")
    return min(int(text), most)


async def status(request: Request) -> Response:
    """How the server is doing, for the page."""
    service: Service = request.app.state.service
    limits, models = service.limits, service.models
    return JSONResponse(
        {
            "version": version(),
            "ready": not service.problem(),
            "images_per_second": round(service.metrics.images_per_second(), 1),
            "queue": {"waiting": service.intake.waiting, "most": limits.queue},
            "limits": {"bytes": limits.max_bytes, "pixels": limits.max_pixels, "images": limits.queue},
            "models": [
                {
                    "name": model.name,
                    "image_size": model.image_size,
                    "classes": len(model.net.labels),
                    "maps": model.has_maps,
                    **model.facts._asdict(),
                }
                for model in models.values()
            ],
        }
    )
