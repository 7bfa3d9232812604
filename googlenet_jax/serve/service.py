"""What stands behind the routes: the models, the way of an image to an answer, and whether all is well."""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from googlenet_jax.classifier import Classifier
from googlenet_jax.serve import ENSEMBLE
from googlenet_jax.serve.batcher import Answer, Batcher, Ticket, TooLateError
from googlenet_jax.serve.intake import Intake, QueueFullError
from googlenet_jax.serve.limits import Limits
from googlenet_jax.serve.metrics import Metrics
from googlenet_jax.serve.models import Model, batch_sizes, make_ensemble, make_model

log = logging.getLogger(__name__)

_STUCK = 60.0  # seconds after which a batch will not come back


class Service:
    """A server without HTTP.

    Args:
      sources: the checkpoint or exported file of each model, by its name; the first is the default.
      open_network: loads one of them; of a run the newest checkpoint if its second argument says so, else the best.
      limits: what is taken on.
      ensemble: whether all of them together are one more model.

    Attributes:
      models: those that are ready, by name.
      stopping: whether it is about to end.
      last_request: when the last image was admitted, by `time.monotonic`.
      held: bytes of bodies in memory.
      parsing: whose holder may parse JSON.
      reloading: whose holder may load models again.
    """

    def __init__(
        self,
        sources: Mapping[str, str],
        open_network: Callable[[str, bool], Classifier],
        limits: Limits,
        ensemble: bool,
    ):
        self.sources, self.limits = sources, limits
        self._open, self._ensemble = open_network, ensemble
        self._loading = threading.Lock()
        self.models: dict[str, Model] = {}
        self.stopping = False
        self.last_request = 0.0
        self.held = 0
        self.parsing, self.reloading = asyncio.Lock(), asyncio.Lock()
        self.metrics = Metrics(lambda: self.intake.waiting, lambda: self.models)
        self.batcher = Batcher(limits, self.metrics)
        self.intake = Intake(limits, self.batcher, self.metrics)

    @property
    def names(self) -> list[str]:
        """Of all models, ready or not."""
        return [*self.sources, *([ENSEMBLE] if self._ensemble else [])]

    @property
    def compilations(self) -> int:
        """How often `load` calls `advance`."""
        return len(self.names) * len(batch_sizes(self.limits.max_batch))

    def load(self, names: Sequence[str] = (), advance: Callable[[], object] = lambda: None) -> None:
        """Loads models, again where they are there already, and puts them to use once they are compiled.

        Requests go on meanwhile; those that were admitted before are answered by what they were admitted for. Who
        loads a run again wants what its training wrote since: its newest checkpoint.

        Args:
          names: of them; all if there are none, or the ensemble is among them.
          advance: told after each batch size that a model was compiled for.

        Raises:
          UserError: if one of them cannot be read; what is in use stays so.
        """
        with self._loading:
            loaded = dict(self.models)
            everything = not names or (self._ensemble and ENSEMBLE in names)
            for name in self.sources if everything else names:
                source = self.sources[name]
                loaded[name] = make_model(name, self._open(source, name in self.models), source)
                loaded[name].compile(self.limits.max_batch, advance)
            if self._ensemble:
                loaded[ENSEMBLE] = make_ensemble({name: loaded[name] for name in self.sources})
                loaded[ENSEMBLE].compile(self.limits.max_batch, advance)
            self.models = {name: loaded[name] for name in self.names}
        for name, model in self.models.items():
            log.info("model %s: step %d of %s", name, model.facts.step, model.facts.source)

    def problem(self) -> str:
        """Why it takes no requests now; "" if it does."""
        if self.stopping:
            return "the server is stopping"
        if not self.models:
            return "the server is starting"
        if self.batcher.failed or not self.batcher.is_alive() or self.batcher.seconds_on_device() > _STUCK:
            return "the device does not answer"
        return ""

    def mend(self) -> str:
        """Starts the batcher's thread again if it died; what cannot be mended, "" if there is nothing."""
        if self.batcher.seconds_on_device() > _STUCK:
            return f"a batch has been on the device for more than {_STUCK:.0f} s"
        if self.batcher.broken:
            return f"the device failed several times in turn: {self.batcher.broken}"
        if not self.batcher.is_alive() and not self.stopping:
            log.error("the batcher's thread died and is started again")
            self.batcher.start()
        return ""

    def model(self, name: str | None) -> Model:
        """The model of that name, the default one for None; raises `HTTPException` if there is none."""
        models = self.models
        if not models:
            raise HTTPException(503, self.problem(), {"Retry-After": "2"})
        if name is None:
            return next(iter(models.values()))
        if name not in models:
            raise HTTPException(404, f"there is no model of this name; there is {', '.join(models)}")
        return models[name]

    async def classify(
        self,
        request: Request,
        model: Model,
        images: Sequence[bytes | np.ndarray],
        maps: int = 0,
        seconds: float | None = None,
    ) -> list[tuple[Ticket, Answer | BaseException]]:
        """Sends a request's images to the device.

        Args:
          request: whose body was read; should its client leave, its images are dropped.
          model: that is to see them.
          images: see `Intake.admit`.
          maps: likewise.
          seconds: after which nobody wants the answer any more; None: the limits' deadline.

        Returns:
          (ticket, answer or why there is none) of each image.

        Raises:
          HTTPException: if they are not admitted.
          ClientDisconnect: if the client left.
        """
        if self.batcher.failed or not self.batcher.is_alive():
            raise HTTPException(503, self.problem(), {"Retry-After": "2"})
        if len(images) > self.limits.queue:
            raise HTTPException(413, f"{len(images)} images: at most {self.limits.queue} a request")
        deadline = time.monotonic() + min(seconds or self.limits.deadline, self.limits.deadline)
        try:
            tickets = self.intake.admit(model, images, deadline, maps)
        except QueueFullError:
            raise HTTPException(429, "the queue is full, try again", {"Retry-After": str(self._wait())}) from None
        self.last_request = time.monotonic()
        futures = [asyncio.wrap_future(ticket.future) for ticket in tickets]
        answers = asyncio.gather(*futures, return_exceptions=True)
        gone = asyncio.ensure_future(_left(request))
        both: set[asyncio.Future[Any]] = {answers, gone}
        try:
            await asyncio.wait(both, timeout=deadline - time.monotonic(), return_when=asyncio.FIRST_COMPLETED)
            if gone.done() and not answers.done():
                raise ClientDisconnect
            for future in futures:  # what is not there by now is too late, whatever keeps it
                future.cancel()
            found = [TooLateError() if isinstance(a, asyncio.CancelledError) else a for a in await answers]
            return list(zip(tickets, found, strict=True))
        finally:
            for one in both:
                one.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await one

    def _wait(self) -> int:
        """Seconds after which half of the queue is answered, as fast as it has been of late."""
        return max(1, min(30, round(self.limits.queue / 2 / max(self.metrics.images_per_second(), 1.0))))

    def close(self) -> None:
        """Ends the threads after what was admitted is answered."""
        self.intake.close()
        self.batcher.close()


async def _left(request: Request) -> None:
    """Returns when the client is gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
