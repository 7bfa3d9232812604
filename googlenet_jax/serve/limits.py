"""How much a server takes on."""

import dataclasses

from googlenet_jax.system.runtime import cpu_cores


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a server takes; the defaults are those of `googlenet serve`, but for `max_batch` on a CPU.

    Attributes:
      max_batch: images that the network sees at once, at the most.
      max_delay_ms: how long the device may wait for more images, counted from the first, milliseconds.
      queue: images that are admitted and have no answer yet, at the most.
      max_bytes: of a request's body.
      max_pixels: of an image, width times height.
      threads: that decode images.
      top: classes that an answer names, unless the request says.
      deadline: seconds that a request's head may take to arrive, its body, from then on an answer, and the client to
        take that.
    """

    max_batch: int = 32
    max_delay_ms: float = 0.0
    queue: int = 64
    max_bytes: int = 32 << 20
    max_pixels: int = 50_000_000
    threads: int = dataclasses.field(default_factory=cpu_cores)
    top: int = 5
    deadline: float = 60.0

    @property
    def held_bytes(self) -> int:
        """Of bodies that are in memory together, at the most."""
        return max(8 * self.max_bytes, 256 << 20)
