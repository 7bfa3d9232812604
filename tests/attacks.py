"""Requests and image files that are damaged at random, and a client that sends bytes as they are."""

import asyncio
import collections
import copy
import io
import json
import random
import struct
from collections.abc import Callable, Iterable

import numpy as np
from PIL import Image
from serving import form, image_file

KINDS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
_ODD = [
    *(None, True, -1, 0, 1.5, 1e308, 1 << 31, 1 << 63, 1 << 64, 10**400, float("nan"), float("inf")),
    *("", "\ud800", "\0", "a" * 1000, "<b>", [], {}, [[]], {"a": {"a": {}}}, [1, "a", None]),
]
_ODD_LINES = [
    *(b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: 99999999999999999999", b"Content-Length: 1e3"),
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: identity"),
    *(b"Host: [", b"Host: a b", b"Host: " + b"h" * 9000, b"Host: \xff", b"Expect: 100-continue", b"Expect: x"),
    *(b"Inference-Header-Content-Length: 7", b"Inference-Header-Content-Length: -7", b"Connection: close"),
    *(b"Connection: upgrade\r\nUpgrade: websocket", b"Upgrade: h2c", b"Content-Encoding: gzip", b"Accept: \xff/*"),
    *(b"Content-Type: multipart/form-data", b"Content-Type: image/png", b"Content-Type: ", b" folded", b"no colon"),
    *(b"Content-Type: multipart/form-data; boundary=", b"Content-Type: multipart/form-data; boundary=" + b"x" * 300),
    *(b"X: " + b"x" * 70_000, b"X: \0", b"Origin: null", b"Authorization: Bearer \xff", b"Cookie: a=b; " * 50),
    *(
        b"Content-Type: multipart/form-data; boundary=xYzZy; charset=" + name
        for name in (b"undefined", b"idna", b"unicode_escape", b"utf-7", b"utf-16", b"zlib", b"\xe9", b"rot13")
    ),
]
_ODD_NAMES = [b"../../etc/passwd", b"<script>", b"a\\ud800", b"\xff\xfe", b"a" * 5000, b"a%0d%0ab: c", b"", b'a\\"b']
_PATHS = [b"/", b"//api", b"/api/", b"/%61pi", b"/api%00", b"/%ff", b"*", b"http://[/api", b"/api?top=%ff&model=%00"]


def tensor_body(size: int, binary: bool, count: int = 1) -> tuple[bytes, dict[str, str]]:
    """A request of the Open Inference Protocol with crops of that size: body and headers."""
    crops = np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    tensor = {"name": "images", "datatype": "UINT8", "shape": list(crops.shape)}
    if not binary:
        return json.dumps({"id": "a", "inputs": [{**tensor, "data": crops.tolist()}]}).encode(), {}
    tensor["parameters"] = {"binary_data_size": crops.size}
    outputs = [{"name": "probabilities", "parameters": {"binary_data": True, "classification": 2}}]
    head = json.dumps({"inputs": [tensor], "outputs": outputs, "parameters": {"timeout": 10**7}}).encode()
    return head + crops.tobytes(), {"Inference-Header-Content-Length": str(len(head))}


def http(method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> bytes:
    """A request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *(f"{k}: {v}" for k, v in (headers or {}).items())]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def seeds(size: int) -> list[bytes]:
    """Requests that are in order."""
    files = [image_file(i, kind=kind) for i, kind in enumerate(KINDS)]
    infer = "/v2/models/small/infer"
    gets = ("/", "/status", "/metrics", "/docs", "/openapi.json", "/health/ready", "/v2", "/v2/models/small")
    return [
        http("POST", "/api?format=json&maps=1&top=2", *form(files[0])),
        http("POST", "/api", *form(*files[:3], name="ä.png")),
        http("POST", "/api?format=json", *form(*files)),
        http("POST", "/api?format=json", files[1], {"Content-Type": "image/png"}),
        http("POST", infer, *tensor_body(size, False)),
        http("POST", infer, *tensor_body(size, True, 2)),
        http("POST", "/v2/repository/index"),
        *(http("GET", path) for path in gets),
        chunked(http("POST", "/api?format=json", *form(files[0]))),
    ]


def chunked(request: bytes) -> bytes:
    """The same request in chunks."""
    head, _, body = request.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.startswith(b"Content-Length")]
    pieces = [body[i : i + 700] for i in range(0, len(body), 700)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return b"\r\n".join([*lines, b"Transfer-Encoding: chunked", b"", chunks + b"0\r\n\r\n"])


def damaged(rng: random.Random, data: bytes) -> bytes:
    """Bytes of which some are others, gone, there twice, or new; or the end is missing."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        at, length = rng.randrange(len(changed) + 1), rng.choice((1, 1, 2, 4, 16, 200))
        what = rng.randrange(6)
        if what == 0 and at < len(changed):
            changed[at] ^= 1 << rng.randrange(8)
        elif what == 1:
            changed[at : at + length] = bytes(rng.choice((0, 255, 10, 13, 32)) for _ in range(length))
        elif what == 2:
            del changed[at : at + length]
        elif what == 3:
            changed[at:at] = changed[at : at + length]
        elif what == 4:
            changed[at:at] = rng.randbytes(length)
        elif rng.random() < 0.2:
            del changed[at:]
    return bytes(changed)


def mutated(rng: random.Random, request: bytes) -> bytes:
    """A request with something wrong."""
    head, _, body = request.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    what = rng.randrange(8)
    if what == 0:
        return damaged(rng, request)
    if what == 1:
        return damaged(rng, head) + b"\r\n\r\n" + body
    if what == 2:
        body = damaged(rng, body)
        if rng.random() < 0.7:  # the length is right, so that it gets further
            lines = [b"Content-Length: %d" % len(body) if b"Content-Length:" in x[:15] else x for x in lines]
    elif what == 3:
        lines.insert(rng.randrange(1, len(lines) + 1), rng.choice(_ODD_LINES))
    elif what == 4:
        odd = rng.choice(_ODD_LINES)
        lines = [x for x in lines if x.partition(b":")[0] != odd.partition(b":")[0]] + [odd]
    elif what == 5:
        method, _, version = lines[0].split(b" ")
        method = rng.choice((method, b"GET", b"HEAD", b"OPTIONS", b"PUT", b"X" * 500))
        lines[0] = b" ".join((method, rng.choice(_PATHS), rng.choice((version, version, b"HTTP/1.0", b"HTTP/9.9"))))
    elif what == 6:
        body = body.replace(b"filename=", rng.choice((b"filename*=", b"Filename=", b"name=", b"x=")), 1)
        body = body.replace(b'"a.png"', b'"' + rng.choice(_ODD_NAMES) + b'"')
        lines = [b"Content-Length: %d" % len(body) if b"Content-Length:" in x[:15] else x for x in lines]
    else:
        return rng.choice((request * 2, request[: rng.randrange(len(request))], request + rng.randbytes(50)))
    return b"\r\n".join([*lines, b"", body])


def odd_json(rng: random.Random, size: int) -> bytes:
    """A request of the Open Inference Protocol in which a value of the JSON is another one."""
    request = json.loads(tensor_body(size, False)[0])
    tensor = request["inputs"][0]
    if rng.random() < 0.5:
        tensor |= {"datatype": "BYTES", "shape": [1], "data": ["aaaa"]}
    request |= {"parameters": {"timeout": 1e6, "binary_data_output": True}, "outputs": [{"name": "probabilities"}]}
    request["outputs"][0]["parameters"] = {"classification": 1, "binary_data": False}
    tensor["parameters"] = {}
    places = [request, request["parameters"], tensor, request["outputs"][0], request["outputs"][0]["parameters"]]
    place, odd = rng.choice([(p, k) for p in places for k in [*p, "binary_data_size"]]), rng.choice(_ODD)
    place[0][place[1]] = copy.deepcopy(odd)
    if isinstance(tensor["data"], list) and tensor["data"] and rng.random() < 0.3:
        tensor["data"][rng.randrange(len(tensor["data"]))] = rng.choice(_ODD)
    body = json.dumps(request).encode()
    if rng.random() < 0.1:
        body = rng.choice((b"[" * 100_000, b'{"inputs":' * 20_000, b"9" * 100_000, b'"' + b"\\u0000" * 1000, b"nul"))
    return http("POST", "/v2/models/small/infer", body)


def requests(rng: random.Random, size: int) -> Iterable[bytes]:
    """Mutated requests without end; the model takes crops of that size."""
    good = seeds(size)
    while True:
        yield odd_json(rng, size) if rng.random() < 0.2 else mutated(rng, rng.choice(good))


def images(rng: random.Random) -> Iterable[bytes]:
    """Requests without end that send a mutated image."""
    files = [image_file(i, kind=kind) for i, kind in enumerate(KINDS)]
    for options in ({"progressive": True}, {"quality": 100, "subsampling": 0}, {"optimize": True}):
        target = io.BytesIO()
        Image.open(io.BytesIO(files[0])).save(target, "JPEG", **options)
        files.append(target.getvalue())
    for kind in ("GIF", "PNG", "WEBP", "TIFF"):
        target, frames = io.BytesIO(), [Image.new("RGB", (48, 40), (i * 50, 0, 0)) for i in range(4)]
        frames[0].save(target, kind, save_all=True, append_images=frames[1:])
        files.append(target.getvalue())
    while True:
        data = rng.choice(files)
        if rng.random() < 0.3:  # sizes lie in the first bytes
            at, odd = rng.randrange(8, 200), rng.choice((0, 1, 255, 20_000, 65_535, 1 << 31, (1 << 32) - 1))
            value = struct.pack(rng.choice("<>") + "I", odd)[: rng.choice((2, 4))]
            data = data[:at] + value + data[at + len(value) :]
        if rng.random() < 0.8:
            data = data[:60] + damaged(rng, data[60:]) if rng.random() < 0.5 else damaged(rng, data)
        yield http("POST", "/api?format=json", data or b"x", {"Content-Type": "image/jpeg", "Connection": "close"})


async def exchange(port: int, data: bytes, limit: float) -> str:
    """Sends bytes as they are; gives the first answer's status, "closed" without one, "hangs" if there is neither."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        async with asyncio.timeout(limit):
            line = await reader.readline()
            while line.startswith(b"HTTP/1.1 100"):
                await reader.readline()
                line = await reader.readline()
        return line.split(b" ")[1].decode() if line.startswith(b"HTTP/1.1 ") else "closed" if not line else repr(line)
    except TimeoutError:
        return "hangs"
    except ConnectionError:
        return "closed"
    finally:
        writer.close()


def attack(
    port: int, cases: Iterable[bytes], limit: float, told: Callable[[str, bytes], object] = lambda *_: None
) -> collections.Counter[str]:
    """Sends many requests, some at a time.

    Args:
      port: of the server on this machine.
      cases: what is sent, each on a connection of its own.
      limit: seconds that an answer may take.
      told: of each outcome and what was sent.

    Returns:
      How often each outcome of `exchange` came.
    """
    counts: collections.Counter[str] = collections.Counter()
    todo = iter(cases)

    async def worker() -> None:
        for case in todo:
            outcome = await exchange(port, case, limit)
            counts[outcome] += 1
            told(outcome, case)

    async def workers() -> None:
        await asyncio.gather(*(worker() for _ in range(48)))

    asyncio.run(workers())
    return counts
