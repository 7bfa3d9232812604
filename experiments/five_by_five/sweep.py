"""The paper's 5x5 convolutions against the 3x3 that torchvision's GoogLeNet has in their place."""

from collections.abc import Iterator


def sweep() -> Iterator[dict[str, object]]:
    """Both with batch norm, at the same rate and dropout."""
    yield {"model.variant": "batchnorm"}
    yield {"model.variant": "torchvision", "model.dropout": 0.4}


def sweep_seeds() -> Iterator[dict[str, object]]:
    """Each with three seeds."""
    for seed in range(3):
        yield {"seed": seed}
