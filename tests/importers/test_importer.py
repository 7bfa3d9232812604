"""Imports: a file of another system becomes a checkpoint, whatever stands around its weights; or is refused, named."""

import argparse
import collections
import datetime
import hashlib
import http.server
import json
import pathlib
import pickle
import threading

import ml_dtypes
import numpy as np
import peers
import pytest
import writers

import googlenet_jax as gn
from googlenet_jax.errors import UserError
from googlenet_jax.importers import published
from googlenet_jax.importers.importer import import_checkpoint

TORCH = peers.tensors("torchvision")
CAFFE = peers.tensors("caffe")
MAIN = {name: array for name, array in CAFFE.items() if name[:5] not in ("loss1", "loss2")}
PADDLE = peers.tensors("paddleclas")


def prefixed(prefix, tensors):
    return {prefix + name: array for name, array in tensors.items()}


def renamed(old, new, tensors):
    return {name.replace(old, new): array for name, array in tensors.items()}


def without(name, tensors):
    return {key: array for key, array in tensors.items() if key != name}


def training_checkpoint(tensors=TORCH):
    """As DeepSpark's train.py saves it, with a scheduler, and what users put into their arguments."""
    return {
        "model": collections.OrderedDict(tensors),
        "optimizer": {"state": {0: {"momentum_buffer": np.zeros(3, np.float32)}}, "param_groups": [{"lr": 0.1}]},
        "lr_scheduler": {"milestones": collections.Counter({30: 1, 60: 1}), "T_max": 90},
        "args": argparse.Namespace(lr=0.1, data_path=pathlib.PurePosixPath("/data"), classes={1, 2}),
        "history": collections.defaultdict(list, {"loss": [1.0]}),
        "saved": datetime.datetime(2026, 11, 25, tzinfo=datetime.UTC),
        "epoch": 3,
    }


def wide_heads():
    """The auxiliary heads still for ImageNet, as where only fc was replaced."""
    shapes = (("weight", (1000, 1024)), ("bias", (1000,)))
    return {f"aux{i}.fc2.{kind}": np.zeros(shape, np.float32) for i in (1, 2) for kind, shape in shapes}


SURPLUS = {"criterion.weight": np.ones(10, np.float32)}
BACKBONE = {name: array for name, array in TORCH.items() if not name.startswith("aux")}
SEQUENTIAL = {name.replace("fc.", "fc.1.") if name.startswith("fc.") else name: a for name, a in BACKBONE.items()}

# File -> its bytes, --key and --classifier, the system, auxiliary heads, a name left out, and why.
IMPORTED = {
    "training.pth": (
        lambda: writers.pth(training_checkpoint()),
        *((None, None), "torchvision", True, "conv1.bn.num_batches_tracked", "only training needs it"),
    ),
    "ema.pth": (
        lambda: writers.pth({"net": prefixed("module.", TORCH), "model_ema": TORCH, "acc": 93.0}, protocol=4),
        *(("model_ema", None), "torchvision", True, None, None),
    ),
    "lightning.pth": (
        lambda: writers.pth({"state_dict": {**prefixed("model._orig_mod.", TORCH), **SURPLUS}}, legacy=True),
        *((None, None), "torchvision", True, "criterion.weight", "not of this network"),
    ),
    "bfloat16.pth": (
        lambda: writers.pth({n: a.astype(ml_dtypes.bfloat16) if a.ndim else a for n, a in TORCH.items()}),
        *((None, None), "torchvision", True, None, None),
    ),
    "wide.pth": (
        lambda: writers.pth({**TORCH, **wide_heads()}),
        *((None, None), "torchvision", False, "aux1.fc2.bias", "heads of 1000 classes, the classifier has 10"),
    ),
    "sequential.pth": (
        lambda: writers.pth(prefixed("module.", SEQUENTIAL)),
        *((None, "fc.1"), "torchvision", False, None, None),
    ),
    "layer.safetensors": (
        lambda: writers.safetensors({**TORCH, "inception3a.gate.weight": np.ones(3, np.float32)}),
        *((None, None), "torchvision", True, "inception3a.gate.weight", "this network has no such layer there"),
    ),
    "birds.caffemodel": (
        lambda: writers.caffemodel(renamed("classifier", "classifier_birds", CAFFE)),
        *(
            (None, "loss3/classifier_birds"),
            "caffe",
            False,
            "loss1/fc_weight",
            "auxiliary heads without loss1/classifier",
        ),
    ),
    "network.ckpt": (
        lambda: writers.ckpt(prefixed("network.", peers.tensors("mindspore")), crc=True),
        *((None, None), "mindspore", False, "moments.conv1.conv.weight", "only training needs it"),
    ),
    "half.ckpt": (
        lambda: writers.ckpt({n: a.astype(np.float16) for n, a in peers.tensors("mindcv").items()}),
        *((None, None), "mindcv", True, None, None),
    ),
    "training.pdparams": (
        lambda: pickle.dumps({"model": prefixed("_layers.", PADDLE), "optimizer": {"master_weights": PADDLE}}, 4),
        *((None, None), "paddleclas", True, None, None),
    ),
    "extra.pdparams": (
        lambda: pickle.dumps({**PADDLE, "more": np.zeros(3, np.float32)}),
        *((None, None), "paddleclas", True, "more", "not of this network"),
    ),
    "x.npz": (lambda: writers.npz(MAIN), (None, None), "caffe", False, None, None),
}


@pytest.mark.parametrize("name", IMPORTED)
def test_what_stands_around_the_weights_is_left_out(name, tmp_path):
    write, (key, classifier), system, aux, left_out, why = IMPORTED[name]
    (tmp_path / name).write_bytes(write())
    result = import_checkpoint(str(tmp_path / name), tmp_path / "net", key=key, classifier=classifier)
    assert result.converted.naming.system == system
    assert result.converted.num_classes == 10
    assert result.converted.aux_heads == aux
    if left_out:
        assert why in result.converted.left_out[left_out]
    params = gn.load(tmp_path / "net").variables["params"]
    last = {"fc.weight", "classifier.weight", "loss3/classifier_weight", "_fc_out.weight"} & peers.tensors(
        system
    ).keys()
    kernel = peers.tensors(system)[last.pop()]
    kernel = kernel if system == "paddleclas" else kernel.T
    np.testing.assert_allclose(params["classifier"]["kernel"], kernel, rtol=2**-8)  # as exact as bfloat16


REFUSED = {
    "missing.caffemodel": (
        lambda: writers.caffemodel(without("inception_3a/5x5_bias", MAIN)),
        "1 tensor is missing: inception_3a/5x5_bias",
    ),
    "renamed.caffemodel": (
        lambda: writers.caffemodel(renamed("classifier", "classifier_birds", CAFFE)),
        "the classifier may have another name: --classifier loss3/classifier_birds fits by shape",
    ),
    "deep.pth": (
        lambda: writers.pth({**renamed("fc.", "fc.0.", BACKBONE), "fc.2.weight": np.zeros((3, 10), np.float32)}),
        "2 tensors are missing: fc.weight, fc.bias",
    ),
    "head.pth": (lambda: writers.pth(without("aux1.conv.conv.weight", TORCH)), "1 tensor is missing: aux1.conv.conv"),
    "shape.ckpt": (
        lambda: writers.ckpt({**peers.tensors("mindspore"), "conv1.conv.weight": np.zeros((64, 1, 7, 7), np.float32)}),
        "conv1.conv.weight is float32 (64, 1, 7, 7), not float (64, 3, 7, 7)",
    ),
    "nan.pth": (
        lambda: writers.pth({**TORCH, "conv2.conv.weight": np.full((64, 64, 1, 1), np.nan, np.float32)}),
        "conv2.conv.weight has values that are not finite",
    ),
    "other.pdparams": (lambda: pickle.dumps({f"w{i}": np.zeros(2, np.float32) for i in range(9)}), "w0, w1, w2"),
    "module.pth": (
        lambda: writers.pth({"model": argparse.Namespace(), "optimizer": {"buffer": np.zeros(3, np.float32)}}),
        "(buffer, ...) are not those of any GoogLeNet that is known here, and argparse.Namespace, which it asks for",
    ),
    "whole.pth": (
        lambda: writers.pth({"model": argparse.Namespace()}),
        "is refused: only arrays and plain values are read; save model.state_dict() where a whole model was saved",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_networks_are_one_line_and_leave_nothing(name, tmp_path):
    write, words = REFUSED[name]
    (tmp_path / name).write_bytes(write())
    with pytest.raises(UserError) as error:
        import_checkpoint(str(tmp_path / name), tmp_path / "net")
    assert words in str(error.value)
    assert ("--classifier" in str(error.value)) == (name == "renamed.caffemodel")
    assert name in str(error.value)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_unknown_keys_and_classifiers_name_those_there_are(tmp_path):
    (tmp_path / "x.pth").write_bytes(writers.pth(training_checkpoint()))
    with pytest.raises(UserError, match=r"--key ema: there is no such key; there are model, optimizer\.state\.0"):
        import_checkpoint(str(tmp_path / "x.pth"), tmp_path / "net", key="ema")
    with pytest.raises(UserError, match=r"--classifier head: there is no head\.weight and no head\.bias"):
        import_checkpoint(str(tmp_path / "x.pth"), tmp_path / "net", classifier="head")


def test_import_command(run_command, tmp_path):
    (tmp_path / "training.pth").write_bytes(writers.pth(training_checkpoint() | {"model_ema": TORCH}))
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
    assert "input: 224 px, rgb in 0..255, minus (123.67, 116.28, 103.53), divided by (58.395, 57.12" in result.stdout
    assert "weights taken from key 'model' (also there: 'model_ema'; --key decides)" in result.stdout
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
    (tmp_path / "x.pth").write_bytes(writers.pth(TORCH))
    import_checkpoint(str(tmp_path / "x.pth"), tmp_path / "torch", normalization="half_range")
    own = {"dataset.mean": "1,2,3", "dataset.channel_order": "bgr", "dataset.image_size": "96"}
    import_checkpoint(str(tmp_path / "x.pth"), tmp_path / "own", fields=own)
    p = gn.load(tmp_path / "own").preprocess
    assert (p.mean, p.channel_order, p.image_size) == ((1, 2, 3), "bgr", 96)
    for name, words in (
        ("dataset.mena", "did you mean 'dataset.mean'"),
        ("model.variant", "says nothing of the input"),
    ):
        with pytest.raises(UserError, match=words):
            import_checkpoint(str(tmp_path / "x.pth"), tmp_path / "other", fields={name: "1"})
    net = gn.load(tmp_path / "torch")
    pixels = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), dtype=np.uint8)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    transformed = ((pixels / 255 - mean) / std) * (std / 0.5) + (mean - 0.5) / 0.5  # torchvision's _transform_input
    np.testing.assert_allclose(net.preprocess.normalize(pixels), transformed, atol=1e-5)


def test_a_download_is_verified(tmp_path, monkeypatch):
    data = pickle.dumps(PADDLE, 4)
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
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setitem(published.PUBLISHED, "paddleclas", entry)
        seen = []
        result = import_checkpoint("paddleclas", tmp_path / "net", progress=lambda *x: seen.append(x))
        assert result.published == "paddleclas"
        assert seen[-1] == (len(data), len(data))
        monkeypatch.setitem(published.PUBLISHED, "caffe", entry._replace(digest="00000000"))
        next((tmp_path / "cache").rglob("x.pdparams")).unlink()
        with pytest.raises(UserError, match="not those that were published"):
            import_checkpoint("caffe", tmp_path / "other")
        server.shutdown()
    assert not list((tmp_path / "cache").rglob("*part*"))
    monkeypatch.setitem(published.PUBLISHED, "singa", entry._replace(url="http://localhost:9/x.tar.gz"))
    with pytest.raises(UserError, match="cannot be downloaded here"):
        import_checkpoint("singa", tmp_path / "other")


def test_the_list_of_peers_is_complete():
    counts = {
        system: len(names) for system, names in json.loads((peers.DATA / "peer_tensors.json").read_text()).items()
    }
    # of each system's own definition: weights, biases, statistics and counters
    assert counts["caffe"] == 128
    assert counts["torchvision"] == 364
    assert (counts["mindcv"], counts["mindspore"], counts["paddleclas"]) == (69, 287, 69)
