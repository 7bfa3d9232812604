"""A recipe's train step and inference on this machine's GPU, beside PyTorch's in the same run: images a second.

    python benchmarks/gpu_step.py --batch 256 512                 # the train step; torch.compile, AMP, channels_last
    python benchmarks/gpu_step.py --batch 256 --profile trace     # where its time goes, beside the program's bound
    python benchmarks/gpu_step.py --inference --batch 1 64 256    # the network alone

The images lie on the device. This project's step does all that the recipe says: colours, flips, dropout, auxiliary
heads, averages; PyTorch's has the network, the loss, and SGD, and no change of colours. Each figure is the median over
some runs of several steps; a batch of one image is waited for, so that its figure is the latency. XLA and PyTorch run
one after the other in this process, on half of the memory each. For a profile set
XLA_FLAGS=--xla_gpu_enable_command_buffer= so that all kernels keep their names.
"""

import argparse
import collections
import contextlib
import fcntl
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.5")

import jax
import numpy as np
from gpu_program import CHIPS, Chip
from hlo import Module

from googlenet_jax.cli.launch import take_overrides
from googlenet_jax.config.overrides import override
from googlenet_jax.config.recipes import read_recipe
from googlenet_jax.models.folding import fold
from googlenet_jax.models.make_model import make_model
from googlenet_jax.system import runtime
from googlenet_jax.train.setup import build_training


@contextlib.contextmanager
def alone(lock: Path | None) -> Iterator[None]:
    """Nothing else that asks for this lock runs meanwhile."""
    if lock is None:
        yield
        return
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def timed(step: Callable[[], Any], wait: Callable[[Any], Any], steps: int, each: int) -> float:
    """Seconds a step: the median over some runs of several steps each, after a warm-up; each run is waited for."""
    for _ in range(3):
        wait(step())
    seconds = []
    for _ in range(steps // each):
        start = time.perf_counter()
        for _ in range(each):
            result = step()
        wait(result)
        seconds.append((time.perf_counter() - start) / each)
    return median(seconds)


def jax_train(config: Any, batch: int) -> tuple[Callable[[], Any], str]:
    """This project's step on a batch that lies on the device, and the compiled program's text."""
    config.batch_size, config.num_devices = batch, 1
    size, classes = config.dataset.image_size, 1000 if config.dataset.image_size > 64 else 10
    training = build_training(config, 100 * batch, classes)
    state, measured = training.start()
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (batch, size, size, 3), dtype=np.uint8)
    labels = random.integers(0, classes, batch).astype(np.int32)
    inputs = jax.device_put(training.split((images, labels)))

    program: Any = training.step
    compiled = program.lower(state, measured, *inputs).compile()

    def step() -> Any:
        nonlocal state, measured
        state, measured = compiled(state, measured, *inputs)
        return measured

    return step, compiled.as_text()


def jax_inference(config: Any, batch: int) -> Callable[[], Any]:
    """The network's logits of uint8 images; batch norm is folded into the convolutions, as `gn.load` has it."""
    size = config.dataset.image_size
    model = make_model(config, 1000)
    drawn = jax.jit(model.init)(jax.random.key(0), np.zeros((1, size, size, 3), np.float32))
    model, variables = fold(model, drawn)
    variables = jax.device_put(variables)
    infer = jax.jit(lambda variables, images: model.apply(variables, images / np.float32(128) - 1))
    images = jax.device_put(np.random.default_rng(0).integers(0, 256, (batch, size, size, 3), dtype=np.uint8))
    return lambda: infer(variables, images)


def torch_step(batch: int, size: int, inference: bool, dtype_name: str) -> Callable[[], Any]:
    """PyTorch's step or inference likewise, compiled."""
    import torch
    from torch_googlenet import GoogLeNet

    dtype = getattr(torch, dtype_name)
    torch.backends.cudnn.benchmark = True
    model = GoogLeNet(1000, 2048).cuda().to(memory_format=torch.channels_last)
    images = torch.randint(0, 256, (batch, 3, size, size), dtype=torch.uint8, device="cuda")
    images = images.contiguous(memory_format=torch.channels_last)
    if inference:
        model.eval()
        run = torch.compile(model)

        def infer() -> Any:
            with torch.inference_mode(), torch.autocast("cuda", dtype):
                return run(images.float() / 128 - 1)[0]

        return infer
    labels = torch.randint(0, 1000, (batch,), device="cuda")
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, nesterov=True, weight_decay=5e-5, fused=True)

    def loss(images: Any, labels: Any) -> Any:
        main, *heads = model(images.float() / 128 - 1)
        losses = [torch.nn.functional.cross_entropy(o.float(), labels, label_smoothing=0.1) for o in (main, *heads)]
        return losses[0] + 0.3 * sum(losses[1:])

    compiled = torch.compile(loss)

    def step() -> Any:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda", dtype):
            value = compiled(images, labels)
        value.backward()
        optimizer.step()
        return value

    return step


def profile(step: Callable[[], Any], text: str, chip: Chip, directory: Path, steps: int = 5) -> None:
    """Prints the kernels' times by kind, beside the least that each kind could take; keeps trace and program."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "program.hlo").write_text(text)
    with jax.profiler.trace(directory):
        for _ in range(steps):
            result = step()
        jax.block_until_ready(result)
    data: Any = jax.profiler.ProfileData.from_file(str(max(directory.rglob("*.xplane.pb"))))
    kernels = {_plain(kernel.op.name): kernel for kernel in Module(text).kernels()}
    seconds: dict[str, float] = collections.defaultdict(float)
    single: dict[str, float] = collections.defaultdict(float)
    launches: dict[str, float] = collections.defaultdict(float)  # equal instructions are one kernel
    for plane in data.planes:
        if "GPU" not in plane.name:
            continue
        for line in plane.lines:
            if not line.name.startswith("Stream"):
                continue
            for event in line.events:
                name = _plain(event.name)  # a kernel of XLA's own; those of libraries have names of their own
                if name not in kernels:
                    name = _plain(str(dict(event.stats).get("hlo_op", name)))
                kind = kernels[name].kind if name in kernels else f"other: {event.name[:60]}"
                seconds[kind] += event.duration_ns / 1e9 / steps
                single[name] += event.duration_ns / 1e9 / steps
                launches[name] += 1 / steps
    bound: dict[str, float] = collections.defaultdict(float)
    for kernel in kernels.values():
        bound[kernel.kind] += chip.seconds(kernel)
    print(f"\nkernels {1e3 * sum(seconds.values()):.2f} ms a step, bound {1e3 * sum(bound.values()):.2f}")
    print("    ms  bound  kind")
    for kind in sorted(seconds | bound, key=lambda kind: -seconds.get(kind, 0))[:30]:
        print(f"{1e3 * seconds.get(kind, 0):6.3f} {1e3 * bound.get(kind, 0):6.3f}  {kind}")
    print("    us  bound   n  the kernels furthest from their bound, in all n launches of a step")
    least = {name: launches[name] * chip.seconds(kernel) for name, kernel in kernels.items()}
    for name in sorted(single.keys() & least.keys(), key=lambda name: least[name] - single[name])[:40]:
        k = kernels[name]
        figures = f"{1e6 * single[name]:6.0f} {1e6 * least[name]:6.0f} {launches[name]:3.0f}"
        print(f"{figures}  {k.kind[:28]:28s} {k.op.type[:50]:50s} {k.source[-70:]}")


def _plain(name: str) -> str:
    """An instruction's name, as its kernel is called."""
    return re.sub(r"[.\-]", "_", name)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, epilog="Also --config.FIELD=VALUE."
    )
    parser.add_argument(
        "--recipe", type=Path, default=Path("configs/imagenet_8gpu.py"), help="a file with get_config()"
    )
    parser.add_argument("--batch", type=int, nargs="+", default=[256], help="images a step")
    parser.add_argument("--steps", type=int, default=50, help="timed steps")
    parser.add_argument("--inference", action="store_true", help="the network alone, rather than the train step")
    parser.add_argument(
        "--profile", type=Path, metavar="DIR", help="print the kernels' times too; the trace lies there"
    )
    parser.add_argument("--lock", type=Path, help="a file: of several runs at once that name it one measures at a time")
    parser.add_argument("--only", choices=("jax", "torch"), help="one of the two")
    flags, overrides = parser.parse_known_args()
    changes, rest = take_overrides(overrides)
    if rest:
        sys.exit(f"no option of this program: {rest[0]}")
    runtime.configure_jax()
    device = jax.devices()[0]
    chip = next((chip for chip in CHIPS.values() if chip.name == device.device_kind), CHIPS["h100"])
    print(f"{device.device_kind}, jax {jax.__version__}", flush=True)
    best: dict[str, float] = {}

    def recipe() -> Any:
        return override(read_recipe(flags.recipe), changes)

    def each(batch: int) -> int:
        """Steps that are waited for together: of single images each, for their latency."""
        return 1 if batch == 1 else max(flags.steps // 5, 1)

    def tell(who: str, batch: int, seconds: float, note: str = "") -> None:
        best[who] = max(best.get(who, 0), batch / seconds)
        print(f"{who:8s} batch {batch:5d} {1e3 * seconds:8.3f} ms {batch / seconds:9,.0f} images/s{note}", flush=True)

    for batch in flags.batch if flags.only != "torch" else []:
        config = recipe()
        with alone(flags.lock):  # XLA measures while it compiles
            start = time.perf_counter()
            step, text = (jax_inference(config, batch), "") if flags.inference else jax_train(config, batch)
            jax.block_until_ready(step())
            first = time.perf_counter() - start
            seconds = timed(step, jax.block_until_ready, flags.steps, each(batch))
        peak = (device.memory_stats() or {}).get("peak_bytes_in_use", 0) / 2**30
        tell("jax", batch, seconds, f"   first step {first:.0f} s, peak memory {peak:.2f} GiB")
        if flags.profile and not flags.inference:
            profile(step, text, chip, flags.profile)
    if flags.only == "jax":
        return
    import torch

    print(f"torch {torch.__version__}")
    for batch in flags.batch:
        start = time.perf_counter()
        config = recipe()
        other = torch_step(batch, config.dataset.image_size, flags.inference, config.precision.compute_dtype)
        other()
        torch.cuda.synchronize()
        first = time.perf_counter() - start
        torch.cuda.reset_peak_memory_stats()
        with alone(flags.lock):
            seconds = timed(other, lambda _: torch.cuda.synchronize(), flags.steps, each(batch))
        peak = torch.cuda.max_memory_allocated() / 2**30
        tell("torch", batch, seconds, f"   first step {first:.0f} s, peak memory {peak:.2f} GiB")
        torch._dynamo.reset()
    if not flags.only:
        print(f"speed relative to torch, the best batch of each: {best['jax'] / best['torch']:.2f}")


if __name__ == "__main__":
    main()
