"""Compiles a recipe's program for a GPU that is not there, and prints what each kernel reads, writes and computes.

    pip install --no-deps --target plugin jax-cuda12-plugin==0.10.2 jax-cuda12-pjrt==0.10.2   # the versions of your jax
    PYTHONPATH=plugin python benchmarks/gpu_program.py --recipe configs/imagenet_8gpu.py --batch 256
    PYTHONPATH=plugin python benchmarks/gpu_program.py --compare HEAD~5

XLA's GPU compiler needs no GPU. The bound of a kernel is the longest of its bytes by the bandwidth, its products by the
peak, its elementwise operations by their rate, plus a launch (2 us). It ranks programs; it is no forecast of images/s:
see hlo.py for what is not modelled. One program takes about a minute to compile. With --tpu it is compiled for a TPU
(`pip install --no-deps --target plugin libtpu==0.0.42`, the version that your jax asks for) and its memory printed.
"""

import argparse
import collections
import inspect
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

from hlo import Kernel, Module, size_of

_LAUNCH = 2e-6  # seconds


class Chip(NamedTuple):
    """A GPU, by its maker's data sheet: what XLA asks of it, and the rates that bound a kernel.

    Attributes:
      name: as the driver says it.
      capability: compute capability.
      cores, lanes: multiprocessors, and float32 units of each.
      clock: GHz.
      memory, l2, shared: bytes of memory, of second-level cache, and of shared memory a multiprocessor.
      bandwidth: bytes a second.
      half, single: flops a second of dense products in bfloat16 or float16, and in float32 as TF32.
    """

    name: str
    capability: tuple[int, int]
    cores: int
    lanes: int
    clock: float
    memory: int
    l2: int
    shared: int
    bandwidth: float
    half: float
    single: float

    @property
    def arithmetic(self) -> float:
        """Elementwise operations a second, one an instruction."""
        return self.cores * self.lanes * self.clock * 1e9

    def seconds(self, kernel: Kernel) -> float:
        """The least time that a kernel takes."""
        peaks = {"bf16": self.half, "f16": self.half}
        products = sum(flops / peaks.get(kind, self.single) for kind, flops in kernel.products.items())
        return max(kernel.bytes / self.bandwidth, products, kernel.arithmetic / self.arithmetic) + _LAUNCH

    def description(self) -> str:
        """The text by which XLA compiles for it."""
        major, minor = self.capability
        return f"""
            gpu_device_info {{
              threads_per_block_limit: 1024 threads_per_warp: 32 threads_per_core_limit: 2048
              core_count: {self.cores} fpus_per_core: {self.lanes} shared_memory_per_block: 49152
              shared_memory_per_core: {self.shared} shared_memory_per_block_optin: {self.shared - 1024}
              block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
              memory_bandwidth: {self.bandwidth:.0f} l2_cache_size: {self.l2} clock_rate_ghz: {self.clock}
              device_memory_size: {self.memory} registers_per_core_limit: 65536 registers_per_block_limit: 65536
              cuda_compute_capability {{ major: {major} minor: {minor} }}
            }}
            platform_name: "CUDA" dnn_version_info {{ major: 9 minor: 10 patch: 0 }}
            device_description_str: "{self.name}"
        """


_H100 = Chip(
    name="NVIDIA H100 80GB HBM3",
    capability=(9, 0),
    cores=132,
    lanes=128,
    clock=1.755,
    memory=84942979072,
    l2=52428800,
    shared=233472,
    bandwidth=3.35e12,
    half=989e12,
    single=494e12,
)
CHIPS = {
    "h100": _H100,
    "h200": _H100._replace(name="NVIDIA H200", memory=150754820096, l2=62914560, bandwidth=4.8e12),
    "a100": Chip(
        "NVIDIA A100-SXM4-80GB", (8, 0), 108, 64, 1.41, 84942979072, 41943040, 167936, 2.04e12, 312e12, 156e12
    ),
    "b200": Chip("NVIDIA B200", (10, 0), 148, 128, 1.85, 191505629184, 132120576, 233472, 8e12, 2250e12, 1125e12),
}


class Program(NamedTuple):
    """A compiled program: the module's text, and bytes of temporaries and arguments on one device."""

    text: str
    temporary: int
    arguments: int


def topology_of(flags: argparse.Namespace) -> list[Any]:
    """The devices of a machine that is not there."""
    from jax.experimental import topologies

    if flags.tpu:
        os.environ.update(TPU_SKIP_MDS_QUERY="1", TPU_WORKER_HOSTNAMES="localhost")
        return list(topologies.get_topology_desc("v5e:2x4", "tpu").devices)
    text, shape = CHIPS[flags.chip].description(), f"1x1x{flags.devices}"  # partitions, hosts, devices of a host
    return list(topologies.get_topology_desc(flags.chip, "cuda", target_config=text, topology=shape).devices)


def compile_program(flags: argparse.Namespace) -> Program:
    """Compiles a recipe's train step, or its network's inference."""
    sys.path.insert(0, flags.tree)
    os.environ.update(JAX_SKIP_CUDA_CONSTRAINTS_CHECK="1", JAX_PLATFORMS="cpu")  # no CUDA library is asked for
    import jax
    import numpy as np
    from jax.sharding import Mesh, NamedSharding
    from jax.sharding import PartitionSpec as P

    jax.default_backend = lambda: "gpu"  # by which older revisions chose their pool
    from googlenet_jax.cli.launch import take_overrides
    from googlenet_jax.config.overrides import override, parse
    from googlenet_jax.config.recipes import read_recipe
    from googlenet_jax.models.make_model import make_model
    from googlenet_jax.system.parallel import AXIS

    changes, rest = take_overrides(flags.overrides)
    if rest:
        sys.exit(f"no option of this program: {rest[0]}")
    config = override(read_recipe(Path(flags.recipe)), {name: parse(name, text) for name, text in changes.items()})
    devices = topology_of(flags)
    config.batch_size, config.num_devices = flags.batch * len(devices), len(devices)
    size, classes = config.dataset.image_size, 1000 if config.dataset.image_size > 64 else 10
    mesh = Mesh(np.array(devices), (AXIS,))

    def placed(tree: Any, spec: Any) -> Any:
        sharding = NamedSharding(mesh, spec)
        return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=sharding), tree)

    images = jax.ShapeDtypeStruct((config.batch_size, size, size, 3), np.uint8)
    if flags.inference:
        model = make_model(config, classes)
        variables = jax.eval_shape(model.init, jax.random.key(0), np.zeros((1, size, size, 3), np.float32))

        def infer(variables: Any, images: Any) -> Any:
            return model.apply(variables, images / np.float32(128) - 1)

        whole = jax.shard_map(infer, mesh=mesh, in_specs=(P(), P(AXIS)), out_specs=P(AXIS), check_vma=False)
        lowered = jax.jit(whole).lower(placed(variables, P()), placed(images, P(AXIS)))
    else:
        step, init = _train_step(config, classes)
        state, measured = jax.eval_shape(init)
        labels = jax.ShapeDtypeStruct((config.batch_size,), np.int32)
        specs = (P(), P(), P(AXIS), P(AXIS))
        whole = jax.shard_map(step, mesh=mesh, in_specs=specs, out_specs=(P(), P()), check_vma=False)
        arguments = (placed(state, P()), placed(measured, P()), placed(images, P(AXIS)), placed(labels, P(AXIS)))
        lowered = jax.jit(whole, donate_argnums=(0, 1)).lower(*arguments)
    compiled = lowered.compile()
    memory: Any = compiled.memory_analysis()
    return Program(compiled.as_text() or "", memory.temp_size_in_bytes, memory.argument_size_in_bytes)


def _train_step(config: Any, classes: int) -> tuple[Callable[..., Any], Callable[[], Any]]:
    """The step, and what makes its state and measurements; of earlier revisions too."""
    import jax
    import jax.numpy as jnp

    from googlenet_jax.data.preprocess import make_preprocess
    from googlenet_jax.models.make_model import make_model
    from googlenet_jax.system.parallel import AXIS
    from googlenet_jax.train import setup
    from googlenet_jax.train.optimizer import make_optimizer
    from googlenet_jax.train.schedule import make_schedule
    from googlenet_jax.train.state import Measured, abstract_variables, create_state
    from googlenet_jax.train.step import make_train_step

    model, optimizer = make_model(config, classes, AXIS), make_optimizer(config.optimizer)
    base = {"learning_rate": 1.0} if "learning_rate" in inspect.signature(make_schedule).parameters else {}
    schedule = make_schedule(config.schedule, **base, steps_per_epoch=1000, num_epochs=config.num_epochs)
    packed = [setup.make_packings(model, config, "gpu")] if hasattr(setup, "make_packings") else []
    step = make_train_step(model, optimizer, schedule, make_preprocess(config), config, *packed)

    def init() -> Any:
        variables = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), abstract_variables(model, config))
        state = create_state(variables, optimizer, config)
        return setup.pack(state, *packed[0]) if packed else state, Measured.empty()

    return step, init


def phase_of(kernel: Kernel) -> str:
    """Which part of a step a kernel belongs to, by the name that JAX gave it."""
    name = kernel.source
    if "transpose(jvp" in name:
        return "backward"
    if "jvp(" in name:
        return "forward"
    return "augment" if "vmap" in name or "normalize" in name else "update"


def summary_of(kernels: list[Kernel], chip: Chip, batch: int) -> str:
    """One line: kernels, megabytes and flops an image, and the bound."""
    seconds = sum(chip.seconds(k) for k in kernels)
    moved, flops = (sum(getattr(k, name) for k in kernels) / batch for name in ("bytes", "flops"))
    return (
        f"{moved / 1e6:.1f} MB an image, {len(kernels)} kernels, {flops / 1e9:.2f} GFLOP an image, bound "
        f"{1e3 * seconds:.2f} ms = {batch / seconds:,.0f} images/s"
    )


def _memory_of(program: Program) -> str:
    return f"memory {program.temporary / 2**30:.2f} GiB, and {program.arguments / 2**30:.2f} of arguments"


def report(program: Program, chip: Chip, batch: int, top: int) -> None:
    """Prints a program's cost: in all, by kind and phase, and its largest kernels."""
    kernels = Module(program.text).kernels()
    gib = 2**30
    print(
        f"{summary_of(kernels, chip, batch)}; memory {program.temporary / gib:.2f} GiB + {program.arguments / gib:.2f}"
    )
    exchanges = [k for k in kernels if k.op.op.startswith(("all-reduce", "reduce-scatter", "all-gather"))]
    if exchanges:
        print(f"{len(exchanges)} collectives, {sum(size_of(k.op.type) for k in exchanges) / 1e6:.1f} MB a device")

    def table(title: str, key: Callable[[Kernel], str]) -> None:
        groups: dict[str, list[Kernel]] = collections.defaultdict(list)
        for kernel in kernels:
            groups[key(kernel)].append(kernel)
        print(f"\n    ms  kernels  MB/image  GFLOP/image  {title}")
        for name, group in sorted(groups.items(), key=lambda item: -sum(map(chip.seconds, item[1]))):
            moved, flops = (sum(getattr(k, what) for k in group) / batch for what in ("bytes", "flops"))
            milliseconds = 1e3 * sum(map(chip.seconds, group))
            print(f"{milliseconds:6.3f} {len(group):8d} {moved / 1e6:9.2f} {flops / 1e9:12.2f}  {name}")

    table("kind", lambda kernel: kernel.kind)
    table("phase", phase_of)
    print("\n    us      MB   GFLOP  the largest kernels")
    for k in sorted(kernels, key=chip.seconds, reverse=True)[:top]:
        figures = f"{1e6 * chip.seconds(k):6.0f} {k.bytes / 1e6:7.0f} {k.flops / 1e9:7.1f}"
        print(f"{figures}  {k.kind[:26]:26s} {k.op.type[:56]:56s} {k.source[-70:]}")


def compare(revision: str, arguments: Iterable[str]) -> None:
    """The same for an earlier revision of the project."""
    git = ["git", "-C", str(Path(__file__).parents[1]), "worktree"]
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([*git, "add", "--quiet", "--detach", directory, revision], check=True)
        try:
            subprocess.run([sys.executable, __file__, "--tree", directory, *arguments], check=True)
        finally:
            subprocess.run([*git, "remove", "--force", directory], check=True)


def main() -> None:
    """Compiles and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, epilog="Also --config.FIELD=VALUE."
    )
    parser.add_argument("--recipe", default="configs/imagenet_8gpu.py", help="a file with get_config()")
    parser.add_argument("--batch", type=int, default=256, help="images a device")
    parser.add_argument("--devices", type=int, default=1, help="GPUs of one machine")
    parser.add_argument("--chip", choices=CHIPS, default="h100")
    parser.add_argument("--inference", action="store_true", help="the network alone, rather than the train step")
    parser.add_argument("--tpu", action="store_true", help="for eight TPU v5e instead: memory only")
    parser.add_argument("--compare", metavar="REF", help="a git revision to compile likewise, first")
    parser.add_argument("--save", type=Path, help="where to write the compiled module")
    parser.add_argument("--top", type=int, default=25, help="how many of the largest kernels to print")
    parser.add_argument("--tree", default=str(Path(__file__).parents[1]), help="the project's files")
    flags, overrides = parser.parse_known_args()
    flags.overrides = overrides
    if flags.compare:
        at = sys.argv.index("--compare") if "--compare" in sys.argv else None
        rest = sys.argv[1:at] + sys.argv[at + 2 :] if at else [a for a in sys.argv[1:] if "--compare" not in a]
        print(f"at {flags.compare}:", flush=True)
        compare(flags.compare, [*rest, "--top", "0"])
        print("here:")
    start = time.perf_counter()
    program = compile_program(flags)
    print(f"compiled in {time.perf_counter() - start:.0f} s", flush=True)
    if flags.save:
        flags.save.write_text(program.text)
    if flags.tpu:
        print(_memory_of(program))
    else:
        report(program, CHIPS[flags.chip], flags.batch, flags.top)


if __name__ == "__main__":
    main()
