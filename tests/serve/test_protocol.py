"""The Open Inference Protocol v2, with the client that people use."""

import json

import numpy as np
import pytest
from serving import LABELS, image_file, make_net
from tritonclient import http as triton
from tritonclient.utils import InferenceServerException

PATH = "/v2/models/small/infer"


@pytest.fixture(scope="module")
def client(served):
    found = triton.InferenceServerClient(f"127.0.0.1:{served.port}", concurrency=1)
    yield found
    found.close()


@pytest.fixture(scope="module")
def crops():
    return np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)


def tensor(values, kind, binary=True):
    found = triton.InferInput("images", list(values.shape), kind)
    found.set_data_from_numpy(values, binary_data=binary)
    return found


def test_what_the_server_tells_of_itself(served, client):
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("small")
    assert client.get_server_metadata()["name"] == "googlenet_jax"
    assert client.get_model_metadata("small") == {
        "name": "small",
        "versions": ["0"],
        "platform": "JAX on cpu",
        "inputs": [{"name": "images", "datatype": "UINT8", "shape": [-1, 32, 32, 3]}],
        "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 4]}],
    }
    assert client.get_model_metadata("small", "0")["name"] == "small"
    assert client.get_model_config("small")["input"][0]["dims"] == [32, 32, 3]
    assert client.get_model_repository_index() == [{"name": "small", "version": "0", "state": "READY", "reason": ""}]
    with pytest.raises(InferenceServerException, match="version 0 alone"):
        client.get_model_metadata("small", "7")
    assert not client.is_model_ready("large")


@pytest.mark.parametrize("binary", [True, False])
def test_crops(served, client, crops, binary):
    wanted = triton.InferRequestedOutput("probabilities", binary_data=binary)
    answer = client.infer("small", [tensor(crops, "UINT8", binary)], outputs=[wanted], request_id="seven")
    np.testing.assert_allclose(answer.as_numpy("probabilities"), served.nets["small"].classify(crops), atol=1e-6)
    response = answer.get_response()
    assert response["id"] == "seven" and response["model_name"] == "small" and response["model_version"] == "0"


@pytest.mark.parametrize("binary", [True, False])
def test_encoded_images(served, client, binary):
    files = [image_file(0), image_file(1, (90, 33), "JPEG")]
    if binary:
        answer = client.infer("small", [tensor(np.array(files, object), "BYTES")]).as_numpy("probabilities")
    else:
        import base64

        data = [base64.b64encode(file).decode() for file in files]
        request = {"inputs": [{"name": "images", "datatype": "BYTES", "shape": [2, 1], "data": data}]}
        found = json.loads(served.ask("POST", PATH, json.dumps(request).encode()).body)
        answer = np.reshape(found["outputs"][0]["data"], found["outputs"][0]["shape"])
    np.testing.assert_allclose(answer, served.nets["small"].probabilities(files), atol=1e-6)


@pytest.mark.parametrize("binary", [True, False])
def test_classes_as_text(served, client, crops, binary):
    wanted = triton.InferRequestedOutput("probabilities", binary_data=binary, class_count=2)
    found = client.infer("small", [tensor(crops, "UINT8")], outputs=[wanted]).as_numpy("probabilities")
    expected = served.nets["small"].classify(crops)
    assert found.shape == (3, 2)
    for row, values in zip(found, expected, strict=True):
        for text, place in zip(row, np.argsort(-values), strict=False):
            probability, index, label = (text.decode() if binary else text).split(":")
            assert int(index) == place and label == LABELS[place]
            assert float(probability) == pytest.approx(values[place], abs=1e-6)


def test_a_timeout_that_is_too_short(client, crops):
    with pytest.raises(InferenceServerException, match="deadline passed"):
        client.infer("small", [tensor(crops, "UINT8")], timeout=1)
    client.infer("small", [tensor(crops, "UINT8")], timeout=30_000_000)


def test_one_file_that_is_no_image(client):
    with pytest.raises(InferenceServerException, match="not an image that can be read"):
        client.infer("small", [tensor(np.array([image_file(), b"junk"], object), "BYTES")])


def test_a_model_is_loaded_again(running):
    nets = {"small": make_net(1), "other": make_net(2)}
    served = running(nets)
    client = triton.InferenceServerClient(f"127.0.0.1:{served.port}")
    crops = np.full((1, 32, 32, 3), 100, np.uint8)

    def ask(name):
        return client.infer(name, [tensor(crops, "UINT8")]).as_numpy("probabilities")

    before = ask("small")
    nets["small"] = make_net(3)
    np.testing.assert_array_equal(ask("small"), before)
    client.load_model("small")
    np.testing.assert_allclose(ask("small"), nets["small"].classify(crops), atol=1e-6)
    assert client.get_model_metadata("small")["versions"] == ["3"]
    with pytest.raises(InferenceServerException, match="no model of this name"):
        client.load_model("third")
    with pytest.raises(InferenceServerException, match="not unloaded"):
        client.unload_model("small")
    nets.pop("small")  # its checkpoint is gone: what is served goes on
    served.service._open = lambda name, newest: (_ for _ in ()).throw(FileNotFoundError(2, "No such file", name))
    with pytest.raises(InferenceServerException, match="not loaded again"):
        client.load_model("small")
    assert ask("small").shape == (1, 4)
    client.close()


UINT8 = {"name": "images", "datatype": "UINT8", "shape": [1, 32, 32, 3]}


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (b"", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "no JSON object"),
        ({}, "one tensor is asked for"),
        ({"inputs": []}, "one tensor is asked for"),
        ({"inputs": [UINT8 | {"name": "x"}]}, "the input's name is images"),
        ({"inputs": [UINT8 | {"datatype": "FP32"}]}, "images are UINT8 crops (n, 32, 32, 3), or BYTES"),
        ({"inputs": [UINT8 | {"shape": [1, 33, 32, 3]}]}, "have the shape (n, 32, 32, 3), RGB, not [1, 33, 32, 3]"),
        ({"inputs": [UINT8 | {"shape": [-1, 32, 32, 3]}]}, "a list of whole numbers"),
        ({"inputs": [UINT8 | {"shape": [1 << 80, 32, 32, 3]}]}, "a list of whole numbers"),
        ({"inputs": [UINT8 | {"shape": [17, 32, 32, 3]}]}, "17 images: 1 to 16 a request"),
        ({"inputs": [UINT8 | {"shape": [0, 32, 32, 3], "data": []}]}, "0 images"),
        ({"inputs": [UINT8 | {"data": [[1], [2, 3]]}]}, "whole numbers from 0 to 255"),
        ({"inputs": [UINT8 | {"data": [256] * 3072}]}, "whole numbers from 0 to 255"),
        ({"inputs": [UINT8 | {"data": ["a"] * 3072}]}, "whole numbers from 0 to 255"),
        ({"inputs": [UINT8 | {"data": [1 << 80] * 3072}]}, "whole numbers from 0 to 255"),
        ({"inputs": [UINT8]}, "whole numbers from 0 to 255"),
        ({"inputs": [UINT8 | {"parameters": {"binary_data_size": 3072}}]}, "3072, but 0 bytes"),
        ({"inputs": [UINT8 | {"parameters": 3}]}, "no JSON object"),
        ({"inputs": [{"name": "images", "datatype": "BYTES", "shape": [1], "data": ["%"]}]}, "base64"),
        ({"inputs": [{"name": "images", "datatype": "BYTES", "shape": [2], "data": ["AA=="]}]}, "1 images"),
        ({"inputs": [UINT8], "outputs": [{"name": "logits"}]}, "the output's name is probabilities"),
        ({"inputs": [UINT8], "outputs": 7}, "outputs: there is one"),
        ({"inputs": [UINT8], "parameters": {"timeout": -1}}, "microseconds, above 0"),
        ({"inputs": [UINT8], "id": "x" * 999}, "at most 256"),
    ],
)
def test_requests_that_make_no_sense(served, request_, error):
    body = request_ if isinstance(request_, bytes) else json.dumps(request_).encode()
    answer = served.ask("POST", PATH, body)
    assert answer.status == 400 and error in json.loads(answer.body)["error"]


@pytest.mark.parametrize(
    ("tail", "length", "size", "error"),
    [
        (b"", "99999", 0, "more than the body has"),
        (b"", "-1", 0, "a number of bytes"),
        (bytes(10), None, 10, "3072 bytes, there are 10"),
        (bytes(10), None, None, "no binary_data_size"),
    ],
)
def test_binary_tensors_that_make_no_sense(served, tail, length, size, error):
    parameters = {} if size is None else {"parameters": {"binary_data_size": size}}
    head = json.dumps({"inputs": [UINT8 | parameters]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head)) if length is None else length}
    answer = served.ask("POST", PATH, head + tail, headers)
    assert answer.status == 400 and error in json.loads(answer.body)["error"]


@pytest.mark.parametrize("tail", [b"\xff\xff\xff\xff", b"\x01\x00\x00", b"\x00\x00\x00\x00" * 2])
def test_cut_off_texts(served, tail):
    tensor = {"name": "images", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": len(tail)}}
    head = json.dumps({"inputs": [tensor]}).encode()
    answer = served.ask("POST", PATH, head + tail, {"Inference-Header-Content-Length": str(len(head))})
    assert answer.status == 400


def test_compressed_bodies_are_refused(served):
    assert served.ask("POST", PATH, b"x", {"Content-Encoding": "gzip"}).status == 415
