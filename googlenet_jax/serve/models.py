"""The networks that a server holds, each compiled for a few batch sizes."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from googlenet_jax.classifier import NOT_FINITE, Classifier
from googlenet_jax.errors import UserError, where
from googlenet_jax.net import ExportedNet, Net
from googlenet_jax.serve import ENSEMBLE

_NEARLY = 0.95  # of the most images a second, for which nobody waits longer than need be


class Facts(NamedTuple):
    """What a network is, for people.

    Attributes:
      family: key of `FAMILIES`, or "ensemble of N".
      step: training steps behind it.
      source: the checkpoint or file that it was loaded from.
      runtime: what runs it, and on what.
    """

    family: str
    step: int
    source: str
    runtime: str


@dataclasses.dataclass(frozen=True)
class Ensemble(Classifier):
    """Networks that tell the same classes apart on the same crops; their probabilities are averaged.

    Attributes:
      members: the networks.
    """

    members: Sequence[Classifier]

    def __post_init__(self) -> None:
        first = self.members[0]
        for member in self.members:
            if list(member.labels) != list(first.labels):
                raise UserError("--ensemble: these networks tell other classes apart")
            if _crop(member) != _crop(first):
                raise UserError("--ensemble: these networks crop images in different ways, so they cannot share them")

    @property
    def labels(self) -> Sequence[str]:  # type: ignore[override]
        """Class names by index."""
        return self.members[0].labels

    @property
    def preprocess(self) -> Any:  # type: ignore[override]
        """From pictures to crops."""
        return self.members[0].preprocess

    def classify(self, crops: np.ndarray) -> np.ndarray:
        """See `Classifier.classify`."""
        each = [member.classify(crops) for member in self.members]
        return np.asarray(np.mean(each, 0, dtype=np.float32))


def _crop(net: Classifier) -> tuple[int, float, str]:
    return net.preprocess.image_size, net.preprocess.crop_fraction, net.preprocess.resize


class Model:
    """A network under its name, ready to be used.

    Args:
      name: that requests give.
      net: the network.
      facts: what it is.

    Attributes:
      seconds: by batch size that it is compiled for, how long a batch takes.
    """

    def __init__(self, name: str, net: Classifier, facts: Facts):
        self.name, self.net, self.facts = name, net, facts
        self.seconds: dict[int, float] = {}

    @property
    def image_size(self) -> int:
        """Side of the crops that it takes, pixels."""
        return self.net.preprocess.image_size

    @property
    def has_maps(self) -> bool:
        """Whether it can tell where it saw a class."""
        return isinstance(self.net, Net)

    def compile(self, max_batch: int, advance: Callable[[], object] = lambda: None) -> None:
        """Compiles it for 1, 2, 4, ... `max_batch` images, and times each.

        Args:
          max_batch: the largest batch.
          advance: told after each size.

        Raises:
          UserError: if what it computes are no numbers.
        """
        for size in batch_sizes(max_batch):
            crops = np.zeros((size, self.image_size, self.image_size, 3), np.uint8)
            if not np.isfinite(self.look(crops)[0]).all():
                raise UserError(f"{where(self.facts.source)}: {NOT_FINITE}")
            start = time.monotonic()
            self.look(crops)
            self.seconds[size] = time.monotonic() - start
            advance()

    def look(self, crops: np.ndarray) -> tuple[np.ndarray, jax.Array | None]:
        """See `Net.look`; no activations where it is not a `Net`."""
        if isinstance(self.net, Net):
            return self.net.look(crops)
        return self.net.classify(crops), None

    def class_maps(self, activations: jax.Array, classes: np.ndarray) -> np.ndarray:
        """See `Net.class_maps`; of what `look` gave where there were activations."""
        assert isinstance(self.net, Net)
        return self.net.class_maps(activations, classes)

    def best_size(self, waiting: int) -> int:
        """The batch size by which most images a second are answered when so many wait, or nearly so and the sooner.

        A batch that is not full costs like a full one, so that the next smaller size and then the rest may be sooner.
        """
        rates = {size: min(size, waiting) / seconds for size, seconds in self.seconds.items()}
        return min(size for size, rate in rates.items() if rate >= _NEARLY * max(rates.values()))

    def took(self, size: int, seconds: float) -> None:
        """Learns how long a batch of that size took."""
        self.seconds[size] += 0.1 * (seconds - self.seconds[size])


def batch_sizes(most: int) -> list[int]:
    """1, 2, 4, ... up to `most`, which is among them."""
    return sorted({1 << i for i in range(most.bit_length()) if 1 << i <= most} | {most})


def make_model(name: str, net: Classifier, source: str) -> Model:
    """A `Model` of a loaded network."""
    if isinstance(net, Net):
        platform = jax.devices()[0].platform
        return Model(name, net, Facts(net.model.variant.name, net.step, source, f"JAX on {platform}"))
    assert isinstance(net, ExportedNet)
    runtime = f"{net.runtime}, {net.description.precision}"
    return Model(name, net, Facts(net.description.family, net.step, source, runtime))


def make_ensemble(models: Mapping[str, Model]) -> Model:
    """All of them together as one more."""
    members = list(models.values())
    step = max(model.facts.step for model in members)
    runtime = ", ".join(dict.fromkeys(model.facts.runtime for model in members))
    facts = Facts(f"ensemble of {len(members)}", step, ", ".join(models), runtime)
    return Model(ENSEMBLE, Ensemble([model.net for model in members]), facts)
