"""With and without the auxiliary heads: for the paper's network and for the one with batch norm."""

from collections.abc import Iterator


def sweep() -> Iterator[dict[str, object]]:
    """A family each, at its rate."""
    for variant, rate in {"paper": 0.02, "batchnorm": 0.05}.items():
        yield {"model.variant": variant, "optimizer.learning_rate": rate}


def sweep_heads() -> Iterator[dict[str, object]]:
    """Each without and with the heads."""
    for heads in (False, True):
        yield {"model.aux_heads": heads}


def sweep_seeds() -> Iterator[dict[str, object]]:
    """Each with three seeds."""
    for seed in range(3):
        yield {"seed": seed}
