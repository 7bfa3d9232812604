"""Image input beside PyTorch's and tf.data's on the same files: images a second, first batch, memory, and ratios.

    pip install psutil torch tensorflow-cpu
    python benchmarks/input.py --data FOLDER_OF_JPEGS            # the comparison
    python benchmarks/input.py --data FOLDER_OF_JPEGS --shares   # where one thread's time goes
    python benchmarks/input.py --cached                          # CIFAR-10's size: device cache against a host loop

Every contestant runs in a process of its own, one after the other, round after round; medians count, of a ratio the
median over the rounds. In brackets stands the ratio by CPU time, the one to believe on a busy machine. The clock for
the first batch starts with the process, so Python and imports are in it. Memory is the proportional set size of the
process and its workers: what they share counts once. Files come from the page cache, packs are made beforehand, and
batches stay on the host. This project mirrors images on the device, which is not in its figures; for a batch of uint8
that is negligible. Ratios compare unlike pixels where the last column differs.
"""

import argparse
import collections
import functools
import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

import input_peers as peers
import numpy as np
from input_peers import Job
from rich.console import Console
from rich.table import Table

console = Console(highlight=False, width=140)


class Contestant(NamedTuple):
    """A way from files to batches.

    Attributes:
      batches: begins an endless iterator over batches of images.
      antialiased: whether its resizing is.
      bounds: least ratio of its throughput to others'.
      pack: makes what it reads, beforehand, unless it is there.
    """

    batches: Callable[[Job], Iterator[Any]]
    antialiased: bool
    bounds: dict[str, float]
    pack: Callable[[Job], None] | None = None


def config_of(job: Job, settings: dict[str, Any]) -> Any:
    """This project's configuration for a job; in a setting that is text, {root} stands for the job's."""
    from googlenet_jax.config import default_config

    config = default_config()
    config.batch_size, config.augment.crop, config.augment.flip = job.batch, "resized", True
    config.dataset.image_size, config.dataset.num_threads = job.size, job.workers
    for name, value in settings.items():
        config.update_from_flattened_dict({name: value.format(root=job.root) if isinstance(value, str) else value})
    return config


def ours(job: Job, settings: dict[str, Any]) -> Iterator[np.ndarray]:
    """This project's training batches."""
    from googlenet_jax.data.bad_images import BadImageLog
    from googlenet_jax.data.loader import train_batches
    from googlenet_jax.data.sources.opening import open_source

    config = config_of(job, settings)
    source = open_source(config)[0]
    central: Any = None  # nothing here asks for evaluation's crop
    return (batch.images for batch in train_batches(source, config, central, BadImageLog("error")))


def pack_ours(job: Job, name: str, **form: Any) -> None:
    """Packs root/folder in a form into root/name."""
    from googlenet_jax.prepare.folder import prepare_folder
    from googlenet_jax.prepare.form import Form

    output = Path(job.root, name)
    if not output.is_dir():
        prepare_folder(str(Path(job.root, "folder")), output, Form(**form), lambda split, done, total: None)


def stages(job: Job) -> list[tuple[str, Callable[[Any], Any]]]:
    """One image's way through this project's loader in pieces: the first takes a path, each what the last one gave."""
    from googlenet_jax.data.crops.resize import resize
    from googlenet_jax.data.crops.windows import DRAWS, Window, torchvision_window
    from googlenet_jax.data.pictures.picture import Picture, largest_shrink, open_picture, read_file

    augment = config_of(job, {}).augment
    draws = iter(np.random.default_rng(0).random((job.images, DRAWS)).tolist())

    def sample(picture: Picture) -> tuple[Picture, Window]:
        return picture, torchvision_window(picture.width, picture.height, next(draws), augment.area, augment.aspect)

    def decode(found: tuple[Picture, Window]) -> tuple[Any, Window]:
        picture, box = found
        region = picture.region(box, largest_shrink(box, job.size))
        return SimpleNamespace(width=picture.width, height=picture.height, region=lambda *_: region), box

    return [
        ("read", read_file),
        ("header", lambda data: open_picture(data, "")),
        ("sample", sample),
        ("decode", decode),
        ("crop, resize", lambda found: resize(found[0], job.size, found[1], antialias=False)),
    ]


def cached_ours(images: np.ndarray, labels: np.ndarray, batch: int) -> Callable[[], Iterator[Any]]:
    """What `peers.cached_loop` does, as training does it: fed from the devices, augmented there."""
    import jax
    import jax.numpy as jnp
    from jax import lax

    from googlenet_jax.data.augment.batch import augment, erase
    from googlenet_jax.data.bad_images import BadImageLog
    from googlenet_jax.data.sources.base import ArraySource
    from googlenet_jax.system.parallel import AXIS, parallel
    from googlenet_jax.train.feed import feed
    from googlenet_jax.train.setup import build_training

    settings = {"num_devices": 1, "dataset.cache": "device", "augment.crop": "shift", "augment.cutout": 8}
    config = config_of(Job("", len(images), 2, batch, images.shape[1]), settings)
    source = ArraySource(images, labels, [str(label) for label in range(10)])
    training = build_training(config, len(images), 10)
    fed = feed(source, training, BadImageLog("error"), 0, lambda done, total: None)

    def make(step: jax.Array, images: jax.Array, labels: jax.Array) -> tuple[jax.Array, jax.Array]:
        place = lax.axis_index(AXIS) * len(labels) + jnp.arange(len(labels))
        keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.fold_in(jax.random.key(0), step), place)
        inputs = training.preprocess.normalize(augment(images, keys, config.augment))
        return erase(inputs, keys, config.augment), labels

    made = parallel(make, training.devices, replicated=1, split=2, split_result=True)

    def epoch() -> Iterator[Any]:
        for step in range(len(images) // batch):
            yield made(np.int32(step), *next(fed))

    return epoch


def _ours(bounds: dict[str, float], antialias: bool = False, repeats: int = 1, **form: Any) -> Contestant:
    name = "-".join(f"{key}-{value}" for key, value in form.items())
    settings = {
        "dataset.name": f"records:{{root}}/{name}" if form else "folder:{root}/folder",
        "augment.antialias": antialias,
        "augment.repeats": repeats,
    }
    pack = functools.partial(pack_ours, name=name, **form) if form else None
    return Contestant(functools.partial(ours, settings=settings), antialias, bounds, pack)


PLAIN_BOUNDS = {"torch": 2.0, "tf-flax": 1.4}
TILES_BOUNDS = {"torch": 2.4, "tf-flax": 1.8, "tf-uint8": 1.1}
ANTIALIAS_BOUNDS = {"torch": 1.3}
CONTESTANTS = {
    "torch": Contestant(functools.partial(peers.torch_batches, normalize=True), True, {}),
    "torch-uint8": Contestant(functools.partial(peers.torch_batches, normalize=False), True, {}),
    "tf-flax": Contestant(functools.partial(peers.tf_batches, normalize=True), False, {}, peers.pack_tfrecords),
    "tf-uint8": Contestant(functools.partial(peers.tf_batches, normalize=False), False, {}, peers.pack_tfrecords),
    "records": _ours(PLAIN_BOUNDS, tiles=False),
    "files": _ours(PLAIN_BOUNDS),
    "records+tiles": _ours(TILES_BOUNDS, tiles=True),
    "files+antialias": _ours(ANTIALIAS_BOUNDS, antialias=True),
    "records+tiles+antialias": _ours(ANTIALIAS_BOUNDS, antialias=True, tiles=True),
    "files+antialias+repeats": _ours(ANTIALIAS_BOUNDS, antialias=True, repeats=4),
    "records+400px+antialias": _ours(ANTIALIAS_BOUNDS, antialias=True, short_side=400),
    "records+320px+antialias": _ours(ANTIALIAS_BOUNDS, antialias=True, short_side=320),
    "records+256px+antialias": _ours(ANTIALIAS_BOUNDS, antialias=True, short_side=256),
    "records+256px+tiles+antialias": _ours(ANTIALIAS_BOUNDS, antialias=True, short_side=256, tiles=True),
}
RATIOS_TO = ("torch", "tf-flax", "tf-uint8")
MOST_SECONDS_TO_FIRST, MOST_MEMORY_OF_TF_DATA, LEAST_CACHED_RATIO = 2.0, 0.5, 8.0


def _command(stage: str, name: str, job: Job) -> list[str]:
    return [sys.executable, __file__, "--child", json.dumps([stage, name, job])]


def child(stage: str, name: str, values: list[Any]) -> None:
    """A contestant's part that runs in a process of its own: "pack" or "batches" for a `Job` of these values."""
    contestant, job, result = CONTESTANTS[name], Job(*values), {}
    if stage == "batches":
        result = peers.measure(contestant.batches(job), job)
    elif contestant.pack:
        contestant.pack(job)
    print(json.dumps(result))


def compare(job: Job, rounds: int, names: list[str]) -> None:
    """Prints the table of all contestants, and that of this project's ratios to the others."""
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for stage, name in itertools.product(["pack"] + rounds * ["batches"], names):
        try:
            if name in runs:
                runs[name].append(peers.watch(_command(stage, name, job)))
        except ChildProcessError as error:
            hint = "; pip install torch tensorflow-cpu" if "No module named" in str(error) else ""
            console.print(f"{name} is left out: {error}{hint}", markup=False)
            del runs[name]
    runs = {name: results[1:] for name, results in runs.items()}  # without what packing gave

    def middle(name: str, key: str) -> float:
        return median(result[key] for result in runs[name])

    table = Table("", "first batch, s", "images/s", "per core", "per CPU s", "peak MB", "output", box=None)
    for name, results in runs.items():
        rate = middle(name, "rate")
        figures = [rate, rate / job.workers, middle(name, "cpu_rate"), middle(name, "peak") / 1e6]
        output = f"{results[0]['dtype']}, {'' if CONTESTANTS[name].antialiased else 'not '}antialiased"
        table.add_row(name, f"{middle(name, 'first'):.2f}", *(f"{figure:.0f}" for figure in figures), output)
    console.print(table)
    console.print("\nimages/s by others' (by CPU time)")
    table = Table("", *RATIOS_TO, "first batch, s", "memory by tf.data's", box=None)
    for name in filter(lambda name: CONTESTANTS[name].bounds, runs):
        bounds, cells = CONTESTANTS[name].bounds, []
        for peer in RATIOS_TO:
            pairs = list(zip(runs[name], runs.get(peer, ()), strict=False))
            ratio, by_cpu = (median([a[key] / b[key] for a, b in pairs] or [0]) for key in ("rate", "cpu_rate"))
            cells.append(f"{_judged(ratio, least=bounds.get(peer))} ({by_cpu:.2f})" if pairs else "")
        cells.append(_judged(middle(name, "first"), most=MOST_SECONDS_TO_FIRST))
        if peaks := [middle(peer, "peak") for peer in ("tf-flax", "tf-uint8") if peer in runs]:
            cells.append(_judged(middle(name, "peak") / min(peaks), most=MOST_MEMORY_OF_TF_DATA))
        table.add_row(name, *cells)
    console.print(table)


def _judged(value: float, least: float | None = None, most: float | None = None) -> str:
    if least is None and most is None:
        return f"{value:.2f}"
    met = value >= (least or 0) and value <= (most or value)
    return f"{value:.2f} {'' if met else 'not '}{f'>= {least}' if least else f'<= {most}'}"


def shares(job: Job) -> None:
    """Prints where the time of the plain loader's one thread goes; what its pieces leave is the rest."""
    one = job._replace(workers=1)
    whole = 1000 / peers.watch(_command("batches", "files", one))["rate"]
    pieces = stages(one)
    seconds = dict.fromkeys((name for name, _ in pieces), 0.0)
    for value in one.files():
        for name, piece in pieces:
            start = time.perf_counter()
            value = piece(value)
            seconds[name] += time.perf_counter() - start
    table = Table("one thread", "ms/image", "share", box=None)
    rows = {name: 1000 * total / job.images for name, total in seconds.items()}
    for name, ms in (*rows.items(), ("rest", whole - sum(rows.values())), ("whole", whole)):
        table.add_row(name, f"{ms:.3f}", f"{ms / whole:.0%}")
    console.print(table)


def compare_cached(batch: int, rounds: int) -> None:
    """Prints what an epoch of 50,000 32 x 32 images takes on either side, and the ratio."""
    import jax

    from googlenet_jax.system import runtime

    runtime.configure_jax()
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (50_000, 32, 32, 3), np.uint8), rng.integers(0, 10, 50_000, np.int32)
    epoch = cached_ours(images, labels, batch)
    jax.block_until_ready(next(epoch()))  # compiles
    seconds: list[tuple[float, float]] = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in peers.cached_loop(images, labels, batch, rng):
            pass
        between = time.perf_counter()
        jax.block_until_ready(collections.deque(epoch(), maxlen=1)[0])
        seconds.append((between - start, time.perf_counter() - between))
    loop, cached = (median(column) for column in zip(*seconds, strict=True))
    ratio = _judged(median(a / b for a, b in seconds), least=LEAST_CACHED_RATIO)
    console.print(f"host loop {loop:.2f} s an epoch, device cache {cached:.3f} s, ratio {ratio}")


def main() -> None:
    """Measures what is asked for and prints it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with JPEG files, at any depth")
    parser.add_argument("--images", type=int, default=3072, help="timed in a round; files are repeated up to that")
    parser.add_argument("--workers", type=int, default=2, help="threads or processes that decode")
    parser.add_argument("--batch", type=int, help="images a batch (default: 128, 512 with --cached)")
    parser.add_argument("--size", type=int, default=224, help="image side, pixels")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS), help="these contestants")
    parser.add_argument("--shares", action="store_true", help="where one thread's time goes, instead")
    parser.add_argument("--cached", action="store_true", help="small images on the device, instead")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.child:
        return child(*json.loads(flags.child))
    console.print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start")
    if flags.cached:
        return compare_cached(flags.batch or 512, flags.rounds)
    if not flags.data:
        parser.error("--data FOLDER is needed")
    with tempfile.TemporaryDirectory() as root:
        job = Job(root, flags.images, flags.workers, flags.batch or 128, flags.size)
        peers.link_files(flags.data, job)
        return shares(job) if flags.shares else compare(job, flags.rounds, flags.only)


if __name__ == "__main__":
    main()
