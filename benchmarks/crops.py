"""What 144 crops cost beside their 144 forward passes: prints a ratio.

    python benchmarks/crops.py --checkpoint RUN --dataset folder:PATH

The whole of `googlenet evaluate --crops 144` (decoding, scaling, cutting, transfer, averaging) against the network
alone on as many crops that already lie on the device, in batches of the same size; the sides alternate. 1.0 means that
everything but the network is free.
"""

import argparse
import itertools
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from googlenet_jax.system import runtime


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--batches", type=int, default=8, help="batches a side and round")
    parser.add_argument("--rounds", type=int, default=3)
    flags = parser.parse_args()
    runtime.configure_jax()
    import jax
    import numpy as np

    from googlenet_jax.data.bad_images import BadImageLog
    from googlenet_jax.data.loader import eval_batches
    from googlenet_jax.data.sources.opening import open_source
    from googlenet_jax.evaluate.evaluator import Evaluator, Member, eval_batch_size, windows_of
    from googlenet_jax.net import Net, load
    from googlenet_jax.system.parallel import replicate, split_batch

    net, devices = load(flags.checkpoint), jax.devices()
    assert isinstance(net, Net)
    config = net.config.copy_and_resolve_references()
    config.dataset.name = flags.dataset
    source = open_source(config)[1]
    size = eval_batch_size(config, devices, 144)
    variables = replicate(net.variables, devices)
    evaluator = Evaluator([Member(net.model, net.preprocess, net.model.num_classes)], devices, mirror=True)

    def batches() -> itertools.islice:
        cut = windows_of([net.preprocess], 144)
        return itertools.islice(eval_batches(source, config, cut, BadImageLog("skip"), size), flags.batches)

    def forward(variables: Any, images: jax.Array) -> list[Any]:
        n, side = images.shape[0] * images.shape[1], net.preprocess.image_size
        x = net.preprocess.normalize(images.reshape(n, side, side, 3))
        logits: Any = [net.model.apply(variables, view, train=False) for view in (x, x[:, :, ::-1])]
        return [y.sum() for y in logits]

    alone = jax.pmap(forward, in_axes=(None, 0), devices=devices)
    ready = jax.device_put(split_batch(next(batches()).images[0], devices))
    jax.block_until_ready(alone(variables, ready))
    evaluator.run([variables], itertools.islice(batches(), 1))
    whole, network = [], []
    for _ in range(flags.rounds):
        start = time.perf_counter()
        evaluator.run([variables], batches())
        whole.append(time.perf_counter() - start)
        start = time.perf_counter()
        for _ in range(flags.batches):
            result = alone(variables, ready)
        jax.block_until_ready(result)
        network.append(time.perf_counter() - start)
    images = size * flags.batches
    print(
        f"{images} images, {144 * images} crops of {net.preprocess.image_size} px, "
        f"{len(devices)} {devices[0].platform} devices"
    )
    print(f"evaluate {np.min(whole):.2f} s, network alone {np.min(network):.2f} s, least of {flags.rounds} rounds")
    print(f"ratio {np.min(whole) / np.min(network):.3f}")


if __name__ == "__main__":
    main()
