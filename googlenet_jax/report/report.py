"""Makes the report of a network: what it learnt, where it fails, and whether it is better than another."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from googlenet_jax.classifier import Classifier
from googlenet_jax.config import override
from googlenet_jax.data.classes import named, with_classes_of
from googlenet_jax.data.order import spread
from googlenet_jax.data.sources.base import Source, Subset
from googlenet_jax.data.sources.opening import open_validation
from googlenet_jax.errors import UserError
from googlenet_jax.errors import where as place_of
from googlenet_jax.net import ExportedNet, Net, load
from googlenet_jax.report import history, sections
from googlenet_jax.report.cards import Album, Cards, name_of
from googlenet_jax.report.collect import Predictions, collect
from googlenet_jax.report.figures import write_figures
from googlenet_jax.report.html import write_page
from googlenet_jax.report.inside import inside
from googlenet_jax.report.probe import Probe
from googlenet_jax.report.tables import TABLES, write_images, write_tables
from googlenet_jax.report.where import where
from googlenet_jax.system.files import replace_file

Advance = Callable[[str, int, int], object]
_FEW, _FEWEST = 64, 16  # images that are looked at in other ways


def make_report(
    path: str,
    output: Path,
    dataset: str | None = None,
    baseline: str | None = None,
    others: Sequence[str] = (),
    sample: int | None = None,
    figures: bool = False,
    command: str = "",
    advance: Advance = lambda what, done, total: None,
) -> dict[str, Any]:
    """Writes a report and the numbers beside it.

    Args:
      path: a run, a checkpoint or an exported file.
      output: the page; `report.json` and the tables as CSV go to `numbers_of` it.
      dataset: as for `evaluate_checkpoints`; None: the one that the network was trained on.
      baseline: another network, as `path`, which sees the same images.
      others: runs whose curves are drawn too; see `history.curves`.
      sample: images of which 10 and 144 crops are seen; None: one of a thousand, at most 64, and none if those are too
        few to tell anything; 0: nor are there other precisions, maps, or a search for the nearest training images.
      figures: whether to write figures as SVG and PNG too.
      command: that repeats the report.
      advance: told what is done, and how many of how many images.

    Returns:
      The report's data.

    Raises:
      UserError: if a network or the images cannot be read, the classes do not agree, or files of those names are there
        that are no earlier report's.
    """
    numbers = numbers_of(output)
    names = ("report.json", *(f"{name}.csv" for name in TABLES))
    in_the_way = [name for name in names if (numbers / name).exists()]
    if in_the_way and not _is_report(numbers / "report.json"):
        raise UserError(f"{place_of(numbers / in_the_way[0])} would be overwritten: take another --output")
    for each in [path, *others] if others else ():
        if _run(each) is None:
            raise UserError(f"{place_of(each)} has no metrics.jsonl: of several RUNs each is there for its curves")
    net = load(path)
    config = net.config if dataset is None else override(net.config, {"dataset.name": dataset})
    training, source = open_validation(config)
    source = with_classes_of(source, net.labels, config.dataset.name, path)
    if training is not None:
        training = with_classes_of(training, net.labels, config.dataset.name, path)
    probe = Probe(net, config) if isinstance(net, Net) else None
    predictions = collect(net, source, config, _step(advance, "evaluating", len(source)), probe)
    if not len(predictions.labels):
        raise UserError(f"{config.dataset.name}: there is no image that can be read")
    choice = sections.Choice(predictions)
    album = Album()
    cards = Cards(album, source, predictions, training)
    run = _run(path)
    crops = _crops(len(choice.labels)) if sample is None else sample
    left_out = _left_out(net, run, sample, crops)
    if training is None:
        left_out.append(f"nearest training images: {config.dataset.name} has none")
    if isinstance(net, Net) and probe and sample != 0 and training is not None:
        cards.nearest = _nearest(net, probe, training, config, predictions, choice.rows(), advance)
    data: dict[str, Any] = {
        "title": Path(path).name or str(path),
        "kind": "run" if run else "exported file" if isinstance(net, ExportedNet) else "checkpoint",
        "source": str(path),
        "step": net.step,
        "family": net.model.variant.name if isinstance(net, Net) else net.description.family,
        "image_size": net.preprocess.image_size,
        "command": command,
        "labels": named(net.labels),
        "dataset": {"name": config.dataset.name, "images": len(choice.labels), "unreadable": predictions.unreadable},
        "left_out": left_out,
        "headline": sections.rates(choice) | {"recipe": history.recipe(net.config)} | _facts(run),
        "curves": history.curves(_runs([path, *others]), _run(baseline)) if run else None,
        "baseline": None,
    }
    if baseline is not None:
        data["baseline"] = _baseline(baseline, net, config, source, choice, cards, advance)
    data |= {
        "classes": sections.classes(choice),
        "confusion": sections.confusions(choice, cards),
        "mistakes": cards.all(choice.mistakes),
        "uncertain": cards.all(choice.uncertain),
        "suspects": sections.suspicious(choice, cards),
        "calibration": sections.calibrations(choice) | {"stored": net.temperature if isinstance(net, Net) else 1.0},
        "inside": None,
        "where": None,
    }
    if isinstance(net, Net) and probe:
        assert predictions.inside is not None
        advance("looking inside", 0, 1)
        few = 0 if sample == 0 else _FEW
        data["inside"] = inside(net, probe, predictions.inside, predictions, source, config, album, few, crops)
        if few:
            shown = choice.shown_right, choice.shown_wrong
            data["where"] = where(net, probe, source, predictions, cards, album, *map(list, shown))
            if data["where"] is None:
                left_out.append(
                    f"where it looks: at {net.preprocess.image_size} px the last block sees one place alone"
                )
    data["thumbnails"] = album.thumbnails
    data = _finite(data)
    numbers.mkdir(parents=True, exist_ok=True)
    replace_file(numbers / "report.json", json.dumps(data, allow_nan=False))
    write_tables(numbers, data)
    write_images(numbers, data["labels"], (name_of(source, int(i)) for i in predictions.places), predictions)
    write_page(output, data)
    if figures:
        write_figures(numbers / "figures", data)
    return data


def _is_report(path: Path) -> bool:
    """Whether an earlier report's numbers are there, which are written first."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and {"labels", "headline", "confusion"} <= found.keys()


def numbers_of(output: Path) -> Path:
    """The directory of a page's numbers: an index.html's own, for another name one beside it, such as NAME_files."""
    return output.parent if output.name == "index.html" else output.with_name(f"{output.stem}_files")


def _step(advance: Advance, what: str, total: int) -> Callable[[int], object]:
    return lambda images: advance(what, images, total)


def _crops(images: int) -> int:
    """Of how many images 10 and 144 crops are seen in a fifth of the time that all of them take."""
    few = min(images // 1000, _FEW)
    return few if few >= _FEWEST else 0


def _left_out(net: Classifier, run: Path | None, sample: int | None, crops: int) -> list[str]:
    lines = []
    if run is None:
        lines.append("curves: there are metrics of a training in its run alone")
    if not isinstance(net, Net):
        lines.append("inside, where it looks, nearest training images: an exported file shows its outputs alone")
    elif sample == 0:
        lines.append("crops, precisions, where it looks, nearest training images: left out by --sample 0")
    elif not crops:
        lines.append("the gain of 10 and 144 crops, which takes longer than all else: asked for by --sample 64")
    return lines


def _facts(run: Path | None) -> dict[str, Any]:
    none = {"epochs": None, "hours": None, "images_per_second": None, "repeat": None}
    return history.facts(run) if run else none


def _baseline(
    path: str, net: Classifier, config: Any, source: Source, choice: sections.Choice, cards: Cards, advance: Advance
) -> dict[str, Any]:
    other = load(path)
    if list(other.labels) != list(net.labels):
        raise UserError(f"--baseline {place_of(path)} tells other classes apart")
    found = sections.Choice(collect(other, source, config, _step(advance, "evaluating the baseline", len(source))))
    return (
        {"title": Path(path).name or path, "source": path}
        | sections.rates(found)
        | sections.against(choice, found, cards)
    )


def _run(path: str | None) -> Path | None:
    """A path as that of a run that left metrics; None if it is none."""
    return Path(path) if path is not None and (Path(path) / "metrics.jsonl").is_file() else None


def _runs(paths: Sequence[str]) -> list[Path]:
    """Those of the paths that are runs, each once."""
    found = {run.resolve(): run for run in map(_run, paths) if run}
    return [*found.values()]


def _nearest(
    net: Net,
    probe: Probe,
    training: Source,
    config: Any,
    predictions: Predictions,
    rows: np.ndarray,
    advance: Advance,
) -> dict[int, int]:
    """Of each row the training image that is nearest by the angle between features.

    Sought among a twentieth as many as there are validation images: all would take as long as an epoch of training.
    """
    indices = spread(len(training), max(len(predictions.labels) // 20, _FEW))
    step = _step(advance, "training images", len(indices))
    found = collect(net, Subset(training, indices), config, step, probe)
    if not len(found.places):
        return {}
    assert predictions.features is not None and found.features is not None
    own, theirs = (_unit(each.astype(np.float32)) for each in (predictions.features[rows], found.features))
    nearest = indices[found.places[(own @ theirs.T).argmax(-1)]]
    return dict(zip(rows.tolist(), nearest.tolist(), strict=True))


def _unit(features: np.ndarray) -> np.ndarray:
    return features / np.maximum(np.linalg.norm(features, axis=-1, keepdims=True), 1e-12)


def _finite(value: Any) -> Any:
    """As JSON holds it: no NaN or infinity, and floats of six digits."""
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    if isinstance(value, float | np.floating):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value
