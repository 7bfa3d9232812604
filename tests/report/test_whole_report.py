"""A report of a real run: its numbers are evaluation's, its suspects the planted ones, its files readable."""

import csv
import json
import shutil

import jax
import numpy as np
import pytest
from conftest import small_config
from serving import LABELS, make_net

import googlenet_jax as gn
from googlenet_jax.classifier import Classifier
from googlenet_jax.data.sources.base import ArraySource
from googlenet_jax.data.sources.opening import open_source
from googlenet_jax.errors import UserError
from googlenet_jax.evaluate.checkpoints import evaluate_checkpoints
from googlenet_jax.report import report as report_module
from googlenet_jax.report import sections
from googlenet_jax.report.collect import collect
from googlenet_jax.report.history import curves, recipe
from googlenet_jax.report.report import make_report

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(request):
    return request.getfixturevalue("finished_run")


@pytest.fixture(scope="module")
def report(run, tmp_path_factory):
    output = tmp_path_factory.mktemp("report") / "new" / "index.html"
    data = make_report(str(run), output, baseline=str(run), sample=4, figures=True, command="googlenet report x")
    return output, data


def test_a_report_of_a_run(run, report, predictions):
    """In one, so that it is made once."""
    check_the_numbers_are_those_of_evaluation(run, report, predictions)
    check_a_network_beside_itself_is_tied(report)
    check_what_is_written(report)
    check_the_runs_own_story(run, report)


@pytest.fixture(scope="module")
def predictions(run):
    net = gn.load(run)
    return collect(net, open_source(net.config)[1], net.config)


def check_the_numbers_are_those_of_evaluation(run, report, predictions):
    expected = evaluate_checkpoints([run])
    headline = report[1]["headline"]
    for name in ("top1", "top5", "loss"):
        assert headline[name]["value"] == pytest.approx(expected[name], rel=1e-4)
        assert headline[name]["low"] <= headline[name]["value"] <= headline[name]["high"]
    assert report[1]["dataset"]["images"] == expected["images"] == len(predictions.labels)
    for row in report[1]["classes"]:
        counted = expected["per_class"][report[1]["labels"][row["class"]]]
        assert row["n"] == counted["images"] and row["top1"] == pytest.approx(counted["top1"], abs=1e-6)
    assert sum(n for _, _, n in report[1]["confusion"]["counts"]) == expected["images"]


def test_the_inside_is_what_the_network_does(run, predictions):
    net = gn.load(run)
    source = open_source(net.config)[1]
    crops = np.stack([net.preprocess.crop(source[i][0]) for i in range(4)])
    np.testing.assert_allclose(
        predictions.features[:4], net.features(crops, "inception_3a").mean((1, 2)), rtol=5e-3, atol=5e-3
    )
    everything = np.stack([net.preprocess.crop(source[i][0]) for i in range(len(source))])
    block = np.maximum(net.features(everything, "inception_3a"), 0)
    shares = [part.sum() for part in np.split(block.mean((0, 1, 2)), [64, 192, 224])]
    np.testing.assert_allclose(predictions.inside.shares[-1], np.array(shares) / np.sum(shares), rtol=1e-3)
    np.testing.assert_allclose(predictions.inside.largest["3a"], block.max((0, 1, 2)), rtol=1e-3, atol=1e-4)


class Shades(Classifier):
    """Knows four classes by how bright an image is."""

    labels, preprocess = LABELS, make_net().preprocess

    def classify(self, crops):
        shade = crops.mean((1, 2, 3)).astype(int) // 64
        return np.where(np.arange(4) == shade[:, None], 0.91, 0.03).astype(np.float32)


def test_a_planted_label_error_is_suspected():
    classes = np.arange(40) % 4
    images = np.broadcast_to((32 + 64 * classes)[:, None, None, None], (40, 32, 32, 3)).astype(np.uint8)
    labels = classes.copy()
    labels[5] = 3
    found = collect(Shades(), ArraySource(images, labels, LABELS), small_config())
    suspects = sections.Choice(found).suspects
    assert suspects.images.tolist() == [5] and suspects.suggested.tolist() == [1]
    assert found.features is None and found.inside is None and found.unreadable == 0


@pytest.mark.filterwarnings("error")  # such as numpy's, of an overflow
def test_a_network_beyond_use_is_refused_at_once():
    net, counted = make_net(), []
    grown = jax.tree.map(lambda a: a * np.float32(1e12), net.variables)
    broken = gn.Net(net.model, grown, net.labels, net.preprocess, net.config, 0)
    images = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3)).astype(np.uint8)
    with pytest.raises(UserError, match="not finite"):
        collect(broken, ArraySource(images, np.arange(40) % 4, LABELS), small_config(), counted.append)
    assert not counted


def check_a_network_beside_itself_is_tied(report):
    other = report[1]["baseline"]
    assert other["only_this"] == other["only_baseline"] == 0 and other["p"] == 1.0
    assert not other["gained"] and not other["lost"]


def check_what_is_written(report):
    output, data = report
    page = output.read_text()
    assert len(page) < 5 << 20 and "http://" not in page.replace("http://www.w3.org", "")
    stored = json.loads(output.with_name("report.json").read_text())
    assert stored == data and len(stored["where"]["deletion"]["share"]) == 6
    assert [row["crops"] for row in stored["inside"]["crops"]] == [1, 10, 144]
    assert stored["inside"]["precision"][0] == stored["inside"]["precision"][0] | {"name": "float32", "agreement": 1.0}
    with output.with_name("classes.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == data["labels"] and float(rows[0]["top1"]) == data["classes"][0]["top1"]
    assert (output.parent / "figures" / "curves.svg").is_file()
    with output.with_name("images.csv").open() as file:
        images = list(csv.DictReader(file))
    right = sum(row["true"] == row["predicted"] for row in images)
    assert right / len(images) == pytest.approx(data["headline"]["top1"]["value"], rel=1e-5)
    counts = {(true, predicted): n for true, predicted, n in data["confusion"]["counts"]}
    for true, predicted, cards in data["confusion"]["examples"]:
        assert len(cards) == min(3, counts[true, predicted])
        assert all((card["true"], card["predicted"]) == (true, predicted) for card in cards)
    thumbs = [card["thumb"] for card in data["mistakes"] + data["uncertain"]]
    assert all(data["thumbnails"][thumb].startswith("data:image/webp") for thumb in thumbs)


def check_the_runs_own_story(run, report):
    facts = report[1]["headline"]
    assert {"field": "optimizer.ema_decay", "value": "0.9", "default": "None"} in facts["recipe"]
    assert recipe(gn.load(run).config) == facts["recipe"]
    assert facts["epochs"] == pytest.approx(2.0, abs=0.3) and facts["repeat"].endswith("config.json")
    points = next(c["points"] for c in curves([run]) if (c["name"], c["split"]) == ("top1", "val"))
    line = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()][-1]
    assert points[-1][1] == pytest.approx(line["top1"], rel=1e-5)


def test_a_temperature_goes_along(finished_run, run_command, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished_run, run)
    before = gn.load(run)
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    output = tmp_path / "a.html"
    ask = ["-m", "googlenet_jax.cli", "report", run, "--output", output, "--sample", "0", "--save_temperature"]
    result = run_command(*ask)
    assert result.returncode == 0, result.stderr
    assert "top-1" in result.stdout and f"written to {output}" in result.stdout
    assert f"its numbers are in {tmp_path / 'a_files'}" in result.stdout
    reported = json.loads((tmp_path / "a_files" / "report.json").read_text())
    assert "left out by --sample 0" in json.dumps(reported)
    net, fitted = gn.load(run), reported["calibration"]
    assert net.temperature == pytest.approx(fitted["temperature"], rel=1e-5) and net.temperature != 1
    logits = np.log(before.probabilities(images).astype(np.float64)) / net.temperature
    expected = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(net.probabilities(images), expected, atol=1e-5)
    np.testing.assert_allclose(net.with_temperature_inside().probabilities(images), expected, atol=1e-5)
    data = make_report(str(run), tmp_path / "again.html", sample=0)
    assert data["headline"]["loss"]["value"] < reported["headline"]["loss"]["value"]
    assert data["headline"]["loss"]["value"] == pytest.approx(evaluate_checkpoints([run])["loss"], rel=1e-4)


def test_a_report_that_was_broken_off_is_made_again(finished_run, tmp_path, monkeypatch):
    output = tmp_path / "report" / "index.html"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(report_module, "write_page", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        make_report(str(finished_run), output, sample=0)
    make_report(str(finished_run), output, sample=0)
    assert output.is_file()


def test_mistakes_are_told_and_leave_nothing(googlenet, finished_run, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "classes.csv").write_text("keep")
    for wrong, error in (
        ([tmp_path, "--output", tmp_path / "b.html"], "has no metrics.jsonl: of several RUNs each is there for its"),
        (["--output", tmp_path / "a.txt"], "the page's name ends in .html"),
        (["--dataset", "digits", "--output", tmp_path / "b.html"], "digits has 10 classes"),
        (["--output", tmp_path / "mine" / "index.html"], "classes.csv would be overwritten"),
    ):
        status, _, said = googlenet("report", finished_run, *wrong)
        assert status == 2 and error in said, said
    assert not (tmp_path / "b.html").exists()
    assert [path.read_text() for path in (tmp_path / "mine").iterdir()] == ["keep"]
