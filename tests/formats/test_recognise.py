"""Every kind of file: read as its own system writes it, refused when it is damaged, hostile or of another network."""

import argparse
import collections
import gzip
import hashlib
import http.server
import io
import json
import pickle
import random
import struct
import tarfile
import threading
import zipfile

import numpy as np
import peers
import pytest
import writers

import googlenet_jax as gn
from googlenet_jax.errors import UserError
from googlenet_jax.export.weights import export_weights
from googlenet_jax.formats import recognise
from googlenet_jax.importers import published
from googlenet_jax.importers.importer import import_checkpoint
from googlenet_jax.importers.labels import read_labels

MAIN = {name: array for name, array in peers.tensors("caffe").items() if name[:5] not in ("loss1", "loss2")}
PADDLE = peers.tensors("paddleclas")


def singa_archive(payload):
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz", compresslevel=1) as archive:
        info = tarfile.TarInfo("bvlc_googlenet.pickle")
        info.size = len(payload)
        archive.addfile(info, io.BytesIO(payload))
    return target.getvalue()


def training_checkpoint():
    """As DeepSpark's train.py saves it."""
    model = collections.OrderedDict(peers.tensors("torchvision"))
    optimizer = {"state": {0: {"momentum_buffer": np.zeros(3, np.float32)}}, "param_groups": [{"lr": 0.1}]}
    return {"model": model, "optimizer": optimizer, "epoch": 3, "args": argparse.Namespace(lr=0.1)}


def paddle_content(tensors):
    return {**tensors, "StructuredToParameterName@@": {name: name for name in tensors}}


FILES = {
    "new.caffemodel": ("caffe", lambda: writers.caffemodel(peers.tensors("caffe"))),
    "v1.caffemodel": ("caffe", lambda: writers.caffemodel(peers.tensors("caffe"), "v1")),
    "deploy.caffemodel": ("caffe", lambda: writers.caffemodel(MAIN, double=True)),
    "protocol0.pickle": ("singa", lambda: writers.python2_pickle(MAIN)),
    "protocol2.pickle": ("singa", lambda: pickle.dumps(MAIN, 2)),
    "singa.tar.gz": ("singa", lambda: singa_archive(pickle.dumps(MAIN, 1))),
    "zip.pth": ("torchvision", lambda: writers.pth(collections.OrderedDict(peers.tensors("torchvision")))),
    "legacy.pth": ("torchvision", lambda: writers.pth(peers.tensors("torchvision"), legacy=True)),
    "training.pth": ("torchvision", lambda: writers.pth(training_checkpoint())),
    "mindcv.ckpt": ("mindcv", lambda: writers.ckpt(peers.tensors("mindcv"))),
    "zoo.ckpt": ("mindspore", lambda: writers.ckpt(peers.tensors("mindspore"))),
    "protocol4.pdparams": ("paddleclas", lambda: pickle.dumps(paddle_content(PADDLE), 4)),
    "protocol2.pdparams": ("paddleclas", lambda: pickle.dumps(paddle_content(PADDLE), 2)),
    "static.pdparams": ("paddleclas", lambda: pickle.dumps(peers.tensors("paddleclas static"), 4)),
}


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_file_gives_its_tensors(name, tmp_path):
    system, write = FILES[name]
    path = tmp_path / "checkpoint"  # recognised by content
    path.write_bytes(write())
    _, read = recognise.read(path)
    expected = peers.tensors("paddleclas static" if "static" in name else "caffe" if system == "singa" else system)
    expected = MAIN if system == "singa" or "deploy" in name else expected
    assert read.keys() >= expected.keys()
    assert all(np.array_equal(read[key], array) for key, array in expected.items())


def test_caffes_hdf5(tmp_path):
    writers.caffemodel_h5(peers.tensors("caffe"), tmp_path / "x.caffemodel.h5")
    _, read = recognise.read(tmp_path / "x.caffemodel.h5")
    assert read.keys() == peers.tensors("caffe").keys()
    assert all(np.array_equal(read[key], array) for key, array in peers.tensors("caffe").items())


def test_import_command(run_command, tmp_path):
    (tmp_path / "training.pth").write_bytes(FILES["training.pth"][1]())
    (tmp_path / "names.txt").write_text("".join(f"{i} name {i}, other\n" for i in range(10)))
    arguments = [
        tmp_path / "training.pth",
        "--output",
        tmp_path / "net",
        "--labels",
        tmp_path / "names.txt",
        "--verbose",
    ]
    result = run_command("-m", "googlenet_jax.cli", "import", *arguments)
    assert result.returncode == 0, result.stderr
    assert "torchvision's GoogLeNet" in result.stdout
    assert "inception3a.branch3.1.conv.weight -> params/inception_3a/5x5/kernel" in result.stdout
    assert "conv1.bn.num_batches_tracked -> left out" in result.stdout
    net = gn.load(tmp_path / "net")
    assert net.labels[3] == "name 3, other"
    assert net.preprocess.mean == pytest.approx((123.675, 116.28, 103.53))
    picture = np.random.default_rng(0).integers(0, 256, (300, 260, 3), dtype=np.uint8)
    assert len(net.predict(picture)[0].labels) == 5
    again = run_command("-m", "googlenet_jax.cli", "import", *arguments)
    assert again.returncode == 2
    assert "is not empty" in again.stderr


def test_preprocessing_comes_from_the_system(tmp_path):
    (tmp_path / "x.pickle").write_bytes(pickle.dumps(MAIN, 2))
    import_checkpoint(str(tmp_path / "x.pickle"), tmp_path / "singa")
    assert gn.load(tmp_path / "singa").preprocess.mean == (103.939, 116.779, 123.68)
    (tmp_path / "x.pth").write_bytes(FILES["zip.pth"][1]())
    import_checkpoint(str(tmp_path / "x.pth"), tmp_path / "torch", normalization="half_range")
    net = gn.load(tmp_path / "torch")
    pixels = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), dtype=np.uint8)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    transformed = ((pixels / 255 - mean) / std) * (std / 0.5) + (mean - 0.5) / 0.5  # torchvision's _transform_input
    np.testing.assert_allclose(net.preprocess.normalize(pixels), transformed, atol=1e-5)


@pytest.mark.parametrize(("system", "suffix"), [("torchvision", ".pth"), ("caffe", ".caffemodel")])
def test_export_and_import_give_the_same_bytes(system, suffix, tmp_path):
    name = {"torchvision": "zip.pth", "caffe": "v1.caffemodel"}[system]
    (tmp_path / name).write_bytes(FILES[name][1]())
    import_checkpoint(str(tmp_path / name), tmp_path / "net")
    export_weights(gn.load(tmp_path / "net"), system, tmp_path / f"back{suffix}")
    if system == "caffe":  # read by protobuf itself
        layers = writers.Net.FromString((tmp_path / "back.caffemodel").read_bytes()).layer
        blob = next(layer for layer in layers if layer.name == "conv2/3x3").blobs[0]
        kernel = np.array(blob.data, np.float32).reshape(blob.shape.dim)
        np.testing.assert_array_equal(kernel, peers.tensors("caffe")["conv2/3x3_weight"])
        assert {layer.type for layer in layers} == {"Convolution", "InnerProduct"}
    _, back = recognise.read(tmp_path / f"back{suffix}")
    for key, array in peers.tensors(system).items():
        assert back[key].shape == array.shape
        assert key.endswith("num_batches_tracked") or back[key].tobytes() == array.tobytes()


def test_export_refuses_another_family(run_command, tmp_path):
    (tmp_path / "x.ckpt").write_bytes(FILES["zoo.ckpt"][1]())
    import_checkpoint(str(tmp_path / "x.ckpt"), tmp_path / "net")
    arguments = ["--checkpoint", tmp_path / "net", "--format", "torchvision", "--output", tmp_path / "x.pth"]
    result = run_command("-m", "googlenet_jax.cli", "export", *arguments)
    assert result.returncode == 2
    assert "'mindspore'" in result.stderr
    assert not (tmp_path / "x.pth").exists()


class Payload:
    """Runs a command when an ordinary unpickler reads it."""

    def __reduce__(self):
        return print, ("executed",)


def zip_bomb():
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", b"\0" * (64 << 20))
    return target.getvalue()


def tar_of(name, size, kind=tarfile.REGTYPE):
    """One member of zeros."""
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    target = io.BytesIO()
    with gzip.GzipFile(fileobj=target, mode="wb", compresslevel=1) as stream:
        stream.write(info.tobuf(tarfile.GNU_FORMAT))
        for _ in range(0, size, 1 << 20):
            stream.write(b"\0" * min(size, 1 << 20))
        stream.write(b"\0" * 1024)
    return target.getvalue()


def shared_strings():
    """One megabyte of text that a thousand arrays are made of, each a copy."""
    text = b"X" + struct.pack("<I", 1 << 20) + b"a" * (1 << 20) + b"q\x01"
    encode = b"c_codecs\nencode\nh\x01X\x06\x00\x00\x00latin1\x86R0"
    return b"\x80\x02}" + text + encode * 1000 + b"0."


def length_of_two_gigabytes():
    return b"\x0a\x04name" + b"\xa2\x06" + b"\xff\xff\xff\xff\x07" + b"short"


def without(tensors, name):
    return {key: array for key, array in tensors.items() if key != name}


HOSTILE = {
    "payload.pickle": (lambda: pickle.dumps({"conv1/7x7_s2_weight": Payload()}), "print, which is refused"),
    "payload.pth": (lambda: writers.pth({"conv1.conv.weight": Payload()}), "print, which is refused"),
    "bomb.pth": (zip_bomb, "would take 64 MiB"),
    "bomb.tar.gz": (lambda: tar_of("x.txt", 600 << 20), "unpacks to more"),
    "large.tar.gz": (lambda: tar_of("x.pickle", 600 << 20), "x.pickle would take 600 MiB"),
    "sparse.tar.gz": (lambda: tar_of("x.pickle", 1, tarfile.GNUTYPE_SPARSE), "x.pickle would take"),
    "shared.pth": (lambda: writers.pth({"a": np.zeros(4, np.float32)}).replace(b"K\x04", b"J\xff\xff\xff\xff"), "read"),
    "keys.pth": (
        lambda: writers.pth({"a": np.zeros(4, np.float32)}, legacy=True).replace(b"]", b")"),
        "cannot be read",
    ),
    "length.caffemodel": (length_of_two_gigabytes, "2147483647 bytes"),
    "memo.pickle": (lambda: b"\x80\x02}" + b"r" + struct.pack("<I", 2**32 - 1) + b"." + b"\0" * 9, "no arrays"),
    "budget.pickle": (shared_strings, "more memory"),
    "fields.caffemodel": (lambda: b"\xa2\x06\x80\x9a\x0c" + b"\x2a\x00" * 100_000, "more fields"),
    "long.pickle": (lambda: b"\x80\x05\x96" + struct.pack("<Q", 2**62) + b"." * 9, "cannot be read"),
    "shape.pickle": (lambda: pickle.dumps(MAIN, 2).replace(b"K@K\x03K\x07K\x07", b"K@K\x03K\x07K\x08"), "values"),
    "truncated.caffemodel": (lambda: writers.caffemodel(MAIN)[:1_000_000], "bytes where only"),
    "truncated.pth": (lambda: FILES["zip.pth"][1]()[:1_000_000], "cannot be read"),
    "truncated.pdparams": (lambda: FILES["protocol4.pdparams"][1]()[:1_000_000], "cannot be read"),
    "random": (lambda: random.Random(0).randbytes(100_000), "none of the known kinds"),
    "empty": (lambda: b"", "0 bytes"),
    "missing.caffemodel": (
        lambda: writers.caffemodel(without(MAIN, "inception_3a/5x5_bias")),
        "1 tensor is missing: inception_3a/5x5_bias",
    ),
    "extra.pdparams": (lambda: pickle.dumps({**PADDLE, "more": np.zeros(3, np.float32)}), "not of this network: more"),
    "shape.ckpt": (
        lambda: writers.ckpt({**peers.tensors("mindspore"), "conv1.conv.weight": np.zeros((64, 1, 7, 7), np.float32)}),
        "conv1.conv.weight is float32 (64, 1, 7, 7), not float (64, 3, 7, 7)",
    ),
    "other.pdparams": (lambda: pickle.dumps({f"w{i}": np.zeros(2, np.float32) for i in range(9)}), "w0, w1, w2"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_bad_files_are_one_line_and_leave_nothing(name, tmp_path, capsys):
    write, words = HOSTILE[name]
    (tmp_path / name).write_bytes(write())
    with pytest.raises(UserError) as error:
        import_checkpoint(str(tmp_path / name), tmp_path / "net")
    assert words in str(error.value)
    assert name in str(error.value)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
    assert "executed" not in capsys.readouterr().out


def test_a_download_is_verified(tmp_path, monkeypatch):
    data = pickle.dumps(paddle_content(PADDLE), 4)
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "x.pdparams").write_bytes(data)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=tmp_path / "served")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("localhost", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        entry = published.Published(
            f"http://localhost:{server.server_port}/x.pdparams", "sha256", hashlib.sha256(data).hexdigest()[:8]
        )
        monkeypatch.setattr(published, "_CACHE", tmp_path / "cache")
        monkeypatch.setitem(published.PUBLISHED, "paddleclas", entry)
        seen = []
        result = import_checkpoint("paddleclas", tmp_path / "net", progress=lambda *x: seen.append(x))
        assert result.published == "paddleclas"
        assert seen[-1] == (len(data), len(data))
        monkeypatch.setitem(published.PUBLISHED, "caffe", entry._replace(digest="00000000"))
        (tmp_path / "cache" / "x.pdparams").unlink()
        with pytest.raises(UserError, match="not those that were published"):
            import_checkpoint("caffe", tmp_path / "other")
        server.shutdown()
    assert not list((tmp_path / "cache").glob("*part"))
    monkeypatch.setitem(published.PUBLISHED, "singa", entry._replace(url="http://localhost:9/x.tar.gz"))
    with pytest.raises(UserError, match="cannot be downloaded here"):
        import_checkpoint("singa", tmp_path / "other")


def test_labels(tmp_path):
    assert read_labels("imagenet", 1000)[:2] == ["tench, Tinca tinca", "goldfish, Carassius auratus"]
    assert read_labels(None, 1000)[-1] == "toilet tissue, toilet paper, bathroom tissue"
    (tmp_path / "labels.txt").write_text("{0: 'cat',\n 1: 'dog'}\n")
    assert read_labels(str(tmp_path / "labels.txt"), 2) == ["cat", "dog"]
    with pytest.raises(UserError, match="2 names for 3 classes"):
        read_labels(str(tmp_path / "labels.txt"), 3)


def test_the_list_of_peers_is_complete():
    counts = {
        system: len(names) for system, names in json.loads((peers.DATA / "peer_tensors.json").read_text()).items()
    }
    # of each system's own definition: weights, biases, statistics and counters
    assert counts["caffe"] == 128
    assert counts["torchvision"] == 364
    assert (counts["mindcv"], counts["mindspore"], counts["paddleclas"]) == (69, 287, 69)
