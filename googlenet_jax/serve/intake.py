"""Admission: so many images and no more wait for the device; they are decoded and cropped in threads."""

import functools
import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from googlenet_jax.data.pictures.picture import BadImageError, open_picture
from googlenet_jax.errors import UserError, reason
from googlenet_jax.serve.batcher import Batcher, DeviceError, Ticket
from googlenet_jax.serve.limits import Limits
from googlenet_jax.serve.metrics import Metrics
from googlenet_jax.serve.models import Model

log = logging.getLogger(__name__)


class QueueFullError(Exception):
    """There are as many images as the queue takes."""


class Intake:
    """Images in, tickets out.

    Args:
      limits: of the server.
      batcher: that gets the crops.
      metrics: that are told of each.

    Attributes:
      waiting: images that are admitted and have no answer yet.
    """

    NAME = "image"  # that messages call each image

    def __init__(self, limits: Limits, batcher: Batcher, metrics: Metrics):
        self._limits, self._batcher, self._metrics = limits, batcher, metrics
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(limits.threads, thread_name_prefix="decode")
        self.waiting = 0

    def admit(self, model: Model, images: Sequence[bytes | np.ndarray], deadline: float, maps: int) -> list[Ticket]:
        """Admits a request's images, all of them or none.

        Args:
          model: that is to see them.
          images: encoded files, or crops (s, s, 3) uint8 of the model's size.
          deadline: by `time.monotonic`.
          maps: of how many likeliest classes class activation maps are wanted.

        Returns:
          A ticket an image.

        Raises:
          QueueFullError: if there is no room for them now.
        """
        with self._lock:
            if self.waiting + len(images) > self._limits.queue:
                raise QueueFullError
            self.waiting += len(images)
        tickets = [Ticket(model, deadline, maps, image) for image in images]
        for ticket in tickets:
            ticket.future.add_done_callback(functools.partial(self._done, ticket))
            if ticket.crop is not None:
                self._batcher.put(ticket)
                continue
            try:
                self._threads.submit(self._decode, ticket)
            except RuntimeError as error:  # the system has no thread left, or the server ends
                ticket.fail(DeviceError(reason(error)))
        return tickets

    def close(self) -> None:
        """Ends the threads after what they have to do."""
        self._threads.shutdown()

    def _done(self, ticket: Ticket, _: Any) -> None:
        # A ticket may lie in a queue for a while yet, behind images that take long. Its memory is not counted any more.
        ticket.file, ticket.crop = b"", None
        with self._lock:
            self.waiting -= 1

    def _decode(self, ticket: Ticket) -> None:
        if not ticket.is_wanted():
            return
        start = time.monotonic()
        try:
            picture = open_picture(ticket.file, self.NAME, most_pixels=self._limits.max_pixels)
            ticket.shape = picture.width, picture.height
            ticket.crop = np.ascontiguousarray(ticket.model.net.preprocess.crop(picture))
        except UserError as error:
            ticket.fail(error)
        except MemoryError:
            ticket.fail(BadImageError(f"{self.NAME}: too large for this machine's memory"))
        except Exception as error:  # a fault of ours: the client need not wait for it
            log.exception("decoding failed")
            ticket.fail(BadImageError(f"{self.NAME}: cannot be read ({reason(error)})"))
        else:
            self._metrics.decoded(time.monotonic() - start)
            self._batcher.put(ticket)
