"""Which learning rate and weight decay suit the digits: a grid, and seeds."""

from collections.abc import Iterator


def sweep_rates() -> Iterator[dict[str, object]]:
    """The grid."""
    for rate in (0.01, 0.03, 0.1):
        for decay in (5e-4, 5e-3):
            yield {"optimizer.learning_rate": rate, "optimizer.weight_decay": decay}


def sweep_seeds() -> Iterator[dict[str, object]]:
    """Each with three seeds."""
    for seed in range(3):
        yield {"seed": seed}
