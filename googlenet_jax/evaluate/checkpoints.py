"""Trained networks over validation images, by a test protocol, alone or as an ensemble."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax

from googlenet_jax.classifier import NOT_FINITE
from googlenet_jax.config import override
from googlenet_jax.data.bad_images import BadImageLog
from googlenet_jax.data.classes import with_classes_of
from googlenet_jax.data.loader import Process, eval_batches
from googlenet_jax.data.sources.opening import open_validation
from googlenet_jax.errors import UserError
from googlenet_jax.evaluate.evaluator import Evaluator, Member, eval_batch_size, windows_of
from googlenet_jax.evaluate.metrics import beyond_use
from googlenet_jax.net import ExportedNet, Net, load
from googlenet_jax.system.parallel import replicate


def evaluate_checkpoints(
    paths: Sequence[str | Path],
    dataset: str | None = None,
    crops: int = 1,
    resize: str | None = None,
    advance: Callable[[int, int], object] = lambda done, total: None,
) -> dict[str, Any]:
    """Evaluates a checkpoint, or several as an ensemble, on validation images.

    Args:
      paths: each as for `net.load`; their softmaxes are averaged.
      dataset: a `dataset.name` whose classes are the network's, or some of them, see `with_classes_of`; None: the one
        that the first was trained on. A folder may hold validation images alone, see `open_validation`.
      crops: a key of `TEST_CROPS`, see `evaluate.views`.
      resize: a key of `RESIZES`; None: as each network has it.
      advance: told how many images went to the devices, and of how many.

    Returns:
      {"loss", "top1", "top5", "images", "unreadable_images", "crops", "checkpoints", "per_class": {class name:
      {"top1", "images"}}}.

    Raises:
      UserError: if a checkpoint or the images cannot be read, the classes do not agree, or the network is
        `beyond_use`.
    """
    if crops == 144 and resize == "square":
        raise UserError("--crops 144 keeps the image's shape; --resize square goes with 1 or 10 crops")
    nets = [load(path) for path in paths]
    for path, net in zip(paths, nets, strict=True):
        if list(net.labels) != list(nets[0].labels):
            raise UserError(f"{path} and {paths[0]} tell other classes apart: they make no ensemble")
    config = nets[0].config if dataset is None else override(nets[0].config, {"dataset.name": dataset})
    source = with_classes_of(open_validation(config)[1], nets[0].labels, config.dataset.name, paths[0])

    devices = jax.devices()
    members = [_member(net, resize) for net in nets]
    bad_images = BadImageLog(config.dataset.bad_images)
    cut = windows_of([member.preprocess for member in members], crops)
    process = Process(jax.process_index(), jax.process_count())
    batches = eval_batches(source, config, cut, bad_images, eval_batch_size(config, devices, crops), process)
    evaluator = Evaluator(members, devices, mirror=crops > 1)
    variables = [replicate(net.variables, devices) if isinstance(net, Net) else {} for net in nets]
    result = evaluator.run(variables, batches, functools.partial(_advance, advance, len(source)))
    if beyond_use(result.values, len(nets[0].labels)):
        raise UserError(f"{' or '.join(map(str, paths))}: {NOT_FINITE}")
    per_class = {
        f"{label}": {"top1": float(right / seen) if seen else None, "images": int(seen)}
        for label, seen, right in zip(_distinct(nets[0].labels), result.seen, result.right, strict=True)
    }
    return result.values | {
        "images": int(result.seen.sum()),
        "unreadable_images": len(source) - int(result.seen.sum()),
        "crops": crops,
        "checkpoints": [{"path": str(path), "step": net.step} for path, net in zip(paths, nets, strict=True)],
        "per_class": per_class,
    }


def _member(net: Net | ExportedNet, resize: str | None) -> Member:
    preprocess = net.preprocess if resize is None else net.preprocess.replace(resize=resize)
    if isinstance(net, Net):
        return Member(net.model, preprocess, net.model.num_classes, net.temperature)
    return Member(None, preprocess, len(net.labels), classify=net.classify)


def _advance(advance: Callable[[int, int], object], total: int, images: int) -> None:
    advance(images, total)


def _distinct(labels: Sequence[str]) -> list[str]:
    """Class names with the class's number where two classes have the same, as ImageNet's two cranes."""
    return [label if list(labels).count(label) == 1 else f"{label} ({i})" for i, label in enumerate(labels)]
