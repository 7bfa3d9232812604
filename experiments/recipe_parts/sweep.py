"""Parts of imagenet_8gpu's recipe, one at a time, on top of crops and flips."""

from collections.abc import Iterator

BASE: dict[str, object] = {"optimizer.ema_decay": None, "eval.image_size": None}
BASE |= {"augment.repeats": 1, "augment.erasing": 0.0}


def sweep() -> Iterator[dict[str, object]]:
    """None of them; averaged parameters; larger crops in use than in training; repeated crops; erasing."""
    yield BASE
    yield BASE | {"optimizer.ema_decay": 0.99}
    yield BASE | {"eval.image_size": 40}
    yield BASE | {"augment.repeats": 4}
    yield BASE | {"augment.erasing": 0.1}


def sweep_seeds() -> Iterator[dict[str, object]]:
    """Each with three seeds."""
    for seed in range(3):
        yield {"seed": seed}
