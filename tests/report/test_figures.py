"""The figures of a report: files that others can read, with what the report has."""

from xml.etree import ElementTree

import pytest
from PIL import Image
from report_data import HOSTILE, report_data

from googlenet_jax.report.figures import write_figures
from googlenet_jax.system.drawing import round_numbers

NAMES = {"curves", "confusion", "classes", "calibration", "branches"}
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("classes", [10, 1000])
def test_each_figure_as_svg_and_as_png_of_twice_its_size(tmp_path, classes):
    written = write_figures(tmp_path / "figures", report_data(classes, 60))
    assert {path.name for path in written} == {f"{name}.{kind}" for name in NAMES for kind in ("svg", "png")}
    for name in NAMES:
        root = ElementTree.parse(tmp_path / "figures" / f"{name}.svg").getroot()
        with Image.open(tmp_path / "figures" / f"{name}.png") as picture:
            assert picture.size == (2 * int(root.get("width")), 2 * int(root.get("height")))
            assert len(picture.convert("RGB").getcolors(1 << 20)) > 10, "something is drawn"


def test_the_matrix_has_its_counts(tmp_path):
    data = report_data()
    write_figures(tmp_path, data)
    texts = [element.text for element in ElementTree.parse(tmp_path / "confusion.svg").iter(f"{SVG}text")]
    assert sorted(text for text in texts if text.isdecimal()) == sorted(str(n) for *_, n in data["confusion"]["counts"])
    assert texts.count("tench") == 2


def test_labels_are_text_alone(tmp_path):
    data = report_data(hostile=True)
    data["labels"][0] = "a\x00<b>"
    write_figures(tmp_path, data)
    for path in tmp_path.glob("*.svg"):
        tags = {element.tag for element in ElementTree.parse(path).iter()}
        assert tags <= {f"{SVG}{name}" for name in ("svg", "rect", "path", "circle", "text")}
    assert HOSTILE[:10] not in (tmp_path / "classes.svg").read_text()


def test_what_the_report_lacks_has_no_figure(tmp_path):
    data = report_data() | {"curves": None, "inside": None}
    assert {path.stem for path in write_figures(tmp_path, data)} == NAMES - {"curves", "branches"}


@pytest.mark.parametrize(
    ("low", "high"), [(0.2, 0.5), (0.3, 0.6), (0.0, 0.3), (-1.0, 2.0), (97.78, 99.44), (0.37, 0.65)]
)
def test_there_are_round_numbers_within_any_bounds(low, high):
    numbers = round_numbers(low, high)
    assert 3 <= len(numbers) <= 8 and low <= numbers[0] < numbers[-1] <= high
