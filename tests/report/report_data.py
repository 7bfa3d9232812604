"""Reports of networks that were never trained: data as `googlenet report` gathers it, made up from a seed."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

HOSTILE = '<img src=x onerror="window.broken=1">'
LABELS = (
    "tench",
    "English springer",
    "cassette player",
    "chain saw",
    "church",
    "French horn",
    "garbage truck",
    "gas pump",
    "golf ball",
    "parachute",
)
CURVES = ("loss", "top1", "top5", "learning_rate", "gradient_norm", "loss_scale", "skipped_steps", "images_per_second")
BLOCKS = ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")


def as_thumbnail(picture: Image.Image, size: int = 96) -> str:
    """A picture as the page embeds it."""
    file = io.BytesIO()
    picture.convert("RGB").resize((size, size)).save(file, "WEBP", quality=60)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def blots(rng: np.random.Generator, size: int = 96) -> str:
    """A thumbnail of a few large blots of colour."""
    return as_thumbnail(Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)), size)


def wilson(right: float, n: int) -> dict[str, float]:
    """A share of n with its 95 % interval."""
    p, z = right / n, 1.96
    middle, half = p + z * z / (2 * n), z * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    return {"value": p, "low": (middle - half) / (1 + z * z / n), "high": (middle + half) / (1 + z * z / n)}


def report_data(
    classes: int = 10, n: int = 400, seed: int = 0, thumbnails: Sequence[str] = (), hostile: bool = False
) -> dict[str, Any]:
    """A whole report.

    Args:
      classes: how many; beyond ten they have made-up names.
      n: images a class.
      seed: of all that is drawn.
      thumbnails: pictures to take in place of blots.
      hostile: whether labels and names of files try to be elements of the page.

    Returns:
      The report's data, which the caller may change.
    """
    rng = np.random.default_rng(seed)
    labels = [*LABELS, *(f"n{k:08d} thing {k}, of the kind {k % 7}" for k in range(10, classes))][:classes]
    pictures = list(thumbnails) or [blots(rng) for _ in range(24)]
    if hostile:
        labels = [f"{HOSTILE}{label}" for label in labels]

    def a_card(true: int | None = None, wrong: bool = True, **more: Any) -> dict[str, Any]:
        true = int(rng.integers(classes)) if true is None else true
        top = [int(c) for c in rng.permutation(classes)[:5] if c != true][:4]
        top.insert(1 if wrong else 0, true)
        shares = np.sort(rng.dirichlet([6, 2, 1, 1, 1]))[::-1].round(3).tolist()
        name = f"val/{labels[true]}/{int(rng.integers(1e6))}.JPEG"
        nearest = {"thumb": int(rng.integers(len(pictures))), "name": name.replace("val", "train", 1), "class": top[0]}
        card = {"thumb": int(rng.integers(len(pictures))), "name": name, "true": true, "predicted": top[0]}
        return card | {"top": [[c, p] for c, p in zip(top, shares, strict=False)], "nearest": nearest} | more

    accuracy = np.clip(rng.normal(0.8, 0.08, classes), 0.2, 0.98)
    counts = [[c, c, round(n * accuracy[c])] for c in range(classes)]
    for c in range(classes):
        left = n - counts[c][2]
        near = [(c + step) % classes for step in (1, 2, -1, 3, 5, -4, 7)]
        if classes > 10:
            near[3:] = [int(other) for other in rng.choice(np.delete(np.arange(classes), near[:3]), 4, replace=False)]
        for other, count in zip(near, rng.multinomial(left, rng.dirichlet([2, 1, 1, 0.5, 0.5, 0.3, 0.3])), strict=True):
            if count and other != c:
                counts.append([c, other, int(count)])
    right = sum(row[2] for row in counts[:classes])
    wrong = sorted((row for row in counts[classes:]), key=lambda row: -row[2])[:20]
    pairs = [{"true": t, "predicted": p, "count": k, "share": k / n} for t, p, k in wrong]
    examples = [[t, p, [a_card(t, wrong=t != p) for _ in range(3)]] for t, p, _ in [*wrong, *counts[:5]]]
    in_all = classes * n
    table = [
        {
            "class": c,
            "n": n,
            "top1": (k := wilson(counts[c][2], n))["value"],
            "low": k["low"],
            "high": k["high"],
            "top5": min(1.0, k["value"] + 0.15),
            "precision": float(np.clip(accuracy[c] + rng.normal(0, 0.03), 0, 1)),
            "confidence": float(np.clip(accuracy[c] + 0.07, 0, 1)),
            "outlier": "low" if accuracy[c] < 0.7 else "high" if accuracy[c] > 0.9 else None,
        }
        for c in range(classes)
    ]
    filters, seen = len(pictures), len(pictures) + 1
    pictures += [blots(rng, 160), blots(rng, 160)]

    def looked(wrong: bool) -> dict[str, Any]:
        card = a_card(wrong=wrong, map=seen, picture=int(rng.integers(len(pictures) - 2)))
        return card | ({"map_true": seen} if wrong else {})

    share = np.linspace(0, 1, 21)
    return {
        "title": f"{HOSTILE}net" if hostile else "imagenette",
        "kind": "run",
        "source": "runs/imagenette",
        "step": 2960,
        "family": "batchnorm",
        "image_size": 224,
        "command": "googlenet report runs/imagenette --baseline runs/short",
        "labels": labels,
        "dataset": {"name": "folder:data/imagenette", "images": in_all, "unreadable": 0},
        "left_out": [],
        "headline": {
            "top1": wilson(right, in_all),
            "top5": wilson(0.97 * in_all, in_all),
            "loss": {"value": 0.7123, "low": 0.69, "high": 0.735},
            "recipe": [
                {"field": "optimizer.learning_rate", "value": "0.1", "default": "0.01"},
                {"field": "model.family", "value": "batchnorm", "default": "paper"},
                {"field": "augment.crop", "value": HOSTILE if hostile else "inception", "default": "shift"},
            ],
            "epochs": 20.0,
            "hours": 0.52,
            "images_per_second": 122.4,
            "repeat": "python launch.py --config runs/imagenette/config.json",
        },
        "baseline": _baseline(right, in_all, a_card, rng, classes),
        "curves": _curves(rng),
        "classes": table,
        "confusion": {
            "order": [int(c) for c in np.roll(np.arange(classes), 3)],
            "counts": counts,
            "pairs": pairs,
            "examples": examples,
        },
        "mistakes": [a_card() for _ in range(24)],
        "uncertain": [a_card() for _ in range(12)],
        "suspects": [a_card(suggested=int(rng.integers(classes)), score=0.95 - 0.03 * k) for k in range(24)],
        "calibration": _calibration(rng, in_all // 2),
        "inside": {
            "filters": filters,
            "branches": [
                {"block": block, **dict(zip(("1x1", "3x3", "5x5", "pool"), map(float, shares), strict=True))}
                for block, shares in zip(BLOCKS, rng.dirichlet([4, 6, 2, 1], 9), strict=True)
            ],
            "dead": [
                {"layer": f"inception_{block}", "dead": int(rng.integers(0, 6)) * (k % 2), "channels": 256 + 64 * k}
                for k, block in enumerate(BLOCKS)
            ],
            "heads": [
                {"name": "auxiliary, after 4a", "top1": 0.61},
                {"name": "auxiliary, after 4d", "top1": 0.71},
                {"name": "main", "top1": right / in_all},
            ],
            "crops": [
                {"crops": k, "top1": 0.785 + gain, "images": 256, "p": 0.3}
                for k, gain in ((1, 0), (10, 0.012), (144, 0.02))
            ],
            "precision": [
                {"name": name, "top1": right / in_all - loss, "agreement": 1 - 4 * loss, "images": in_all}
                for name, loss in (("float32", 0), ("bfloat16", 0.0004), ("int8", 0.004))
            ],
        },
        "where": {
            "right": [looked(False) for _ in range(6)],
            "wrong": [looked(True) for _ in range(6)],
            "deletion": {
                "share": share.tolist(),
                "by_map": (0.85 * np.exp(-4 * share)).tolist(),
                "at_random": (0.85 * (1 - share**1.5)).tolist(),
            },
            "random_weights": {"correlation": 0.08},
        },
        "thumbnails": pictures,
    }


def _baseline(right: int, n: int, a_card: Any, rng: np.random.Generator, classes: int) -> dict[str, Any]:
    gain = round(0.03 * n)
    either = {"only_this": 2 * gain, "only_baseline": gain, "both": right - 2 * gain, "neither": n - right - gain}
    other = [int(c) for c in rng.integers(classes, size=12)]
    flipped = {
        "gained": [a_card(c, wrong=False, baseline=(c + 1) % classes) for c in other],
        "lost": [a_card(c, baseline=c) for c in other],
    }
    measured = {"top1": wilson(right - gain, n), "top5": wilson(0.95 * n, n)}
    loss = {"value": 0.82, "low": 0.8, "high": 0.84}
    return {"title": "short", "source": "runs/short", **measured, "loss": loss, **either, "p": 1.2e-9, **flipped}


def _curves(rng: np.random.Generator) -> list[dict[str, Any]]:
    found = []
    for run, epochs, seeds in (("imagenette", 20, 3), ("short", 3, 1)):
        x = np.arange(1, epochs + 1)
        noise = rng.normal(0, 0.01, (len(CURVES), epochs))
        values = {
            "loss": 2.3 * np.exp(-x / 6) + 0.3,
            "top1": 0.8 * (1 - np.exp(-x / 5)),
            "top5": 0.98 * (1 - np.exp(-x / 2)),
            "learning_rate": 0.1 * 10.0 ** -(3 * x // (epochs + 1)),
            "gradient_norm": 3 * np.exp(-x / 9),
            "loss_scale": np.full(epochs, 32768.0),
            "skipped_steps": np.zeros(epochs),
            "images_per_second": np.full(epochs, 120.0),
        }
        for k, name in enumerate(CURVES):
            for split in ("train", "val") if name in ("loss", "top1", "top5") else ("train",):
                shift = {"loss": 0.25, "top1": -0.04, "top5": -0.01}[name] if split == "val" else 0.0
                still = name in ("learning_rate", "loss_scale", "skipped_steps")
                y = values[name] * (1 if still else 1 + noise[k]) + shift
                sd = [] if seeds == 1 else [0.0] if still else [0.02]
                points = [[float(at), float(value), *sd] for at, value in zip(x, y, strict=True)]
                found.append({"name": name, "split": split, "run": run, "seeds": seeds, "points": points})
    return found


def _calibration(rng: np.random.Generator, n: int) -> dict[str, Any]:
    def bins(bend: float) -> list[dict[str, float]]:
        found = []
        for k in range(12):
            confidence = 0.3 + 0.7 * (k + 0.5) / 12
            interval = wilson((confidence**bend - 0.01 * float(rng.normal())) * n / 12, n // 12)
            accuracy = interval.pop("value")
            found.append({"confidence": confidence, "accuracy": accuracy, **interval, "n": n // 12})
        return found

    return {
        "before": {"ece": 0.081, "brier": 0.312, "nll": 0.79, "bins": bins(1.5)},
        "after": {"ece": 0.019, "brier": 0.298, "nll": 0.73, "bins": bins(1.02)},
        "temperature": 1.31,
        "fitted_on": n,
        "measured_on": n,
    }
