"""Writes an export, runs it, and keeps it only if it computes what the network does."""

import contextlib
import dataclasses
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_sample_images

from googlenet_jax.config.choices import EXPORTS, RUNTIMES, chosen
from googlenet_jax.errors import UserError, where
from googlenet_jax.export.target import Options, Target, describe
from googlenet_jax.exported.opening import ExportedNet, open_exported
from googlenet_jax.net import Net
from googlenet_jax.system.files import written_beside

LARGEST_DIFFERENCE = 1e-4  # of float32 outputs; of logits by the largest
_SIZES = (1, 3, 5)  # batches, of which all are run where the file takes any


@dataclasses.dataclass(frozen=True)
class Exported:
    """What became of an export.

    Attributes:
      files: that were written.
      size: bytes of them.
      difference: the largest of an output from the network's; None if it was not run.
      agreement: of `images` images, those whose likeliest class is the network's.
      images: that both were run on.
      unverified: why it was not run; "" if it was.
      seconds: that it took.
    """

    files: list[Path]
    size: int
    difference: float | None
    agreement: int
    images: int
    unverified: str
    seconds: float


def export(net: Net, source: str, name: str, output: Path, options: Options) -> Exported:
    """Writes a network for another system.

    Args:
      net: the network.
      source: the checkpoint that it is, as it is to be named in the file.
      name: key of `EXPORTS`.
      output: the file or directory to write; there must be none.
      options: what is written.

    Returns:
      An `Exported`.

    Raises:
      UserError: if the target cannot hold the network or do what the options say, the output exists or has another
        suffix, a package is missing, or what was written does not compute the same; nothing is left then.
    """
    start = time.monotonic()
    target: Target = chosen(EXPORTS, name, "--format").load()
    _check(name, target, output, options)
    net = net.with_temperature_inside()
    net = dataclasses.replace(net, model=net.model.clone(dtype=jnp.float32))  # whatever it was trained in
    description = describe(net, source, options, "image_size" in target.takes)
    made = [parent for parent in output.parents if not parent.exists()]
    with contextlib.ExitStack() as beside:
        beside.callback(_remove_empty, made)
        partial = beside.enter_context(written_beside(output))
        written = target.write(net, partial, options, description) or ()
        stem = output.name.removesuffix(target.suffix)
        further = {path: output.with_name(stem + path.name.removeprefix(partial.name)) for path in written}
        for path in further:
            beside.callback(path.unlink, missing_ok=True)
        for final in further.values():
            _check_absent(final)
        difference: float | None
        if target.read_back is not None:
            difference, agreement, images, unverified = _same_weights(net, target.read_back(net, partial)), 0, 0, ""
        else:
            difference, agreement, images, unverified = _run_both(net, name, partial, options)
        bound = LARGEST_DIFFERENCE if options.precision == "float32" else 1.0  # what is left out is told, not refused
        if difference is not None and not difference <= bound:
            raise UserError(
                f"--format {name}: what was written differs from the network by {difference:.2g} at most, more than "
                f"{bound:g}, so it was removed; this is a fault of googlenet export, or of its runtime"
            )
        _check_absent(output)  # another process may have been here first
        for path, final in further.items():
            path.replace(final)
    files = [output, *further.values()]
    size = sum(
        f.stat().st_size for file in files for f in (file.rglob("*") if file.is_dir() else [file]) if f.is_file()
    )
    return Exported(files, size, difference, agreement, images, unverified, time.monotonic() - start)


def _check(name: str, target: Target, output: Path, options: Options) -> None:
    if target.suffix and output.suffix != target.suffix:
        raise UserError(f"--output {where(output)}: a file of --format {name} ends in {target.suffix}")
    _check_absent(output)
    for field in dataclasses.fields(Options):
        if getattr(options, field.name) != field.default and field.name not in target.takes:
            able = [other for other, row in EXPORTS.items() if field.name in row.load().takes]
            raise UserError(f"--format {name} takes no --{field.name}; it goes with {', '.join(able)}")
    if options.precision not in target.precisions:
        able = [other for other, row in EXPORTS.items() if options.precision in row.load().precisions]
        raise UserError(f"--format {name} takes no --precision {options.precision}; it goes with {', '.join(able)}")
    if options.calibration is not None and options.precision != "int8":
        raise UserError("--calibration is of --precision int8: add it")
    if options.precision == "int8" and options.calibration is None:
        raise UserError("--precision int8 needs --calibration NAME, a config.dataset.name whose images it is scaled by")


def _check_absent(output: Path) -> None:
    if output.exists():
        raise UserError(f"--output {where(output)} exists already: choose another name, or remove it")


def _remove_empty(directories: list[Path]) -> None:
    """Removes those directories that are empty, the innermost of which is the first."""
    with contextlib.suppress(OSError):
        for directory in directories:
            directory.rmdir()


def sample_crops(size: int, count: int = 16) -> np.ndarray:
    """Crops (count, size, size, 3) uint8 of scikit-learn's two photographs, the same each time."""
    random = np.random.default_rng(0)
    photographs = [np.asarray(image) for image in load_sample_images().images]
    crops = []
    for number in range(count):
        photograph = photographs[number % len(photographs)]
        # Larger networks see the photograph enlarged: whole pixels, repeated.
        times = -(-size // min(photograph.shape[:2]))
        large = photograph.repeat(times, 0).repeat(times, 1)
        top, left = (int(random.integers(0, side - size + 1)) for side in large.shape[:2])
        crops.append(large[top : top + size, left : left + size])
    return np.stack(crops)


def reference(net: Net, crops: np.ndarray, options: Options) -> list[np.ndarray]:
    """What the network itself gives for crops, as an export with these options would."""
    size = crops.shape[1]
    preprocess = net.preprocess.replace(image_size=size, network_size=size)

    def run(variables: Any, crops: jax.Array) -> list[jax.Array]:
        outputs: Any = net.model.apply(variables, preprocess.normalize(crops), train=False, aux=options.aux)
        heads = outputs if isinstance(outputs, tuple) else (outputs,)
        return [jax.nn.softmax(head) if options.output_kind == "probabilities" else head for head in heads]

    with jax.default_matmul_precision("highest"):  # a GPU's would be TF32
        return [np.asarray(output) for output in jax.jit(run)(net.variables, jnp.asarray(crops))]


def _run_both(net: Net, name: str, path: Path, options: Options) -> tuple[float | None, int, int, str]:
    if name not in RUNTIMES:
        return None, 0, 0, f"no runtime of {name} is known here"
    try:
        opened = open_exported(path, name)
    except UserError as error:
        if "pip install" in str(error):
            return None, 0, 0, f"needs {str(error).rpartition('pip install ')[2]}"
        raise
    assert isinstance(opened, ExportedNet)
    crops = sample_crops(opened.preprocess.image_size)
    sizes = _SIZES if options.batch is None else (len(crops),)
    wanted = reference(net, crops, options)
    largest = 0.0
    agreement = 0
    for size in sizes:
        for number, (got, want) in enumerate(zip(opened.outputs(crops[-size:]), wanted, strict=True)):
            want = want[-size:]
            scale = max(float(np.abs(want).max()), 1.0)
            difference = float(np.abs(got - want).max()) / scale if got.shape == want.shape else np.inf
            largest = max(largest, difference if np.isfinite(got).all() and np.isfinite(want).all() else np.inf)
            agreement += int((got.argmax(-1) == want.argmax(-1)).sum()) if number == 0 else 0
    return largest, agreement, sum(sizes), ""


def _same_weights(net: Net, back: Any) -> float:
    """How far weights that were read back are off: 0 if they are the same to the bit.

    Auxiliary heads may be missing: not all systems have them.
    """
    there = {
        collection: {name: tree[name] for name in back.get(collection, {}) if name in tree}
        for collection, tree in net.variables.items()
    }
    structures: list[Any] = [jax.tree.structure(tree) for tree in (back, there)]
    left = {name for name in net.variables["params"] if name not in back["params"]}
    if structures[0] != structures[1] or not left <= {"aux1", "aux2"}:
        return np.inf
    pairs = zip(jax.tree.leaves(back), jax.tree.leaves(there), strict=True)
    return 0.0 if all(np.array_equal(a, np.asarray(b, np.float32)) for a, b in pairs) else np.inf
