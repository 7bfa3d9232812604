"""A tiny drawing layer: lines, rectangles, dots and words, as an SVG that a text takes in and as a PNG."""

import html
import io
import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from PIL.Image import Image

_FINE = 2  # a PNG is drawn so many times larger than it is kept, which smooths its edges


class _Line(NamedTuple):
    points: Sequence[tuple[float, float]]
    colour: str
    width: float
    dash: tuple[float, float] | None


class _Box(NamedTuple):
    x: float
    y: float
    width: float
    height: float
    colour: str


class _Dot(NamedTuple):
    x: float
    y: float
    radius: float
    colour: str


class _Area(NamedTuple):
    corners: Sequence[tuple[float, float]]
    colour: str
    opacity: float


class _Words(NamedTuple):
    x: float
    y: float
    text: str
    size: float
    anchor: str
    colour: str
    turned: bool


_Mark = _Line | _Box | _Dot | _Area | _Words


class Drawing:
    """A white sheet; what is drawn later lies above. Lengths are pixels, y grows downwards, colours are "#rrggbb"."""

    def __init__(self, width: int, height: int):
        self.width, self.height = width, height
        self._marks: list[_Mark] = []

    def line(
        self,
        points: Sequence[tuple[float, float]],
        colour: str = "#000000",
        width: float = 1,
        dash: tuple[float, float] | None = None,
    ) -> None:
        """Draws a line through points; `dash`: lengths of a dash and of the gap after it."""
        self._marks.append(_Line(points, colour, width, dash))

    def box(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        """Fills a rectangle, given by its corner of least x and y."""
        self._marks.append(_Box(x, y, width, height, colour))

    def dot(self, x: float, y: float, radius: float, colour: str) -> None:
        """Fills a circle."""
        self._marks.append(_Dot(x, y, radius, colour))

    def area(self, corners: Sequence[tuple[float, float]], colour: str, opacity: float = 1) -> None:
        """Fills a polygon; opacity: 0..1, of what lies below 1 - opacity shows through."""
        self._marks.append(_Area(corners, colour, opacity))

    def words(
        self,
        x: float,
        y: float,
        text: str,
        size: float = 12,
        anchor: str = "start",
        colour: str = "#222222",
        turned: bool = False,
    ) -> None:
        """Writes a line of text around the height y; `anchor`: "start", "middle" or "end" is at x; turned: upwards."""
        self._marks.append(_Words(x, y, text, size, anchor, colour, turned))

    def svg(self) -> str:
        """The drawing as the text of an SVG file."""
        size = f'width="{self.width}" height="{self.height}"'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {self.width} {self.height}"'
        sheet = f'<rect {size} fill="#ffffff"/>'
        return "\n".join([f'{head} font-family="sans-serif">', sheet, *map(_as_svg, self._marks), "</svg>", ""])

    def png(self, scale: int = 2) -> bytes:
        """The drawing as the bytes of a PNG file, `scale` pixels of it for each of the drawing."""
        from PIL import Image

        factor = scale * _FINE
        sheet = Image.new("RGB", (self.width * factor, self.height * factor), "#ffffff")
        for mark in self._marks:
            _paint(sheet, mark, factor)
        file = io.BytesIO()
        sheet.reduce(_FINE).save(file, "PNG", optimize=True)
        return file.getvalue()


def round_numbers(low: float, high: float) -> list[float]:
    """Round numbers within bounds, three to eight of them; high is above low."""
    unit = 10.0 ** math.floor(math.log10((high - low) / 3))
    step = max(unit * factor for factor in (1, 2, 2.5, 5) if (high - low) / (unit * factor) >= 3 - 1e-9)
    return [step * number for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _as_svg(mark: _Mark) -> str:
    if isinstance(mark, _Line):
        way = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in mark.points)
        dash = f' stroke-dasharray="{mark.dash[0]:g} {mark.dash[1]:g}"' if mark.dash else ""
        return f'<path d="{way}" fill="none" stroke="{mark.colour}" stroke-width="{mark.width:g}"{dash}/>'
    if isinstance(mark, _Box):
        place = f'x="{mark.x:.1f}" y="{mark.y:.1f}" width="{mark.width:.1f}" height="{mark.height:.1f}"'
        return f'<rect {place} fill="{mark.colour}"/>'
    if isinstance(mark, _Dot):
        return f'<circle cx="{mark.x:.1f}" cy="{mark.y:.1f}" r="{mark.radius:g}" fill="{mark.colour}"/>'
    if isinstance(mark, _Area):
        way = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in mark.corners) + "Z"
        return f'<path d="{way}" fill="{mark.colour}" fill-opacity="{mark.opacity:g}"/>'
    turned = f' transform="rotate(-90 {mark.x:.1f} {mark.y:.1f})"' if mark.turned else ""
    place = f'x="{mark.x:.1f}" y="{mark.y:.1f}" dy=".35em" font-size="{mark.size:g}" text-anchor="{mark.anchor}"'
    # What XML does not allow, such as a control character in a file's name, would make the file unreadable.
    text = "".join(c if c.isprintable() else "\ufffd" for c in mark.text)
    return f'<text {place} fill="{mark.colour}"{turned}>{html.escape(text)}</text>'


def _paint(sheet: "Image", mark: _Mark, factor: int) -> None:
    from PIL import Image, ImageDraw, ImageFont

    pen = ImageDraw.Draw(sheet)
    if isinstance(mark, _Line):
        width = max(1, round(mark.width * factor))
        for piece in _dashes(mark.points, mark.dash) if mark.dash else [mark.points]:
            pen.line([(x * factor, y * factor) for x, y in piece], mark.colour, width, joint="curve")
    elif isinstance(mark, _Box):
        x, y = mark.x * factor, mark.y * factor
        # Pillow fills the far edge too.
        far = (max(x, x + mark.width * factor - 1), max(y, y + mark.height * factor - 1))
        pen.rectangle([(x, y), far], mark.colour)
    elif isinstance(mark, _Dot):
        x, y, radius = (value * factor for value in (mark.x, mark.y, mark.radius))
        pen.ellipse([(x - radius, y - radius), (x + radius, y + radius)], mark.colour)
    elif isinstance(mark, _Area):
        glaze = ImageDraw.Draw(sheet, "RGBA")  # lays colours over each other
        corners = [(x * factor, y * factor) for x, y in mark.corners]
        glaze.polygon(corners, f"{mark.colour}{round(255 * mark.opacity):02x}")
    else:
        font = ImageFont.load_default(mark.size * factor)
        if not mark.turned:
            anchor = {"start": "lm", "middle": "mm", "end": "rm"}[mark.anchor]
            pen.text((mark.x * factor, mark.y * factor), mark.text, mark.colour, font, anchor)
            return
        long, tall = math.ceil(font.getlength(mark.text)) + 2, math.ceil(1.5 * mark.size * factor)
        mask = Image.new("L", (long, tall))
        ImageDraw.Draw(mask).text((1, tall / 2), mark.text, 255, font, "lm")
        mask = mask.transpose(Image.Transpose.ROTATE_90)
        up = {"start": long, "middle": long / 2, "end": 0}[mark.anchor]
        sheet.paste(mark.colour, (round(mark.x * factor - tall / 2), round(mark.y * factor - up)), mask)


def _dashes(points: Sequence[tuple[float, float]], dash: tuple[float, float]) -> list[list[tuple[float, float]]]:
    """The pieces of a line that are drawn."""
    pieces: list[list[tuple[float, float]]] = []
    drawn, left = True, dash[0]
    current = [points[0]]
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        length, at = math.hypot(x1 - x0, y1 - y0), 0.0
        while length - at > left:
            at += left
            place = (x0 + (x1 - x0) * at / length, y0 + (y1 - y0) * at / length)
            if drawn:
                pieces.append([*current, place])
            drawn, current = not drawn, [place]
            left = dash[0] if drawn else dash[1]
        left -= length - at
        current.append((x1, y1))
    return [*pieces, current] if drawn and len(current) > 1 else pieces
