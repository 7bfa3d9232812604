"""`/api` and what stands around it, over real connections."""

import http.client
import io
import json
import socket

import jax
import numpy as np
import pytest
from PIL import Image
from serving import LABELS, form, image_file, make_net

from googlenet_jax.serve.models import batch_sizes


def test_singas_answer_to_the_letter(served):
    data = image_file()
    body, headers = form(data)
    answer = served.ask("POST", "/api", body, headers)
    (expected,) = served.nets["small"].predict([data])
    lines = [
        f"{label}:{np.float32(p)!s}<br/>" for label, p in zip(expected.labels, expected.probabilities, strict=True)
    ]
    text = "".join(lines).replace("<b>bird</b>", "&lt;b&gt;bird&lt;/b&gt;")
    assert answer.status == 200 and answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.body.decode() == text


def test_several_images_and_one_that_is_broken(served):
    good = [image_file(0), image_file(1, (200, 30), "JPEG")]
    status, answer = served.classify(good[0], b"no image", good[1], image_file()[:-40], query="?format=json&top=2")
    assert status == 200 and answer["model"] == "small"
    first, broken, second, cut = answer["predictions"]
    for got, data in ((first, good[0]), (second, good[1])):
        (expected,) = served.nets["small"].predict([data], top=2)
        assert got["labels"] == expected.labels and got["classes"] == expected.classes
        np.testing.assert_allclose(got["probabilities"], expected.probabilities, atol=1e-6)
    assert (second["width"], second["height"]) == (200, 30)
    assert broken["error"] == "not an image that can be read" and "damaged" in cut["error"]


def test_json_is_asked_for_by_the_header_too_and_a_raw_image_is_taken(served):
    answer = served.ask("POST", "/api", image_file(), {"Content-Type": "image/png", "Accept": "application/json"})
    assert served.ask("POST", "/api", image_file(), {"Accept": "application/json"}).body == answer.body
    assert json.loads(answer.body)["predictions"][0]["labels"][0] in LABELS


def test_class_maps_are_exact(served):
    status, answer = served.classify(image_file(3), query="?format=json&maps=1")
    assert status == 200
    (found,) = answer["predictions"]
    net = served.nets["small"]
    images = net.preprocess([np.asarray(net.preprocess.crop(_decoded(image_file(3))))])
    logits = np.asarray(net.model.apply(net.variables, images))[0]  # by the network as it is, batch norm and all
    bias = net.variables["params"]["classifier"]["bias"]
    for number, place in enumerate(found["classes"]):
        values = np.asarray(found["maps"][number])
        assert values.shape == (4, 4)
        np.testing.assert_allclose(values.mean() + bias[place], logits[place], rtol=2e-3, atol=2e-3)  # four digits
    left, top, right, bottom = found["box"]
    assert 0 <= left < right <= 1 and 0 <= top < bottom <= 1
    assert (right - left) * 48 == pytest.approx((bottom - top) * 40)  # a square of pixels


def _decoded(data):
    from googlenet_jax.data.pictures.picture import decode_image

    return decode_image(data, "a")


def test_what_a_map_is_laid_over_is_what_the_network_saw():
    net = make_net(size=16)
    pixels = np.zeros((40, 64, 3), np.uint8)
    left, top, right, bottom = (round(edge) for edge in net.preprocess.box(64, 40))
    pixels[top:bottom, left:right] = 255
    assert net.preprocess.crop(pixels)[1:-1, 1:-1].min() == 255


@pytest.mark.parametrize(
    ("query", "status", "error"),
    [
        ("?format=json&top=0", 400, "top: a whole number of 1 or more is asked for"),
        ("?format=json&top=x", 400, "top: a whole number of 1 or more is asked for"),
        ("?format=json&maps=%00", 400, "maps: a whole number of 0 or more is asked for"),
        ("?format=json&model=../x", 404, "there is no model of this name; there is small"),
    ],
)
def test_queries_that_make_no_sense(served, query, status, error):
    assert served.classify(image_file(), query=query) == (status, {"error": error})


def test_bodies_that_make_no_sense(served):
    def error(body, headers):
        answer = served.ask("POST", "/api?format=json", body, headers)
        return answer.status, json.loads(answer.body)["error"]

    answer = served.ask("POST", "/api?format=xml", image_file(), {"Content-Type": "image/png"})
    assert (answer.status, b"format: json or html is asked for" in answer.body) == (400, True)
    status, words = error(image_file(), {"Content-Type": "application/x-www-form-urlencoded"})  # curl --data-binary
    assert (status, words[:83]) == (
        415,
        "send images as a form, curl -F image=@cat.jpg, or one as the body, curl -T cat.jpg ",
    )
    assert error(b'{"url": "http://x/"}', {"Content-Type": "application/json"})[0] == 415
    assert error(*form(image_file(), field="picture")) == (
        400,
        "the form has no file in a field 'image': curl -F image=@cat.jpg",
    )
    assert error(b"--x", {"Content-Type": "multipart/form-data"})[1].endswith("Missing boundary in multipart.")
    assert error(b"junk", {"Content-Type": "multipart/form-data; boundary=x"})[0] == 400
    assert error(*form(image_file()[:20]))[0] == 400
    assert error(*form(*[image_file()] * 17)) == (
        413,
        "not a form that can be read: Too many files. Maximum number of files is 16.",
    )
    body, headers = form(b"not an image")
    text = served.ask("POST", "/api", body, headers)
    assert (text.status, text.body) == (400, b"Sorry, not an image that can be read<br/>")


def test_other_paths_and_methods(served):
    assert served.ask("GET", "/api").status == 405
    missing = served.ask("GET", "/x%0d%0aSet-Cookie:%20a=b")
    assert (missing.status, missing.body) == (404, b'{"error":"Not Found"}') and "Set-Cookie" not in missing.headers
    assert served.ask("POST", "/command/stop").status == 404


def test_too_many_bytes_are_refused_while_they_come(running):
    served = running({"small": make_net()}, limits={"max_bytes": 10_000})
    body, headers = form(bytes(20_000))
    known = served.ask("POST", "/api?format=json", body, headers)
    assert (known.status, json.loads(known.body)["error"]) == (413, "a body of more than 10,000 bytes is not taken")
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    pieces = iter([body[:9_000], body[9_000:]])
    connection.request("POST", "/api", pieces, headers, encode_chunked=True)
    assert connection.getresponse().status == 413
    assert served.service.held == 0
    assert served.classify(image_file())[0] == 200


def test_a_large_picture_is_refused_by_its_header(running):
    served = running({"small": make_net()}, limits={"max_pixels": 10_000})
    target = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(target, "PNG")
    data = target.getvalue()
    wide = image_file(size=(200, 51), kind="JPEG")
    status, answer = served.classify(data)
    assert status == 413 and answer["error"] == "more than 10,000 pixels; scale it down"
    assert served.classify(wide) == (413, {"error": "200x51 pixels are more than 10,000; scale it down"})
    assert served.classify(image_file())[0] == 200


def test_a_body_that_does_not_arrive(running):
    served = running({"small": make_net()}, limits={"deadline": 0.5})
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as slow:
        slow.sendall(
            b"POST /api?format=json HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\nContent-Type: image/png\r\n\r\n\x89"
        )
        assert served.classify(image_file())[0] == 200  # others meanwhile
        answer = slow.makefile(newline="").read()
    assert answer.startswith("HTTP/1.1 408 ") and "did not arrive in time" in answer


def test_models_by_name_and_together(running):
    nets = {"first": make_net(1), "second": make_net(2)}
    served = running(nets, ensemble=True)
    data = image_file(4)

    def asked(model):
        status, answer = served.classify(data, query=f"?format=json&model={model}&top=4")
        assert status == 200
        (found,) = answer["predictions"]
        return np.asarray([p for _, p in sorted(zip(found["classes"], found["probabilities"], strict=True))])

    alone = [net.probabilities([data])[0] for net in nets.values()]
    np.testing.assert_allclose(asked("second"), alone[1], atol=1e-6)
    np.testing.assert_allclose(asked("ensemble"), np.mean(alone, 0), atol=1e-6)
    assert [m["name"] for m in json.loads(served.ask("GET", "/status").body)["models"]] == [
        "first",
        "second",
        "ensemble",
    ]


def test_a_token_is_asked_for(running):
    served = running({"small": make_net()}, token="secret-1")
    assert served.classify(image_file()) == (401, {"error": "no token, or not this server's"})
    body, headers = form(image_file())
    for given, status in (("Bearer secret-1", 200), ("Bearer secret-2", 401), ("Bearer \xff", 401), ("secret-1", 401)):
        assert served.ask("POST", "/api", body, headers | {"Authorization": given}).status == status
    assert {path: served.ask("GET", path).status for path in ("/", "/health/ready", "/v2/health/live", "/docs")} == {
        "/": 200,
        "/health/ready": 200,
        "/v2/health/live": 200,
        "/docs": 200,
    }
    assert {served.ask("GET", path).status for path in ("/metrics", "/status", "/v2/models/small")} == {401}


def test_pages_of_other_sites(running, served):
    body, headers = form(image_file())
    there = {"Origin": "https://a.example"}
    assert "Access-Control-Allow-Origin" not in served.ask("POST", "/api", body, headers | there).headers
    opened = running({"small": make_net()}, origins=("https://a.example",))
    answer = opened.ask("POST", "/api", body, headers | there)
    assert answer.headers["Access-Control-Allow-Origin"] == "https://a.example"
    assert served.ask("POST", "/v2/repository/models/small/load", headers=there).status == 403


def test_stop_from_this_machine_alone(running):
    asked = []
    served = running({"small": make_net()}, allow_stop=True, stop=lambda: asked.append(1))
    assert served.ask("POST", "/command/stop", headers={"Origin": "https://a.example"}).status == 403
    assert not asked
    assert served.ask("POST", "/command/stop").status == 200 and asked == [1]


def test_metrics_and_documents(served):
    served.classify(image_file())
    text = served.ask("GET", "/metrics").body.decode()
    assert 'googlenet_requests_total{method="POST",route="/api",status="200"}' in text
    assert 'googlenet_images_total{model="small"}' in text and "googlenet_queue_depth 0.0" in text
    assert f'jax="{jax.__version__}"' in text
    assert 'googlenet_model_info{family="batchnorm",model="small",runtime="JAX on cpu",source="small",step="0"}' in text
    described = json.loads(served.ask("GET", "/openapi.json").body)["paths"]
    for path in ("/status", "/metrics", "/health/live", "/v2", "/v2/models/small/config"):
        kind = served.ask("GET", path).headers["Content-Type"].partition(";")[0]
        answers = described[path.replace("small", "{name}")]["get"]["responses"]
        assert list(answers["200"]["content"]) == [kind]
    refused, answers = served.ask("POST", "/api"), described["/api"]["post"]["responses"]
    assert refused.headers["Content-Type"].partition(";")[0] in answers[str(refused.status)]["content"]
    paths = set(described)
    page = served.ask("GET", "/docs").body.decode()
    assert all(path in page for path in paths)
    from googlenet_jax.serve.app import _routes

    told = {route.path for route in _routes() if "versions" not in route.path} - {"/", "/docs", "/openapi.json"}
    assert paths == {path for path in told if not path.endswith("/unload")}


def test_headers_that_keep_browsers_safe(served):
    for path in ("/", "/docs", "/status", "/api", "/nothing"):
        headers = served.ask("GET", path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_batch_sizes():
    assert batch_sizes(1) == [1]
    assert batch_sizes(8) == [1, 2, 4, 8]
    assert batch_sizes(24) == [1, 2, 4, 8, 16, 24]
