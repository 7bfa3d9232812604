"""Servers of small networks in this process, and clients for them."""

import http.client
import io
import json
import threading
import time
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import uvicorn
from conftest import small_config
from PIL import Image

from googlenet_jax.data.preprocess import make_preprocess
from googlenet_jax.models.make_model import make_model
from googlenet_jax.net import Net
from googlenet_jax.serve.app import make_app
from googlenet_jax.serve.connections import patient_for
from googlenet_jax.serve.limits import Limits
from googlenet_jax.serve.service import Service

LABELS = ["n01 cat, house cat", "dog", "<b>bird</b>", "fish"]


def make_net(seed: int = 0, size: int = 32, **changes: object) -> Net:
    """A network with weights drawn at random, whose answers depend on the picture."""
    config = small_config(dataset__image_size=size, model__blocks=("3a",), **changes)
    model = make_model(config, len(LABELS))
    images = jax.ShapeDtypeStruct((1, size, size, 3), "float32")
    shapes = jax.eval_shape(model.init, jax.random.key(0), images)
    rng = np.random.default_rng(seed)

    def drawn(path: Any, leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        values = rng.normal(0, (2 / max(np.prod(leaf.shape[:-1]), 16)) ** 0.5, leaf.shape).astype(np.float32)
        return np.abs(values) + 0.5 if path[-1].key in ("var", "scale") else values

    variables = jax.tree_util.tree_map_with_path(drawn, shapes)
    return Net(model, variables, LABELS, make_preprocess(config), config, seed)


def image_file(seed: int = 0, size: tuple[int, int] = (48, 40), kind: str = "PNG") -> bytes:
    """An image file of coloured noise, large spots of it."""
    pixels = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    target = io.BytesIO()
    Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR).save(target, kind)
    return target.getvalue()


def form(*files: bytes, field: str = "image", name: str = "a.png") -> tuple[bytes, dict[str, str]]:
    """A form with these files: body and headers."""
    head = f'--xYzZy\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'.encode()
    body = b"".join(head + data + b"\r\n" for data in files) + b"--xYzZy--\r\n"
    return body, {"Content-Type": "multipart/form-data; boundary=xYzZy"}


class Client(SimpleNamespace):
    """A server that runs, and its parts: `service`, `port`, `url`."""

    def ask(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Any:
        """Sends a request; gives status, headers and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return SimpleNamespace(status=answer.status, headers=answer.headers, body=answer.read())
        finally:
            connection.close()

    def classify(self, *files: bytes, query: str = "?format=json") -> tuple[int, Any]:
        """Sends pictures to /api; gives status and JSON."""
        body, headers = form(*files)
        answer = self.ask("POST", f"/api{query}", body, headers)
        return answer.status, json.loads(answer.body)


class Running:
    """Starts servers, and ends them all."""

    def __init__(self) -> None:
        self._ends: list[Any] = []

    def __call__(
        self,
        nets: dict[str, Any],
        ensemble: bool = False,
        limits: dict[str, Any] | None = None,
        most: int = 500,
        **app: Any,
    ) -> Client:
        """A server of these networks, with `most` connections; `limits` are of `Limits`, the rest of `make_app`."""
        chosen = Limits(**({"max_batch": 4, "queue": 16, "threads": 2} | (limits or {})))
        service = Service({name: name for name in nets}, lambda name, newest: nets[name], chosen, ensemble)
        application = make_app(service, app.pop("stop", lambda: None), **app)
        server = uvicorn.Server(
            uvicorn.Config(
                application,
                port=0,
                log_config=None,
                http=patient_for(chosen.deadline, most),
                loop="asyncio",
                ws="none",
                lifespan="off",
            )
        )
        thread = threading.Thread(target=server.run)
        thread.start()
        self._ends.append((server, thread, service))
        while not server.started:
            time.sleep(0.01)
        service.load()
        port = server.servers[0].sockets[0].getsockname()[1]
        return Client(service=service, port=port, url=f"http://127.0.0.1:{port}", nets=nets)

    def end(self) -> None:
        """Ends all of them."""
        for server, thread, service in self._ends:
            server.should_exit = True
            thread.join()
            service.close()
