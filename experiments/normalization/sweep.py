"""What normalises: LRN (the paper), batch norm, or nothing; rates are those that did best in a look at seed 0."""

from collections.abc import Iterator


def sweep() -> Iterator[dict[str, object]]:
    """A family each, at its rate, with the same dropout."""
    yield {"model.variant": "paper", "optimizer.learning_rate": 0.02}
    yield {"model.variant": "batchnorm", "optimizer.learning_rate": 0.05}
    yield {"model.variant": "mindcv", "optimizer.learning_rate": 0.02, "model.dropout": 0.4}


def sweep_seeds() -> Iterator[dict[str, object]]:
    """Each with three seeds."""
    for seed in range(3):
        yield {"seed": seed}
