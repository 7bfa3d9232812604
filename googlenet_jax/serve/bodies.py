"""Request bodies, which come in pieces and are counted before they are kept."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import NamedTuple

from starlette.datastructures import Headers, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from googlenet_jax.serve.service import Service

_FIELDS = 16  # of a form, beside its images


class Upload(NamedTuple):
    """A file that was sent.

    Attributes:
      name: that the client gives it.
      data: its content.
    """

    name: str
    data: bytes


class _Parser(MultiPartParser):
    spool_max_size = 1 << 62  # in memory: it is counted, and a container's disk may be read-only

    def on_part_begin(self) -> None:
        """A part of the form begins."""
        self._charset = "utf-8"  # and none that the client names: of them some raise, some give half characters
        super().on_part_begin()


@contextlib.asynccontextmanager
async def counted(request: Request, service: Service) -> AsyncIterator[AsyncGenerator[bytes, None]]:
    """A body's pieces. What they take of memory is counted until the context ends.

    Args:
      request: whose body was not read.
      service: that counts.

    Yields:
      The pieces. Reading them raises `HTTPException`: 413 for a body that is too large, known from its length where it
      has one, 429 if bodies of others fill the memory, 408 if it does not arrive within the limits' deadline.
    """
    most, mine = service.limits.max_bytes, 0
    # The connection stays open, and the rest of the body comes to nothing: a client that is cut off while it sends
    # does not see why.
    too_large = HTTPException(413, f"a body of more than {most:,} bytes is not taken")

    async def pieces() -> AsyncGenerator[bytes, None]:
        nonlocal mine
        stream, end = request.stream(), asyncio.get_running_loop().time() + service.limits.deadline
        while True:
            try:
                async with asyncio.timeout_at(end):
                    piece = await anext(stream)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise HTTPException(408, "the body did not arrive in time", {"Connection": "close"}) from None
            mine += len(piece)
            service.held += len(piece)
            if mine > most:
                raise too_large
            if service.held > service.limits.held_bytes:
                raise HTTPException(429, "the server is busy, try again", {"Retry-After": "1"})
            yield piece

    if int(request.headers.get("content-length", 0)) > most:
        raise too_large
    try:
        yield pieces()
    finally:
        service.held -= mine


async def whole(pieces: AsyncGenerator[bytes, None]) -> bytes:
    """A body in one."""
    return b"".join([piece async for piece in pieces])


async def read_uploads(headers: Headers, pieces: AsyncGenerator[bytes, None], field: str, most: int) -> list[Upload]:
    """The files of a form's field.

    Args:
      headers: of the request.
      pieces: of its body, multipart/form-data.
      field: name of the field.
      most: files that are taken.

    Returns:
      At least one.

    Raises:
      HTTPException: 400 if there is none, or the body is no form; 413 if there are more.
    """
    try:
        form = await _Parser(headers, pieces, max_files=most, max_fields=_FIELDS).parse()
    except MultiPartException as error:
        status = 413 if error.message.startswith("Too many files") else 400
        raise HTTPException(status, f"not a form that can be read: {error.message}") from None
    async with contextlib.AsyncExitStack() as files:
        for _, value in form.multi_items():
            if isinstance(value, UploadFile):
                files.push_async_callback(value.close)
        found = [
            Upload(value.filename or "", await value.read())
            for value in form.getlist(field)
            if isinstance(value, UploadFile)
        ]
    if not found:
        raise HTTPException(400, f"the form has no file in a field {field!r}: curl -F {field}=@cat.jpg")
    return found
