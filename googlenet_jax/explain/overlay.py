"""Explanations as pictures."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from googlenet_jax.errors import shown
from googlenet_jax.explain.explanation import Explanation

# Stops of matplotlib's colour map inferno, from which each pixel is interpolated: lighter is more, for all eyes.
_COLOURS = np.array(
    [
        (0, 0, 4),
        (40, 11, 84),
        (101, 21, 110),
        (159, 42, 99),
        (212, 72, 66),
        (245, 125, 21),
        (250, 193, 39),
        (252, 255, 164),
    ],
    np.float32,
)
_OPACITY = 0.65  # where a map is at its largest
_HEIGHT = 320  # of a picture in a sheet, pixels
_GAP, _TEXT = 16, 18


def overlay(explanation: Explanation) -> Image.Image:
    """The picture with what speaks for the class in colour, and what the network did not see dimmed.

    Args:
      explanation: of it.

    Returns:
      An RGB image of the picture's size.
    """
    picture = Image.fromarray(explanation.picture)
    left, top, right, bottom = (round(edge) for edge in explanation.box)
    size = max(right - left, 1), max(bottom - top, 1)
    positive = np.maximum(explanation.map, 0)
    share = positive / max(float(positive.max()), 1e-12)
    smooth = Image.fromarray(share.astype(np.float32), "F").resize(size, Image.Resampling.BICUBIC)
    values = np.clip(np.asarray(smooth), 0, 1)
    stops = np.linspace(0, 1, len(_COLOURS))
    colours = np.stack([np.interp(values, stops, _COLOURS[:, channel]) for channel in range(3)], -1)
    opacity = _OPACITY * values[..., None] ** 0.7  # so that what is little still shows
    pixels = 0.45 * np.asarray(picture, np.float32) + 0.55 * 128
    seen = np.asarray(picture.crop((left, top, left + size[0], top + size[1])), np.float32)
    pixels[top : top + size[1], left : left + size[0]] = seen * (1 - opacity) + colours * opacity
    return Image.fromarray(pixels.round().astype(np.uint8))


def sheet(explanations: Sequence[Explanation], classes: Sequence[Sequence[tuple[str, float]]]) -> Image.Image:
    """Pictures one below the other, each with its overlay and its likeliest classes.

    Args:
      explanations: of the pictures.
      classes: of each picture its likeliest classes with probabilities, the likeliest first.

    Returns:
      An RGB image.
    """
    font = ImageFont.load_default(_TEXT)
    rows = [_row(explanation, named, font) for explanation, named in zip(explanations, classes, strict=True)]
    whole = Image.new("RGB", (max(row.width for row in rows), sum(row.height for row in rows)), "white")
    top = 0
    for row in rows:
        whole.paste(row, (0, top))
        top += row.height
    return whole


def _row(explanation: Explanation, classes: Sequence[tuple[str, float]], font: Any) -> Image.Image:
    small = resized(explanation, (2 * _HEIGHT, _HEIGHT))
    images = [Image.fromarray(small.picture), overlay(small)]
    columns = sum(image.width + _GAP for image in images) + _GAP
    row = Image.new("RGB", (columns + 420, _HEIGHT + 2 * _GAP), "white")
    left = _GAP
    for image in images:
        row.paste(image, (left, _GAP))
        left += image.width + _GAP
    draw = ImageDraw.Draw(row)
    draw.text((left, _GAP), f"for: {shown(explanation.label, 40)}", "black", font)
    for number, (label, probability) in enumerate(classes):
        top = _GAP + 44 + number * 52
        draw.text((left, top), shown(label, 34), "black", font)
        draw.text((left + 400, top), f"{100 * probability:.1f} %", "black", font, anchor="ra")
        draw.rectangle((left, top + 26, left + 400, top + 34), "#e4e4e4")
        draw.rectangle((left, top + 26, left + round(400 * probability), top + 34), "#2f6fb0")
    return row


def resized(explanation: Explanation, bounds: tuple[int, int]) -> Explanation:
    """An explanation whose picture is as large as fits into (width, height) pixels; large ones take much to overlay."""
    height, width = explanation.picture.shape[:2]
    scale = min(bounds[0] / width, bounds[1] / height)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    picture = Image.fromarray(explanation.picture).resize(size, Image.Resampling.LANCZOS)
    left, top, right, bottom = explanation.box
    across, down = size[0] / width, size[1] / height
    box = left * across, top * down, right * across, bottom * down
    return explanation._replace(picture=np.asarray(picture), box=box)
