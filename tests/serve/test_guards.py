"""Ways around the token, pages that would stop the server, and text of clients in logs and answers."""

import json
import logging
import time
from unittest import mock

import pytest
from serving import form, image_file, make_net


@pytest.mark.parametrize(
    "path", ["//status", "/status/", "/%73tatus", "/./status", "/STATUS", "/;/status", "/docs/../status"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_no_path_leads_around_the_token(guarded, path, method):
    assert guarded.ask(method, path).status == 401


@pytest.fixture(scope="module")
def guarded(running):
    return running({"small": make_net()}, token="secret", allow_stop=True)


def test_nothing_but_a_description_is_open(guarded):
    assert guarded.ask("OPTIONS", "/api").status == 405
    assert guarded.ask("POST", "/").status == guarded.ask("POST", "/docs").status == 405
    assert guarded.ask("POST", "/command/stop").status == guarded.ask("POST", "/v2/repository/index").status == 401


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", {"Origin": "http://{host}"}),  # a name that was made to mean this machine has the page's own origin
        ("POST", {"Origin": "null"}),
        ("GET", {"Sec-Fetch-Site": "cross-site"}),  # <img src="http://127.0.0.1:9999/command/stop">
        ("GET", {"Host": "evil.example:9999"}),
        ("HEAD", {"Host": "evil.example:9999"}),
        ("GET", {"Host": "127.0.0.1.evil.example"}),
    ],
)
def test_no_page_stops_or_loads(stoppable, method, headers):
    served, stopped = stoppable
    headers = {name: value.format(host=f"127.0.0.1:{served.port}") for name, value in headers.items()}
    assert served.ask(method, "/command/stop", headers=headers).status == 403
    if method == "POST":
        assert served.ask("POST", "/v2/repository/models/small/load", headers=headers).status == 403
    assert not stopped
    assert served.ask("GET", "/command/stop").status == 200 and stopped.pop()


@pytest.fixture(scope="module")
def stoppable(running):
    stopped = []
    return running({"small": make_net()}, allow_stop=True, stop=lambda: stopped.append(1)), stopped


@pytest.mark.parametrize("host", ["[", "a b", "<script>", "a/b?c#d", "\x7f", "[::1]:9", "a:b:c", "@", ""])
def test_no_host_confuses_it(served, host):
    assert served.ask("GET", "/nothing", headers={"Host": host}).status in (400, 404)
    page = served.ask("GET", "/docs", headers={"Host": host})
    assert page.status in (200, 400) and b"<script>" not in page.body


@pytest.mark.parametrize("charset", ["", "undefined", "idna", "unicode_escape", "utf-7", "utf-16", "zlib"])
@pytest.mark.parametrize("name", [b"a\\ud800\\u0000.png", b"<script>\x1b[31m\x00", b"\xff\xfe\xd8\x00", b"a" * 4000])
def test_names_stay_names(served, charset, name):
    body, headers = form(image_file())
    headers["Content-Type"] += f"; charset={charset}" if charset else ""
    answer = served.ask("POST", "/api?format=json", body.replace(b"a.png", name), headers)
    assert answer.status in (200, 400) and answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert b"<script>" not in served.ask("POST", "/api", body.replace(b"a.png", name), headers).body


def test_the_log_has_a_line_a_request(served, caplog):
    def told():
        lines = [record.getMessage() for record in caplog.records if record.name == "googlenet_jax.serve.access"]
        return [line for line in lines if '"path": "/api"' not in line]  # of a test before

    with caplog.at_level(logging.INFO, "googlenet_jax.serve.access"):
        served.ask("GET", "/%0d%0a%7b%22status%22:200%7d%1b%5b31m%e2%80%ae" + "a" * 5000)
        end = time.monotonic() + 10
        while not (lines := told()) and time.monotonic() < end:  # the line comes after the answer
            time.sleep(0.01)
    assert len(lines) == 1 and len(lines[0]) < 600 and lines[0].isprintable()
    assert json.loads(lines[0])["path"].startswith('/??{"status":200}?[31m?aaa')


def test_a_fault_is_answered_like_all_else(served, caplog):
    with mock.patch.object(served.service, "problem", side_effect=RuntimeError("of a test")):
        answer = served.ask("GET", "/health/ready")
    assert (answer.status, json.loads(answer.body)) == (500, {"error": "a fault of the server, see its log"})
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "RuntimeError: of a test" in caplog.text
