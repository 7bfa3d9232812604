"""Evaluation: top-1, top-5, loss and accuracy by class over a whole set, of one network or several, of many crops."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from googlenet_jax.data.loader import Batch
from googlenet_jax.data.pictures.picture import Picture
from googlenet_jax.data.preprocess import Preprocess
from googlenet_jax.evaluate.metrics import Metrics, cross_entropy, measure, ranks
from googlenet_jax.evaluate.views import windows
from googlenet_jax.models.googlenet import GoogLeNet
from googlenet_jax.system.parallel import parallel, split_batch, sum_over_devices

Advance = Callable[[int], object]
Told = Callable[[Batch, jax.Array, jax.Array], object]


class Member(NamedTuple):
    """One network of those whose probabilities are averaged, mostly the only one.

    Attributes:
      model: the network; None for one that runs elsewhere, by `classify`.
      preprocess: of its input.
      num_classes: of its outputs.
      temperature: that logits are divided by.
      classify: from (n, h, w, 3) uint8 crops to (n, classes) probabilities, on the host.
    """

    model: GoogLeNet | None
    preprocess: Preprocess
    num_classes: int
    temperature: float = 1.0
    classify: Callable[[np.ndarray], np.ndarray] | None = None

    def log_probabilities(self, images: np.ndarray, mirror: bool) -> np.ndarray:
        """(n, views, classes) of (n, windows, h, w, 3) images, by `classify`."""
        assert self.classify is not None
        n, count = images.shape[:2]
        crops = images.reshape(n * count, *images.shape[2:])
        views = [crops, crops[:, :, ::-1]] if mirror else [crops]
        found = [np.maximum(self.classify(np.ascontiguousarray(view)), np.float32(1e-30)) for view in views]
        return np.concatenate([np.log(each).reshape(n, count, -1) for each in found], 1)


@flax.struct.dataclass
class Tally:
    """What is counted on the devices: the metrics, and of each class the images and those classified rightly."""

    metrics: Metrics
    seen: jax.Array
    right: jax.Array

    @classmethod
    def empty(cls, num_classes: int) -> "Tally":
        """Nothing yet."""
        return cls(Metrics.empty(), jnp.zeros(num_classes), jnp.zeros(num_classes))


class Evaluation(NamedTuple):
    """A result.

    Attributes:
      values: {"loss": nats, "top1": 0..1, "top5": 0..1}, means over the images of weight 1.
      seen, right: (classes,) arrays, of each class the images and those whose likeliest class it rightly was.
    """

    values: dict[str, float]
    seen: np.ndarray
    right: np.ndarray


class Evaluator:
    """Evaluates networks together; compiles once.

    Args:
      members: the networks, with the same classes; their softmaxes are averaged.
      devices: to run on.
      mirror: average also over every window's mirror image.
    """

    def __init__(self, members: Sequence[Member], devices: Sequence[jax.Device], mirror: bool = False):
        self.devices = devices
        self.members, self.mirror, self.num_classes = members, mirror, members[0].num_classes

        def log_probabilities(member: Member, variables: Any, images: jax.Array) -> jax.Array:
            """(views, n, classes), of (n, windows, h, w, 3) images, or of what a member elsewhere made of them."""
            model = member.model
            if model is None:
                return images.transpose(1, 0, 2)
            n, count = images.shape[:2]
            x = member.preprocess.normalize(images.reshape(n * count, *images.shape[2:]))
            views = (x, x[:, :, ::-1]) if mirror else (x,)
            logits: Any = [model.apply(variables, view, train=False) for view in views]
            return jnp.concatenate(
                [jax.nn.log_softmax(y / member.temperature).reshape(n, count, -1).transpose(1, 0, 2) for y in logits]
            )

        def step(
            variables: Any, tally: Tally, images: Any, labels: jax.Array, weights: jax.Array
        ) -> tuple[Tally, jax.Array, jax.Array]:
            views = [log_probabilities(*each) for each in zip(members, variables, images, strict=True)]
            # Each network counts alike, and within it each view.
            means = jnp.stack([jax.nn.logsumexp(view, 0) - jnp.log(len(view)) for view in views])
            logits = jax.nn.logsumexp(means, 0) - jnp.log(len(means))
            metrics = measure(logits, labels, cross_entropy(logits, labels), weights)
            classes = jax.nn.one_hot(labels, self.num_classes) * weights[:, None]
            first = (ranks(logits, labels) == 1)[:, None]
            seen, right = tally.seen + classes.sum(0), tally.right + (classes * first).sum(0)
            return Tally(tally.metrics.merge(metrics), seen, right), logits.argmax(-1), jnp.exp(logits.max(-1))

        # Each device keeps its own tally: nothing is exchanged before the end.
        self.step: Callable[..., Any] = parallel(step, devices, replicated=1, split=4, split_result=True)

    def run(
        self,
        variables: Sequence[Any],
        batches: Iterable[Batch],
        advance: Advance = lambda images: None,
        told: Told = lambda batch, classes, probabilities: None,
    ) -> Evaluation:
        """Evaluates over all batches.

        Args:
          variables: of each member, placed by `replicate`.
          batches: from `eval_batches`, with a tuple of (n, windows, h, w, 3) images, one a member.
          advance: told the number of images of each batch as it goes to the devices.
          told: then told the batch, and of its images the likeliest classes and their probabilities, which the devices
            are yet to find: arrays of as many elements.

        Returns:
          An `Evaluation`.
        """
        local = sum(device.process_index == jax.process_index() for device in self.devices)
        tally = jax.tree.map(lambda leaf: jnp.stack([leaf] * local), Tally.empty(self.num_classes))
        for batch in batches:
            given = zip(self.members, batch.images, strict=True)
            images = tuple(m.log_probabilities(x, self.mirror) if m.model is None else x for m, x in given)
            split = split_batch(batch._replace(images=images), self.devices)
            tally, classes, probabilities = self.step(tuple(variables), tally, *split)
            advance(int(np.sum(batch.weights)))
            told(batch, classes, probabilities)
        whole = sum_over_devices(tally)
        values = {name: float(value) for name, value in whole.metrics.compute().items()}
        return Evaluation(values, whole.seen, whole.right)


def windows_of(preprocesses: Sequence[Preprocess], crops: int = 1) -> Callable[[Picture], tuple[np.ndarray, ...]]:
    """What `eval_batches` makes of a picture: each network's windows; those alike are cut once."""

    def cut(picture: Picture) -> tuple[np.ndarray, ...]:
        done: dict[tuple[int, float, str], np.ndarray] = {}
        for p in preprocesses:
            key = (p.image_size, p.crop_fraction, p.resize)
            if key not in done:
                done[key] = windows(picture, crops, p)
        return tuple(done[p.image_size, p.crop_fraction, p.resize] for p in preprocesses)

    return cut


def eval_batch_size(config: ml_collections.ConfigDict, devices: Sequence[jax.Device], crops: int = 1) -> int:
    """Images a step of evaluation: their crops are about as many as the configuration says, as many on each device."""
    size = max((config.eval.batch_size or config.batch_size) // crops, 1)
    return -(-size // len(devices)) * len(devices)
