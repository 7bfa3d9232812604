"""What a server tells Prometheus, and how fast it has been of late."""

import platform
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata

import jax
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from googlenet_jax.serve.models import Facts, Model

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LATELY = 10.0  # seconds


def version() -> str:
    """Of this project."""
    return metadata.version("googlenet-jax")


class Metrics:
    """Counts and times of one server, in a registry of its own.

    Args:
      depth: gives the number of images that are admitted and have no answer yet.
      models: gives the models by name.
    """

    def __init__(self, depth: Callable[[], int], models: Callable[[], Mapping[str, Model]]):
        self._registry = registry = CollectorRegistry()
        self._models = models
        self._requests = Counter(
            "googlenet_requests", "Requests by route and status", ["method", "route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "googlenet_request_seconds", "Time of a request", ["route"], buckets=_SECONDS, registry=registry
        )
        Gauge("googlenet_queue_depth", "Images without an answer yet", registry=registry).set_function(depth)
        self._wait = Histogram(
            "googlenet_queue_wait_seconds", "From decoded to the device", buckets=_SECONDS, registry=registry
        )
        self._size = Histogram(
            "googlenet_batch_size",
            "Images on the device together",
            buckets=[1 << i for i in range(11)],
            registry=registry,
        )
        self._decode = Histogram(
            "googlenet_decode_seconds", "Time to decode and crop an image", buckets=_SECONDS, registry=registry
        )
        self._device = Histogram(
            "googlenet_device_seconds", "Time of a batch on the device", buckets=_SECONDS, registry=registry
        )
        self._images = Counter("googlenet_images", "Images that were answered", ["model"], registry=registry)
        build = Gauge("googlenet_build_info", "What runs", ["version", "jax", "python", "backend"], registry=registry)
        build.labels(version(), jax.__version__, platform.python_version(), jax.default_backend()).set(1)
        self._model = Gauge(
            "googlenet_model_info",
            "What is served",
            ["model", *Facts._fields],
            registry=registry,
        )
        self._lately: deque[tuple[float, int]] = deque()
        self._lock = threading.Lock()

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered; `route` is its template, so that there are few."""
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(route).observe(seconds)

    def decoded(self, seconds: float) -> None:
        """An image was decoded and cropped."""
        self._decode.observe(seconds)

    def batch(self, model: str, images: int, seconds: float, waits: Iterable[float]) -> None:
        """A batch came back from the device; `waits` are how long each image was ready before, seconds."""
        self._size.observe(images)
        self._device.observe(seconds)
        self._images.labels(model).inc(images)
        for wait in waits:
            self._wait.observe(wait)
        with self._lock:
            self._lately.append((time.monotonic(), images))
            self._forget()

    def images_per_second(self) -> float:
        """Images that were answered in the last ten seconds, a second."""
        with self._lock:
            self._forget()
            return sum(images for _, images in self._lately) / _LATELY

    def _forget(self) -> None:
        while self._lately and self._lately[0][0] < time.monotonic() - _LATELY:
            self._lately.popleft()

    def text(self) -> bytes:
        """All of it as Prometheus reads it."""
        self._model.clear()
        for name, model in self._models().items():
            self._model.labels(name, *model.facts).set(1)
        return generate_latest(self._registry)
