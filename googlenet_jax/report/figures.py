"""The figures of a report that a paper would take, each as SVG and as PNG."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from googlenet_jax.system.drawing import Drawing, round_numbers
from googlenet_jax.system.files import replace_file

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc6699", "#c28a00", "#4aa3dc", "#6b4c9a")  # told apart by all eyes
_GRID, _AXIS, _SOFT = "#e3e6e9", "#8a939b", "#555c63"
_RIGHT, _WRONG = (11, 98, 168), (194, 65, 12)
_CURVES = {
    "loss": "Loss",
    "top1": "Top-1, %",
    "top5": "Top-5, %",
    "learning_rate": "Learning rate",
    "gradient_norm": "Gradient norm",
    "images_per_second": "Images a second",
}
_MOST_NAMES = 60  # classes that a figure names
_LETTERS = 24  # of a name


def write_figures(directory: Path, data: dict[str, Any]) -> list[Path]:
    """Writes curves, confusion, classes, calibration and branches, as far as the report has them.

    Args:
      directory: to write into; made if need be.
      data: the report.

    Returns:
      The files: NAME.svg and NAME.png of each figure; a PNG has two pixels for each of the drawing.
    """
    wanted: dict[str, tuple[Any, Callable[[dict[str, Any]], Drawing]]] = {
        "curves": (data.get("curves"), _curves),
        "confusion": (data.get("confusion"), _confusion),
        "classes": (data.get("classes"), _classes),
        "calibration": (data.get("calibration"), _calibration),
        "branches": ((data.get("inside") or {}).get("branches"), _branches),
    }
    written = []
    for name, (part, draw) in wanted.items():
        if part:
            drawing = draw(data)
            for kind, content in (("svg", drawing.svg()), ("png", drawing.png())):
                replace_file(directory / f"{name}.{kind}", content)
                written.append(directory / f"{name}.{kind}")
    return written


class _Plot:
    """Axes in a place of a drawing, and where values lie between them."""

    def __init__(
        self,
        drawing: Drawing,
        place: tuple[float, float, float, float],
        x: tuple[float, float],
        y: tuple[float, float],
        log: bool = False,
    ):
        """`place`: left, top, right, bottom in pixels; `x`, `y`: least and greatest value; `log`: of y."""
        self.drawing, self.place, self.log = drawing, place, log
        self.ends_x, self.ends_y = _apart(*x), _apart(*(math.log10(v) if log else v for v in y))

    def x(self, value: float) -> float:
        left, _, right, _ = self.place
        return left + (value - self.ends_x[0]) / (self.ends_x[1] - self.ends_x[0]) * (right - left)

    def y(self, value: float) -> float:
        _, top, _, bottom = self.place
        bent = math.log10(value) if self.log else value
        return bottom - (bent - self.ends_y[0]) / (self.ends_y[1] - self.ends_y[0]) * (bottom - top)

    def axes(self, title: str, x_name: str, x_ticks: Sequence[float] | None = None) -> None:
        """Draws grid, axes, values along them, and names."""
        drawing, (left, top, right, bottom) = self.drawing, self.place
        for value in _powers(*self.ends_y) if self.log else round_numbers(*self.ends_y):
            drawing.line([(left, self.y(value)), (right, self.y(value))], _GRID)
            drawing.words(left - 7, self.y(value), f"{value:.6g}", 11, "end", _SOFT)
        for value in round_numbers(*self.ends_x) if x_ticks is None else x_ticks:
            drawing.line([(self.x(value), bottom), (self.x(value), bottom + 4)], _AXIS)
            drawing.words(self.x(value), bottom + 14, f"{value:.6g}", 11, "middle", _SOFT)
        drawing.line([(left, bottom), (right, bottom)], _AXIS)
        drawing.words((left + right) / 2, bottom + 30, x_name, 12, "middle")
        drawing.words(left, top - 14, title, 13)

    def band(self, points: Sequence[tuple[float, float, float]], colour: str) -> None:
        """Fills what lies within some distance of values; points: (x, value, distance)."""
        upper = [(self.x(x), self.y(y + sd)) for x, y, sd in points]
        lower = [(self.x(x), self.y(y - sd)) for x, y, sd in points]
        self.drawing.area([*upper, *lower[::-1]], colour, 0.2)

    def line(self, points: Sequence[tuple[float, float, float]], colour: str, dotted: bool = False) -> None:
        """Draws a line through values, as `band` has them; through one alone, a dot."""
        if len(points) == 1:
            self.drawing.dot(self.x(points[0][0]), self.y(points[0][1]), 2.5, colour)
            return
        dash, width = ((1.5, 3), 1.4) if dotted else (None, 1.8)
        self.drawing.line([(self.x(x), self.y(y)) for x, y, _ in points], colour, width, dash)


def _curves(data: dict[str, Any]) -> Drawing:
    found: dict[str, list[tuple[dict[str, Any], list[tuple[float, float, float]]]]] = {}
    for curve in data["curves"]:
        times = 100 if curve["name"].startswith("top") else 1
        points = [(x, times * y, times * sd) for x, y, sd, *_ in ([*p, 0.0] for p in curve["points"]) if y is not None]
        if curve["name"] in _CURVES and points:
            found.setdefault(curve["name"], []).append((curve, points))
    names = [name for name in _CURVES if name in found]
    runs = list(dict.fromkeys(curve["run"] for curve in data["curves"]))
    across, wide, tall = min(3, max(len(names), 1)), 320, 240
    drawing = Drawing(across * wide, math.ceil(len(names) / across) * tall + 34)
    for number, name in enumerate(names):
        left, top = number % across * wide + 56, number // across * tall + 36
        lines = found[name]
        values = [(x, end) for _, points in lines for x, y, sd in points for end in (y - sd, y + sd)]
        all_x, all_y = zip(*values, strict=True)
        log = name == "learning_rate" and min(all_y) > 0 and max(all_y) / min(all_y) >= 3
        low, high = min(all_y), max(all_y)
        room = 0.0 if log else 0.05 * (high - low)
        ends = (min(low, 0.0), 1.1 * high) if name == "images_per_second" else (low - room, high + room)
        plot = _Plot(drawing, (left, top, left + wide - 76, top + tall - 76), (min(all_x), max(all_x)), ends, log)
        plot.axes(_CURVES[name], "epoch", [at for at in round_numbers(*plot.ends_x) if at == int(at)])
        both = len({curve["split"] for curve, _ in lines}) > 1
        for curve, points in lines:
            colour = _COLOURS[runs.index(curve["run"]) % len(_COLOURS)]
            if curve["seeds"] > 1:
                plot.band(points, colour)
            plot.line(points, colour, dotted=both and curve["split"] == "train")
    seeds = {curve["run"]: curve["seeds"] for curve in data["curves"]}
    told = {run: f"{_short(run)}, mean ± sd of {n} seeds" if n > 1 else _short(run) for run, n in seeds.items()}
    entries = [(told[run], _COLOURS[k % len(_COLOURS)], None) for k, run in enumerate(runs)]
    styles = [("training images", _SOFT, (1.5, 3.0)), ("validation images", _SOFT, None)]
    _key(drawing, 56, drawing.height - 16, [*entries, *styles])
    return drawing


def _confusion(data: dict[str, Any]) -> Drawing:
    order, rows = data["confusion"]["order"], {row["class"]: row["n"] for row in data["classes"]}
    named = len(order) <= _MOST_NAMES
    names = [_short(data["labels"][c]) for c in order]
    margin = 20 + (max(map(len, names)) * 6.6 if named else 14)
    step = max(14, min(46, 560 / len(order))) if named else 640 / len(order)
    side = step * len(order)
    drawing = Drawing(math.ceil(margin + side + 16), math.ceil(margin + side + 16))
    at = {c: k for k, c in enumerate(order)}
    size = max(step, 1.6)  # a count among a thousand classes is seen too
    counts = [(at[t], at[p], count, count / (rows.get(t) or count)) for t, p, count in data["confusion"]["counts"]]
    for row, column, count, share in sorted(counts, key=lambda cell: cell[3]):
        strength = 0.15 + 0.85 * share if row == column else min(1.0, 0.1 + 1.6 * share**0.5)
        x, y = margin + column * step, margin + row * step
        drawing.box(x, y, size, size, _tint(_RIGHT if row == column else _WRONG, strength))
        if step >= 24:
            colour = "#ffffff" if strength > 0.62 else "#222222"
            drawing.words(x + step / 2, y + step / 2, str(count), 11, "middle", colour)
    corners = [(margin, margin), (margin + side, margin), (margin + side, margin + side), (margin, margin + side)]
    drawing.line([*corners, corners[0]], _AXIS)
    if named:
        for k, name in enumerate(names):
            drawing.words(margin + (k + 0.5) * step, margin - 8, name, 11, "start", turned=True)
            drawing.words(margin - 8, margin + (k + 0.5) * step, name, 11, "end")
    else:
        drawing.words(margin + side / 2, margin - 16, "predicted class", 12, "middle")
        drawing.words(margin - 16, margin + side / 2, "class of the image", 12, "middle", turned=True)
    return drawing


def _classes(data: dict[str, Any]) -> Drawing:
    rows = sorted((row for row in data["classes"] if row["n"]), key=lambda row: row["top1"])
    mean = 100 * sum(row["top1"] for row in rows) / max(len(rows), 1)
    least = min((100 * row["low"] for row in rows), default=0)
    if len(rows) > _MOST_NAMES:  # by rank, without names
        drawing = Drawing(720, 400)
        plot = _Plot(drawing, (60, 40, 700, 350), (0, len(rows)), (least, 100))
        plot.axes("Top-1, %, with 95 % interval", "classes, from the hardest")
        for k, row in enumerate(rows):
            x = plot.x(k + 0.5)
            drawing.line([(x, plot.y(100 * row["low"])), (x, plot.y(100 * row["high"]))], "#bcd6e8", 0.7)
        for k, row in enumerate(rows):
            drawing.dot(plot.x(k + 0.5), plot.y(100 * row["top1"]), 1.1, _COLOURS[0])
        drawing.line([(60, plot.y(mean)), (700, plot.y(mean))], _SOFT, 1, (4, 4))
        return drawing
    names = [_short(data["labels"][row["class"]]) for row in rows]
    left, step = 24 + max(map(len, names), default=0) * 6.6, 24
    drawing = Drawing(math.ceil(left) + 440, 40 + step * len(rows) + 44)
    plot = _Plot(drawing, (left, 40, left + 420, 40 + step * len(rows)), (least, 100), (0, max(len(rows), 1)))
    drawing.words(left, 20, "Top-1, %, with 95 % interval; dashed: mean of the classes", 13)
    bottom = plot.place[3]
    for value in round_numbers(*plot.ends_x):
        drawing.line([(plot.x(value), 40), (plot.x(value), bottom)], _GRID)
        drawing.words(plot.x(value), bottom + 16, f"{value:.6g}", 11, "middle", _SOFT)
    drawing.line([(plot.x(mean), 40), (plot.x(mean), bottom)], _SOFT, 1, (4, 4))
    for k, (row, name) in enumerate(zip(rows, names, strict=True)):
        y = plot.y(k + 0.5)
        drawing.words(left - 10, y, name, 12, "end")
        drawing.line([(plot.x(100 * row["low"]), y), (plot.x(100 * row["high"]), y)], _COLOURS[0], 1.5)
        drawing.dot(plot.x(100 * row["top1"]), y, 4, _COLOURS[0])
    return drawing


def _calibration(data: dict[str, Any]) -> Drawing:
    told = data["calibration"]
    after = f"With temperature {told['temperature']:.2f}" if told.get("temperature") is not None else ""
    titles = {"before": "As it is", "after": after}
    # A network that gives what is no number has no confidence.
    parts = [(title, part) for key, title in titles.items() if (part := told.get(key)) and part["ece"] is not None]
    drawing = Drawing(370 * len(parts) + 20, 400)
    lows = [100 * value for _, part in parts for b in part["bins"] for value in (b["confidence"], b["low"])]
    least = min(80.0, 20 * math.floor(min(lows, default=80) / 20))
    for k, (title, part) in enumerate(parts):
        place = (370 * k + 60.0, 40.0, 370 * k + 360.0, 340.0)
        plot = _Plot(drawing, place, (least, 100), (least, 100))
        plot.axes(f"{title}: % right (ECE {100 * part['ece']:.1f} %)", "% sure")
        drawing.line([(place[0], place[3]), (place[2], place[1])], _AXIS, 1, (4, 4))
        most = max((b["n"] for b in part["bins"]), default=1)
        for b in part["bins"]:
            x = plot.x(100 * b["confidence"])
            tall = 32 * b["n"] / most
            drawing.box(x - 2.5, place[3] - tall, 5, tall, "#d3d7da")
            drawing.line([(x, plot.y(100 * b["low"])), (x, plot.y(100 * b["high"]))], _COLOURS[0], 1.2)
            drawing.dot(x, plot.y(100 * b["accuracy"]), 3.5, _COLOURS[0])
    return drawing


def _branches(data: dict[str, Any]) -> Drawing:
    rows, left, wide, step = data["inside"]["branches"], 60, 460, 26
    names = [name for name in rows[0] if name != "block"]
    drawing = Drawing(left + wide + 20, 44 + step * len(rows) + 44)
    drawing.words(left, 20, "Share of each branch in a block's activation, %", 13)
    for k, row in enumerate(rows):
        total = sum(row.get(name) or 0 for name in names) or 1
        x, y = float(left), 44 + step * k
        drawing.words(left - 10, y + 9, row["block"], 12, "end")
        for name, colour in zip(names, _COLOURS, strict=False):
            share = (row.get(name) or 0) / total
            drawing.box(x, y, wide * share, 18, colour)
            if share >= 0.08:
                drawing.words(x + wide * share / 2, y + 9, f"{100 * share:.0f}", 11, "middle", "#ffffff")
            x += wide * share
    _key(drawing, left, drawing.height - 20, list(zip(names, _COLOURS, [None] * len(names), strict=False)))
    return drawing


def _key(drawing: Drawing, x: float, y: float, entries: Sequence[tuple[str, str, tuple[float, float] | None]]) -> None:
    """A row of entries: a piece of line, and what it stands for."""
    for text, colour, dash in entries:
        drawing.line([(x, y), (x + 18, y)], colour, 4 if dash is None and colour != _SOFT else 1.6, dash)
        drawing.words(x + 24, y, text, 12)
        x += 44 + 6.8 * len(text)


def _short(text: str) -> str:
    """A label as a figure has room for: "tench" of "n01440764 tench, Tinca tinca"."""
    wnid, _, names = text.partition(" ")
    if names and len(wnid) == 9 and wnid[0] == "n" and wnid[1:].isdecimal():
        text = names.split(", ")[0]
    return text if len(text) <= _LETTERS else f"{text[: _LETTERS - 1]}…"


def _tint(colour: tuple[int, int, int], strength: float) -> str:
    """A colour on white paper."""
    return "#" + "".join(f"{round(255 + (channel - 255) * strength):02x}" for channel in colour)


def _apart(low: float, high: float) -> tuple[float, float]:
    """Bounds with room between them."""
    room = abs(high) * 0.05 or 0.5
    return (low, high) if high > low else (low - room, high + room)


def _powers(low: float, high: float) -> list[float]:
    """Powers of ten within bounds that are given by their logarithms; with few of them, steps between."""
    steps = (1, 2, 5) if high - low < 2 else (1,)
    values = [step * 10.0**e for e in range(math.floor(low) - 1, math.ceil(high) + 1) for step in steps]
    return [value for value in values if low - 1e-9 <= math.log10(value) <= high + 1e-9]
