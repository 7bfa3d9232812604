"""The page of a report: what holds it in itself, and in a browser what a reader sees and does."""

import re
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from browsers import DESK, PHONE, complaints, requested, resize, widths
from report_data import HOSTILE, LABELS, report_data

from googlenet_jax.report.html import write_page

MANY = 1000
SECTIONS = ("baseline", "curves", "confusion", "mistakes", "uncertain", "suspects", "classes", "calibration")
ALL = ("headline", *SECTIONS, "inside", "where")
# Where the middle of a cell of the matrix is, from the canvas's middle, as the driver counts.
CELL = """
const box = byId("matrix").getBoundingClientRect();
const step = frame.side / sight.span;
const at = (cell, from, edge) => edge + (cell + 0.5 - from) * step;
return [at(arguments[1], sight.x, frame.left) - box.width / 2, at(arguments[0], sight.y, frame.top) - box.height / 2];
"""
# Whether a canvas has several colours.
PAINTED = """
const { width, height } = byId("matrix");
const pixels = new Uint32Array(byId("matrix").getContext("2d").getImageData(0, 0, width, height).data.buffer);
return new Set(pixels).size;
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes a page, once for the same arguments of `report_data`."""
    folder = tmp_path_factory.mktemp("reports")

    def write(classes: int = 10, n: int = 400, **more: Any) -> Path:
        path = folder / f"{classes}-{n}-{'-'.join(more)}.html"
        if not path.exists():
            write_page(path, report_data(classes, n, **more))
        return path

    return write


# Without a browser ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("classes", "n", "most"), [(10, 400, 5e6), (MANY, 50, 8e6)])
def test_one_file_of_bounded_size(written, classes, n, most):
    html = written(classes, n).read_text()
    assert len(html.encode()) < most
    assert len(re.findall(r"<script\b", html)) == 2
    without_data = re.sub(r'<script id="data".*?</script>', "", html, flags=re.DOTALL)
    assert len(without_data) < 100_000
    assert "{{" not in without_data
    assert not re.search(r"https?://(?!www\.w3\.org/)|url\(", without_data), "the page asks nobody"
    assert not re.search(r"<[^>]*\son\w+=|\beval\(|innerHTML|insertAdjacentHTML|document\.write", without_data)


def test_the_policy_forbids_all_but_its_own(written):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', written().read_text())[1]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "img-src data:;" in policy


def test_a_number_that_a_browser_cannot_read_is_refused(tmp_path):
    with pytest.raises(ValueError):
        write_page(tmp_path / "index.html", report_data() | {"step": float("nan")})
    assert not [*tmp_path.iterdir()]


def test_the_script_parts_are_short():
    parts = [part for part in resources.files("googlenet_jax.report").joinpath("page").iterdir() if ".js" in part.name]
    assert parts
    assert max(len(part.read_text().splitlines()) for part in parts) < 300


# In a browser ---------------------------------------------------------------------------------------------------------


class Reader:
    """Someone who has a report open."""

    def __init__(self, driver: Any):
        self.driver = driver

    def open(self, path: Path, size: tuple[int, int] = DESK) -> None:
        resize(self.driver, *size)
        self.driver.get(path.as_uri())

    def all(self, selector: str) -> list[Any]:
        return self.driver.find_elements("css selector", selector)

    def one(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def texts(self, selector: str) -> list[str]:
        return self.driver.execute_script(
            "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)", selector
        )

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def names(self) -> list[str]:
        """Classes as the table shows them, from above."""
        return self.texts("#table tbody tr:not([hidden]) th span:first-child")


@pytest.fixture
def reader(browser: Any) -> Iterator[Reader]:
    """A reader whose page asks for nothing but itself, and complains of nothing."""
    complaints(browser), requested(browser)
    yield Reader(browser)
    assert complaints(browser) == []
    assert [url for url in requested(browser) if not url.startswith("file:")] == []


@pytest.mark.parametrize("classes", [10, MANY])
def test_all_of_it_is_drawn(written, reader, classes):
    reader.open(written(classes, 400 if classes == 10 else 50))
    assert [link.get_attribute("hash") for link in reader.all("#contents a")] == [f"#{name}" for name in ALL]
    empty = reader.run("return arguments[0].filter((id) => byId(id).offsetHeight < 150)", ALL)
    assert empty == []
    assert len(reader.all("#charts svg")) == 8
    assert len(reader.all("#reliability svg")) == 2
    assert len(reader.all("#table tbody tr")) == classes
    assert len(reader.all("#panels > section")) == 6
    assert len(reader.all("#trust svg")) == 1
    assert len(reader.all("#pairs li")) == 20
    assert reader.run(PAINTED) > 10
    broken = "return [...document.images].filter((one) => one.complete && !one.naturalWidth).length"
    assert reader.run(broken) == 0
    took = reader.run("return performance.getEntriesByType('navigation')[0].loadEventEnd")
    assert took < 5000, "a second on a machine that does nothing else"


def test_conclusions_are_words(written, reader):
    reader.open(written())
    headline, baseline = reader.one("#conclusion").text, reader.one("#baseline .finding").text
    assert "It names" in headline and "Better than short: +3.0" in headline
    assert "less than once in a thousand" in baseline
    assert "surer than it should be" in reader.one("#calibration .finding").text
    assert "point at what the network uses" in reader.one("#where .finding").text


def test_a_difference_that_may_be_chance_is_called_a_tie(tmp_path, reader):
    data = report_data()
    data["baseline"] |= {"only_this": 64, "only_baseline": 60, "p": 0.79}
    write_page(tmp_path / "index.html", data)
    reader.open(tmp_path / "index.html")
    assert reader.one("#baseline .finding").text.startswith("Tied within noise")


@pytest.mark.parametrize("classes", [10, MANY])
def test_a_narrow_phone_scrolls_downwards_alone(written, reader, classes):
    reader.open(written(classes, 400 if classes == 10 else 50, hostile=True), PHONE)
    wide, room = widths(reader.driver)
    assert wide <= room <= PHONE[0]


def test_labels_and_names_are_text_alone(written, reader):
    reader.open(written(hostile=True))
    assert reader.one("h1").text == f"{HOSTILE}net"
    assert reader.run("return window.broken") is None
    assert reader.all("img[src=x]") == []
    assert HOSTILE in reader.texts("#pairs li")[0]


def test_the_table_sorts_and_filters(written, reader):
    data = report_data()
    reader.open(written())
    rows = sorted(data["classes"], key=lambda row: row["top1"])
    assert [LABELS.index(name) for name in reader.names()] == [row["class"] for row in rows], "the hardest first"
    buttons = reader.all("#table thead button")
    buttons[0].click()
    assert reader.names() == sorted(LABELS, key=str.lower)
    buttons[0].click()
    assert reader.names() == sorted(LABELS, key=str.lower, reverse=True)
    assert reader.one("#table th[aria-sort]").get_attribute("aria-sort") == "descending"
    reader.one("#filter").send_keys("GOLF")
    assert reader.names() == ["golf ball"]
    assert reader.one("#count").text == "1 of 10 classes"
    reader.run("byId('filter').value = ''")
    reader.one("#marked").click()
    marked = [row["class"] for row in data["classes"] if row["outlier"]]
    assert sorted(map(LABELS.index, reader.names())) == marked


def test_the_matrix_tells_of_its_cells(written, reader):
    from selenium.webdriver import ActionChains

    data = report_data()
    reader.open(written())
    order, counts = data["confusion"]["order"], {(t, p): n for t, p, n in data["confusion"]["counts"]}
    pair = data["confusion"]["pairs"][0]
    row, column = order.index(pair["true"]), order.index(pair["predicted"])
    reader.run("byId('matrix').scrollIntoView({ block: 'center' })")
    over = ActionChains(reader.driver).move_to_element_with_offset
    over(reader.one("#matrix"), *map(round, reader.run(CELL, row, column))).click().perform()
    count = counts[pair["true"], pair["predicted"]]
    told = f"{LABELS[pair['true']]}, taken for {LABELS[pair['predicted']]}: {count} of 400 images"
    assert reader.one("#tip").text.startswith(told)
    assert reader.one("#cell").text.startswith(told)
    reader.one("#cell-cards button").click()
    assert LABELS[pair["true"]] in reader.one("#viewer .card dl").text
    reader.one("#viewer form button").click()
    reader.one("#matrix").send_keys("\ue014", "+")  # the arrow to the right, as someone without a mouse does
    right = min(column + 1, len(order) - 1)
    assert LABELS[order[right]] in reader.one("#cell").text
    assert reader.run("return sight.span") < len(order)
    reader.one("#zoom-all").click()
    assert reader.run("return sight.span") == len(order)
    reader.run("goTo(arguments[0], arguments[0])", order.index(0))
    reader.one("#matrix").send_keys("\ue007")  # Enter shows images of this cell, of right ones
    assert reader.one("#cell").text.startswith(f"{LABELS[0]}: ")
    assert len(reader.all("#cell-cards button")) == 3 and "images.csv" in reader.one("#cell-cards .note").text


def test_counts_stand_out_from_their_cells(written, reader):
    """Of the light page's colours: on blue, by WCAG 2, white has a contrast of 6.3, on blue at 0.63 of 2.9."""
    reader.open(written())
    chosen = "return legible('#0b62a8', arguments[0], '#fff', ['#1c2024', '#fff'])"
    assert [reader.run(chosen, opacity) for opacity in (0.2, 0.63, 1.0)] == ["#1c2024", "#1c2024", "#fff"]


def test_the_matrix_of_many_classes_is_found_by_its_pairs(written, reader):
    reader.open(written(MANY, 50))
    reader.one("#pairs .pair").click()
    assert reader.run("return sight.span") == 30
    assert " taken for " in reader.one("#cell").text
    assert reader.run("return kept.row >= sight.y && kept.row < sight.y + sight.span")


def test_curves_tell_their_values_and_runs_can_be_hidden(written, reader):
    data = report_data()
    reader.open(written())
    chart = reader.one('[data-curve="top1"] svg')
    drawn, shown = reader.run("return [arguments[0].viewBox.baseVal.width, arguments[0].clientWidth]", chart)
    assert drawn == shown  # the pointer is looked for where it was drawn
    assert reader.one('[data-curve="skipped_steps"] svg')
    chart.send_keys("\ue011")  # the first epoch
    (first,) = (c["points"][0] for c in data["curves"] if (c["name"], c["split"], c["run"]) == ("top1", "val", "short"))
    assert f"short, val: {100 * first[1]:.1f}" in reader.one("#tip").text.replace("\xa0", " ")
    chart.send_keys("\ue010")  # the last one
    assert re.search(r"imagenette, val: [\d.]+ % ± 2.0 %", reader.one("#tip").text.replace("\xa0", " "))
    assert len(reader.all('[data-curve="top1"] .band')) == 2
    assert "Mean of 3 seeds" in reader.one("#curves .finding").text
    lines = len(reader.all('[data-curve="top1"] .line'))
    reader.all("#curves .legend button")[1].click()
    assert len(reader.all('[data-curve="top1"] .line')) == lines // 2


def test_the_rest_of_the_cards_comes_on_demand(written, reader):
    reader.open(written())
    assert len(reader.all("#mistakes .card")) == 8
    reader.one("#mistakes .rest").click()
    assert len(reader.all("#mistakes .card")) == 24


def test_what_there_is_no_data_for_is_absent_and_said_so(tmp_path, reader):
    data = report_data()
    data |= {"baseline": None, "curves": None, "inside": None, "where": None, "step": None, "suspects": []}
    data["headline"] |= {"recipe": [], "epochs": None, "hours": None, "images_per_second": None, "repeat": None}
    data["left_out"] = ["curves: an imported checkpoint has no training metrics"]
    for card in data["mistakes"]:
        card["nearest"] = None
    write_page(tmp_path / "index.html", data)
    reader.open(tmp_path / "index.html")
    absent = {"baseline", "curves", "inside", "where"}
    assert {part.get_attribute("id") for part in reader.all("main > section[hidden]")} == absent
    links = {link.get_attribute("hash")[1:] for link in reader.all("#contents a")}
    assert links == set(ALL) - absent
    assert reader.texts("#absent li") == data["left_out"]
    assert reader.one("#suspects .empty").text == "No label looks wrong."
