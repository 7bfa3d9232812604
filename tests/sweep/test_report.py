"""The page of a sweep: it holds the data, and no data gets out of the element that holds it."""

import base64
import hashlib
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from googlenet_jax.sweep.definition import Objective
from googlenet_jax.sweep.report import write_report
from googlenet_jax.sweep.results import Row
from googlenet_jax.sweep.statistics import judge, make_groups

TOP1 = Objective("val", "top1")
HOSTILE = "</script><script>alert(1)</script><!--"
NETWORK = re.compile(r"https?:|\burl\(|@import|\bfetch\(|XMLHttpRequest|WebSocket|sendBeacon|import\(")


def a_row(id: str, fields: dict[str, Any], objective: float | None = 0.5, **other: Any) -> Row:
    curve = [] if objective is None else [(1.0, objective / 2), (2.0, objective)]
    rest = {"best_top1": objective, "last_top1": objective, "objective": objective, "images_per_second": 812.5}
    told = {"state": "finished", "epochs": 2.0, "seconds": 61.5, "attempts": 1, "job": "", "error": "", "curve": curve}
    return Row(**({"id": id, "fields": fields} | rest | told | other))


class Scripts(HTMLParser):
    """The scripts of a page as a browser separates them: (attributes, text), and how many other elements there are."""

    def __init__(self, text: str):
        super().__init__()
        self.found: list[tuple[dict[str, str | None], str]] = []
        self.elements = 0
        self._inside = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements += 1
        self._inside = tag == "script"
        if self._inside:
            self.found.append((dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            attributes, text = self.found[-1]
            self.found[-1] = (attributes, text + data)


def written(path: Path, rows: list[Row], title: str = "a sweep", objective: Objective = TOP1, **other: Any) -> str:
    groups = make_groups(rows, objective)
    write_report(path, title, rows, groups, judge(groups, rows, objective), other.pop("shares", {}), objective, **other)
    return (path / "report.html").read_text()


def data_of(page: str) -> dict[str, Any]:
    (attributes, text), _ = Scripts(page).found
    assert attributes == {"id": "data", "type": "application/json"}
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON: a browser refuses it"))


def test_the_page_has_what_it_was_given(tmp_path):
    fields = {"optimizer.learning_rate": 0.1, "crops.area": (0.08, 1.0), "augment.flip": True, "optimizer.clip": None}
    rows = [a_row("a", {**fields, "seed": 0}, 0.7), a_row("b", {**fields, "seed": 1}, 0.72)]
    rows.append(a_row("c", {**fields, "seed": 2}, None, state="waiting", attempts=0, epochs=0.0))
    page = written(tmp_path, rows, shares={"seed": 0.25}, log_fields=["optimizer.learning_rate", "absent"])
    data = data_of(page)
    assert data["title"] == "a sweep"
    assert data["objective"] == {"name": "val.top1", "larger_is_better": True}
    assert data["states"] == {"finished": 2, "waiting": 1}
    assert data["fields"] == [*fields, "seed"]
    assert data["log_fields"] == ["optimizer.learning_rate"]
    assert data["importance"] == [["seed", 0.25]]
    first, _, last = data["trials"]
    assert first["values"] == [0.1, [0.08, 1.0], True, None, 0]
    assert first["curve"] == [[1.0, 0.35], [2.0, 0.7]]
    for name in (
        "id",
        "state",
        "epochs",
        "best_top1",
        "last_top1",
        "objective",
        "images_per_second",
        "seconds",
        "attempts",
    ):
        assert first[name] == getattr(rows[0], name), name
    assert (first["log"], last["log"], last["objective"], last["curve"]) == ("logs/a.log", "", None, [])
    (group,) = data["groups"]
    assert group["values"] == [0.1, [0.08, 1.0], True, None]
    assert (group["n"], sorted(group["ids"])) == (2, ["a", "b"])
    assert group["mean"] == pytest.approx(0.71)
    assert data["verdict"]["tied"] == [0]


def test_the_winner_is_marked_among_the_groups(tmp_path):
    values = {0.1: (0.70, 0.71, 0.72), 0.3: (0.80, 0.81, 0.82)}
    rows = [a_row(f"{r}-{s}", {"r": r, "seed": s}, v) for r, seeds in values.items() for s, v in enumerate(seeds)]
    data = data_of(written(tmp_path, rows))
    assert data["groups"][data["verdict"]["winner"]]["values"] == [0.3]
    assert "best" in data["verdict"]["text"]


@pytest.mark.parametrize("where", ["title", "field", "value", "error", "id", "share"])
def test_nothing_gets_out_of_the_data(tmp_path, where):
    def at(place: str, otherwise: Any) -> Any:
        return HOSTILE if place == where else otherwise

    row = a_row(at("id", "a"), {at("field", "f"): at("value", 1), "seed": 0}, error=at("error", ""))
    page = written(tmp_path, [row], title=at("title", "t"), shares={at("share", "f"): 1.0})
    plain = written(tmp_path / "plain", [a_row("a", {"f": 1, "seed": 0})])
    assert "alert(1)</script>" not in page
    assert "<!--" not in page.partition('type="application/json">')[2].partition("</script>")[0]
    assert Scripts(page).elements == Scripts(plain).elements
    assert HOSTILE in json.dumps(data_of(page))


def test_a_value_is_not_read_as_a_place_of_the_template(tmp_path):
    data = data_of(written(tmp_path, [a_row("a", {"f": "{{script}}"})]))
    assert data["trials"][0]["values"] == ["{{script}}"]


def test_what_is_no_number_is_told_so(tmp_path):
    row = a_row(
        "a", {"f": math.inf, "seed": 2**62 + 1}, math.nan, curve=[(1.0, 0.5), (2.0, math.nan)], state="diverged"
    )
    (trial,) = data_of(written(tmp_path, [row]))["trials"]
    assert trial["values"] == ["inf", "4611686018427387905"]  # which a browser would round
    assert trial["objective"] is None
    assert trial["curve"] == [[1.0, 0.5], [2.0, None]]


def test_a_trial_may_lack_a_field(tmp_path):
    data = data_of(written(tmp_path, [a_row("a", {"f": 1}), a_row("b", {"g": "x", "f": 2})]))
    assert data["fields"] == ["f", "g"]
    assert [trial["values"] for trial in data["trials"]] == [[1, None], [2, "x"]]


def test_it_asks_for_nothing_from_anywhere(tmp_path):
    page = written(tmp_path, [a_row("a", {"f": 1})])
    assert not NETWORK.search(page.replace("http://www.w3.org/2000/svg", ""))
    assert "innerHTML" not in page and "insertAdjacentHTML" not in page and "document.write" not in page
    assert "default-src 'none'" in page
    _, (_, script) = Scripts(page).found
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page  # else a browser refuses to run it
    assert "</" not in script


def test_it_stays_small(tmp_path):
    assert len(written(tmp_path, [])) < 60_000
    curve = [(float(k), 1 / (k + 3)) for k in range(500)]
    rows = [a_row(f"{k:010x}", {"rate": 1 / (k + 7), "seed": k}, curve=curve) for k in range(1000)]
    page = written(tmp_path, rows)
    assert len(page) < 1_500_000
    data = data_of(page)
    assert data["thinned"] == 40
    kept = data["trials"][0]["curve"]
    assert (len(kept), kept[0][0], kept[-1][0]) == (40, 0.0, 499.0)
