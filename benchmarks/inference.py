"""Inference on this machine's CPU beside others': JAX, ONNX Runtime through our export, PyTorch, in turns.

    pip install torch && python benchmarks/inference.py --checkpoint PATH        # also --compile, --int8 FILE.onnx

The network is the checkpoint's, or with random weights `batchnorm`'s at 224 px, from uint8 crops, normalised in each
runtime's own layout; PyTorch's is the same network in channels_last. Medians count. 1.0 means as fast, more is faster.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

import jax
import numpy as np
import torch
from torch_googlenet import GoogLeNet

from googlenet_jax.config import default_config
from googlenet_jax.data.preprocess import make_preprocess
from googlenet_jax.export.exporting import export
from googlenet_jax.export.target import Options
from googlenet_jax.exported.opening import ExportedNet
from googlenet_jax.models.make_model import make_model
from googlenet_jax.net import Net, load
from googlenet_jax.system import runtime
from googlenet_jax.train.state import draw_variables

Call = Callable[[np.ndarray], object]


def random_net(size: int) -> Net:
    """The `batchnorm` family with the weights of step 0."""
    config = default_config()
    config.update_from_flattened_dict({"dataset.image_size": size, "model.aux_heads": False, "model.num_classes": 1000})
    model = make_model(config, 1000)
    variables = jax.tree.map(np.asarray, draw_variables(model, config))
    return Net(model, variables, [str(i) for i in range(1000)], make_preprocess(config), config, 0)


def torch_call(compiled: bool) -> Call:
    """PyTorch's network on uint8 crops, as the others take them."""
    torch.set_num_threads(runtime.cpu_cores())
    model = GoogLeNet(1000).eval().to(memory_format=torch.channels_last)
    run = torch.compile(model) if compiled else model
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((123.7, 116.3, 103.5), (58.4, 57.1, 57.4)))

    def call(crops: np.ndarray) -> object:
        with torch.inference_mode():
            x = torch.from_numpy(crops).permute(0, 3, 1, 2).float()
            return torch.softmax(run((x - mean) / std)[0], -1).numpy()

    return call


def main() -> None:
    """Times all and prints the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", help="default: random weights")
    parser.add_argument("--int8", help="an int8 .onnx of googlenet export, to time too")
    parser.add_argument("--compile", action="store_true", help="torch.compile too")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8, 32], help="images a call")
    parser.add_argument("--rounds", type=int, default=12, help="timed calls of each")
    flags = parser.parse_args()
    runtime.restart_with_large_pages()
    runtime.configure_jax()
    net = load(flags.checkpoint) if flags.checkpoint else random_net(224)
    assert isinstance(net, Net)
    size = net.preprocess.image_size
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "net.onnx"
        export(net, "benchmark", "onnx", file, Options())
        through_onnx = load(file)
    calls: dict[str, Call] = {"jax": net.classify, "onnx": through_onnx.classify, "torch": torch_call(False)}
    if flags.compile:
        calls["torch.compile"] = torch_call(True)
    if flags.int8:
        quantised = load(flags.int8)
        assert isinstance(quantised, ExportedNet) and quantised.preprocess.image_size == size
        calls["onnx int8"] = quantised.classify
    for batch in flags.batch:
        crops = np.random.default_rng(0).integers(0, 256, (batch, size, size, 3), dtype=np.uint8)
        seconds: dict[str, list[float]] = {name: [] for name in calls}
        for turn in range(flags.rounds + 2):
            for name, call in calls.items():
                start = time.perf_counter()
                call(crops)
                if turn >= 2:  # the first ones compile
                    seconds[name].append(time.perf_counter() - start)
        middle = {name: median(each) for name, each in seconds.items()}
        figures = ", ".join(f"{name} {1e3 * each:.1f} ms" for name, each in middle.items())
        ratios = ", ".join(f"{name} {middle['torch'] / each:.2f}" for name, each in middle.items() if name != "torch")
        print(f"batch {batch}: {figures}; speed relative to torch {torch.__version__} channels_last: {ratios}")


if __name__ == "__main__":
    main()
