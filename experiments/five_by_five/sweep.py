"""The paper's 5x5 convolutions against the 3x3 that torchvision's GoogLeNet has in their place, all else equal."""

from collections.abc import Iterator


def sweep() -> Iterator[dict[str, object]]:
    """The network with batch norm, with either kernel; then torchvision's, which also begins at other weights."""
    yield {"model.variant": "batchnorm"}
    yield {"model.variant": "batchnorm", "model.window_5x5": 3}
    yield {"model.variant": "torchvision", "model.dropout": 0.4}


def sweep_seeds() -> Iterator[dict[str, object]]:
    """Each with three seeds."""
    for seed in range(3):
        yield {"seed": seed}
