"""Parts of imagenet_8gpu's recipe, one at a time, on top of crops and flips."""

from collections.abc import Iterator

BASE: dict[str, object] = {"optimizer.ema_decay": None, "eval.image_size": None, "augment.repeats": 1}
BASE |= {"augment.erasing": 0.0, "dataset.image_size": 32}


def sweep() -> Iterator[dict[str, object]]:
    """None of them; averaged parameters; smaller crops in training than in use; repeated crops; erasing."""
    yield BASE
    yield BASE | {"optimizer.ema_decay": 0.99}
    yield BASE | {"dataset.image_size": 28, "eval.image_size": 32}
    yield BASE | {"augment.repeats": 4}
    yield BASE | {"augment.erasing": 0.1}


def sweep_seeds() -> Iterator[dict[str, object]]:
    """Each with three seeds."""
    for seed in range(3):
        yield {"seed": seed}
