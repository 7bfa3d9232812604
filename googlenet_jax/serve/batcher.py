"""The thread that owns the device: whatever is ready goes there together the moment the device is free."""

import logging
import threading
import time
from collections import deque
from concurrent.futures import Future
from typing import NamedTuple

import jax
import numpy as np

from googlenet_jax.classifier import likeliest
from googlenet_jax.errors import reason
from googlenet_jax.serve.limits import Limits
from googlenet_jax.serve.metrics import Metrics
from googlenet_jax.serve.models import Model

log = logging.getLogger(__name__)

_TRIES = 3  # in turn that the device may fail
_PAUSE = 0.5  # seconds before it is tried again


class TooLateError(Exception):
    """A request's deadline passed before its images were seen."""


class DeviceError(Exception):
    """The device failed; the images are not to blame."""


class Answer(NamedTuple):
    """What the network says of one image.

    Attributes:
      probabilities: (classes,) float32.
      maps: (k, h, w) float32 class activation maps of its k likeliest classes; None if none were asked for.
    """

    probabilities: np.ndarray
    maps: np.ndarray | None


class Ticket:
    """One admitted image on its way to the device.

    Args:
      model: that is to see it.
      deadline: when an answer comes too late, by `time.monotonic`.
      maps: of how many likeliest classes it wants class activation maps.
      image: an encoded file, or a crop.

    Attributes:
      file: the encoded file; empty once nobody needs it.
      crop: what the network sees, (s, s, 3) uint8; None until it is decoded.
      shape: width and height of the image, pixels, once it is decoded.
      future: gets the `Answer`, or why there is none. Cancelled, the image goes no further.
      ready: when it was decoded.
    """

    def __init__(self, model: Model, deadline: float, maps: int = 0, image: bytes | np.ndarray = b""):
        self.model, self.deadline, self.maps = model, deadline, maps
        self.file = image if isinstance(image, bytes) else b""
        self.crop = None if isinstance(image, bytes) else image
        self.shape = (0, 0) if self.crop is None else (self.crop.shape[1], self.crop.shape[0])
        self.future: Future[Answer] = Future()
        self.ready = 0.0

    def is_wanted(self) -> bool:
        """Whether anybody still waits for it; one whose deadline passed is told so."""
        if self.future.done():
            return False
        if time.monotonic() > self.deadline:
            self.fail(TooLateError())
            return False
        return True

    def fail(self, error: Exception) -> None:
        """Tells why there is no answer, if anybody still waits for one."""
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)


class Batcher:
    """Takes decoded images, gives answers.

    Args:
      limits: of the server.
      metrics: that are told of each batch.

    Attributes:
      failed: why the device does not answer at present; "" if it does.
      broken: why it will not again; "" if that is not so.
    """

    def __init__(self, limits: Limits, metrics: Metrics):
        self._limits, self._metrics = limits, metrics
        self._ready: deque[Ticket] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._began: float | None = None
        self._on_device: list[Ticket] = []
        self.failed = self.broken = ""
        self.start()

    def start(self) -> None:
        """Starts the thread, also again after it died: who waited for its last batch is told."""
        for ticket in self._on_device:
            if not ticket.future.done():
                ticket.future.set_exception(DeviceError("the thread that ran the network died"))
        self._on_device, self._began = [], None
        self._thread = threading.Thread(target=self._run, name="batcher", daemon=True)
        self._thread.start()

    def put(self, ticket: Ticket) -> None:
        """Queues a ticket whose crop is there."""
        ticket.ready = time.monotonic()
        with self._changed:
            self._ready.append(ticket)
            self._changed.notify()

    def close(self) -> None:
        """Ends the thread after what is queued is answered."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def is_alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    def seconds_on_device(self) -> float:
        """How long the present batch has been on the device; 0 if there is none."""
        began = self._began
        return 0.0 if began is None else time.monotonic() - began

    def _run(self) -> None:
        failures = 0
        while (batch := self._take()) is not None:
            try:
                self._classify(batch)
                failures = 0
            except Exception as error:  # of the device or a runtime, of any kind
                failures += 1
                self._failed(batch, error, failures)

    def _take(self) -> list[Ticket] | None:
        """The next batch's tickets, of one model; waits for them. None: it is over."""
        with self._changed:
            while True:
                self._ready = deque(ticket for ticket in self._ready if ticket.is_wanted())
                if not self._ready:
                    if self._closed:
                        return None
                    self._changed.wait()
                    continue
                first = self._ready[0]
                same = [ticket for ticket in self._ready if ticket.model is first.model][: self._limits.max_batch]
                wait = first.ready + self._limits.max_delay_ms / 1e3 - time.monotonic()
                if wait > 0 and len(same) < self._limits.max_batch and not self._closed:
                    self._changed.wait(wait)
                    continue
                chosen = same[: first.model.best_size(len(same))]
                for ticket in chosen:
                    self._ready.remove(ticket)
                self._on_device = [ticket for ticket in chosen if ticket.future.set_running_or_notify_cancel()]
                if self._on_device:
                    return self._on_device

    def _classify(self, batch: list[Ticket]) -> None:
        model, start = batch[0].model, time.monotonic()
        self._began = start
        size = min(size for size in model.seconds if size >= len(batch))
        crops = np.stack([ticket.crop for ticket in batch if ticket.crop is not None])
        probabilities, activations = model.look(np.concatenate([crops, np.repeat(crops[:1], size - len(batch), 0)]))
        maps = self._maps(batch, probabilities, activations)
        end = time.monotonic()
        self._on_device, self._began = [], None
        model.took(size, end - start)
        self._metrics.batch(model.name, len(batch), end - start, [start - ticket.ready for ticket in batch])
        self.failed = ""
        for ticket, row, its_maps in zip(batch, probabilities, maps, strict=False):
            if np.isfinite(row).all():
                ticket.future.set_result(Answer(row, its_maps))
            else:
                ticket.future.set_exception(DeviceError("the network gave numbers that are not finite"))

    def _maps(
        self, batch: list[Ticket], probabilities: np.ndarray, activations: jax.Array | None
    ) -> list[np.ndarray | None]:
        """Class activation maps of those that want some."""
        most = max(ticket.maps for ticket in batch)
        if not most or activations is None:
            return [None] * len(batch)
        maps = batch[0].model.class_maps(activations, likeliest(probabilities, most))
        return [maps[i, : ticket.maps] if ticket.maps else None for i, ticket in enumerate(batch)]

    def _failed(self, batch: list[Ticket], error: Exception, failures: int) -> None:
        """Tells those who wait, and tries again whether the device answers; gives up after a few times."""
        self._on_device, self._began = [], None
        self.failed = reason(error)
        log.error("the device failed (%d in turn): %s", failures, self.failed)
        for ticket in batch:
            if not ticket.future.done():
                ticket.future.set_exception(DeviceError(self.failed))
        model = batch[0].model
        while failures < _TRIES:
            time.sleep(_PAUSE)
            self._began = time.monotonic()
            try:
                model.look(np.zeros((1, model.image_size, model.image_size, 3), np.uint8))
            except Exception as again:
                failures += 1
                self.failed = reason(again)
                log.error("the device failed (%d in turn): %s", failures, self.failed)
            else:
                log.warning("the device answers again")
                self.failed = ""
                return
            finally:
                self._began = None
        self.broken = self.failed
