"""The CPU train step against PyTorch's, side by side in one process: prints a ratio.

    pip install torch && python benchmarks/train_step.py

Same network (the `batchnorm` family, no auxiliary heads), same batch, float32, SGD with momentum and weight decay;
PyTorch in channels_last, its fastest layout here. Steps alternate, and the least time of each side counts. 1.0 means as
fast as PyTorch, more means faster.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

import jax
import numpy as np
import torch
from torch import nn
from torch_googlenet import GoogLeNet

from googlenet_jax.system import runtime


def torch_step(images: np.ndarray, labels: np.ndarray, threads: int) -> Callable[[], None]:
    """A PyTorch train step on a fixed batch."""
    torch.set_num_threads(threads)
    model = GoogLeNet(10).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=1e-4)
    x = torch.from_numpy(images.astype(np.float32).transpose(0, 3, 1, 2) / 128 - 1)
    x = x.contiguous(memory_format=torch.channels_last)
    y = torch.from_numpy(labels.astype(np.int64))

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(model(x)[0], y).backward()
        optimizer.step()

    return step


def jax_step(images: np.ndarray, labels: np.ndarray) -> Callable[[], None]:
    """This project's train step on the same batch."""
    from googlenet_jax.config import default_config
    from googlenet_jax.train.setup import build_training

    config = default_config()
    config.update(batch_size=len(images), num_epochs=1.0)
    config.dataset.image_size = images.shape[1]
    config.model.num_classes = 10
    config.model.aux_heads = False
    config.optimizer.update(learning_rate=0.01, weight_decay=1e-4)
    training = build_training(config, num_images=len(images), num_classes=10)
    state, metrics = training.start()
    batch = training.split((images, labels))

    def step() -> None:
        nonlocal state, metrics
        state, metrics = training.step(state, metrics, *batch)
        jax.block_until_ready(state)

    return step


def main() -> None:
    """Times both and prints the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=64, help="image side, pixels")
    parser.add_argument("--batch", type=int, default=128, help="images a step")
    parser.add_argument("--steps", type=int, default=12, help="timed steps of each side")
    flags = parser.parse_args()
    runtime.restart_with_large_pages()
    runtime.configure_jax()

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (flags.batch, flags.size, flags.size, 3), dtype=np.uint8)
    labels = rng.integers(0, 10, flags.batch).astype(np.int32)
    steps = {"torch": torch_step(images, labels, runtime.cpu_cores()), "jax": jax_step(images, labels)}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(flags.steps + 2):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if turn >= 2:  # the first ones compile and fill caches
                times[name].append(time.perf_counter() - start)
    for name, seconds in times.items():
        least, median = min(seconds), sorted(seconds)[len(seconds) // 2]
        print(f"{name:6s} {1000 * least:7.0f} ms least, {1000 * median:.0f} median, {flags.batch / least:.0f} images/s")
    ratio = min(times["torch"]) / min(times["jax"])
    print(f"speed relative to torch {torch.__version__} channels_last: {ratio:.2f}")


if __name__ == "__main__":
    main()
