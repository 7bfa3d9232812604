"""Exported weights are the other systems' own files: what was imported from one comes back to the byte."""

import dataclasses
import pickle
import pickletools

import numpy as np
import peers
import pytest
import writers

import googlenet_jax as gn
from googlenet_jax.errors import UserError
from googlenet_jax.export.exporting import export
from googlenet_jax.export.target import Options
from googlenet_jax.formats import recognise
from googlenet_jax.formats.pickled import write_arrays
from googlenet_jax.importers.importer import import_checkpoint

WRITERS = {
    "torchvision": (".pth", writers.pth),
    "caffe": (".caffemodel", lambda tensors: writers.caffemodel(tensors, "v1")),
    "singa": (".pickle", lambda tensors: writers.caffemodel(tensors, "v1")),
    "mindcv": (".ckpt", writers.ckpt),
    "mindspore": (".ckpt", writers.ckpt),
    "paddleclas": (".pdparams", pickle.dumps),
}


def their_tensors(system):
    """What is imported, and what is in the system's own file: SINGA has Caffe's, without the auxiliary heads."""
    if system != "singa":
        return peers.tensors(system), peers.tensors(system)
    caffe = peers.tensors("caffe")
    return caffe, {name: array for name, array in caffe.items() if not name.startswith(("loss1", "loss2"))}


def read_caffemodel(data):
    layers = writers.Net.FromString(data).layer
    assert {layer.type for layer in layers} == {"Convolution", "InnerProduct"}
    kinds = ("weight", "bias")
    blobs = ((f"{layer.name}_{kind}", blob) for layer in layers for kind, blob in zip(kinds, layer.blobs, strict=True))
    return {name: np.array(blob.data, np.float32).reshape(blob.shape.dim) for name, blob in blobs}


def read_ckpt(data):
    values = writers.Checkpoint.FromString(data).value
    assert {value.tensor.tensor_type for value in values} == {"Float32"}
    tensors = ((value.tag, value.tensor) for value in values)
    return {name: np.frombuffer(t.tensor_content, "<f4").reshape(t.dims) for name, t in tensors}


def read_pickle(data, **kwargs):
    content = pickle.loads(data, **kwargs)
    return {name: array for name, array in content.items() if name != "SINGA_VERSION"}


# Read by the systems' own libraries, and not by this project's.
READERS = {
    "caffe": read_caffemodel,
    "singa": lambda data: read_pickle(data, encoding="iso-8859-1"),
    "mindcv": read_ckpt,
    "mindspore": read_ckpt,
    "paddleclas": lambda data: read_pickle(data, encoding="latin1"),
}


@pytest.mark.parametrize("system", WRITERS)
def test_export_and_import_give_the_same_bytes(system, tmp_path):
    suffix, write = WRITERS[system]
    given, wanted = their_tensors(system)
    (tmp_path / "x").write_bytes(write(given))
    import_checkpoint(str(tmp_path / "x"), tmp_path / "net")
    result = export(gn.load(tmp_path / "net"), "net", system, tmp_path / f"back{suffix}", Options())
    assert result.difference == 0
    further = ["back.deploy.prototxt", "back.train_val.prototxt"] if system == "caffe" else []
    assert result.files == [tmp_path / name for name in (f"back{suffix}", *further)]
    assert sorted(path.name for path in tmp_path.glob("*back*")) == [f"back{suffix}", *further]
    with recognise.opened(tmp_path / f"back{suffix}") as (_, found):
        files = [found.load("")]
    if system in READERS:
        files.append(READERS[system]((tmp_path / f"back{suffix}").read_bytes()))
    for back in files:
        assert back.keys() == wanted.keys()
        for key, array in wanted.items():
            assert back[key].shape == array.shape
            assert key.endswith("num_batches_tracked") or back[key].tobytes() == array.tobytes()


def test_pickles_are_for_any_numpy_and_python():
    arrays = {"a": np.arange(300, dtype=np.float32), "b": np.ones((2, 3), np.float32)}
    for protocol in (2, 3):
        data = write_arrays(arrays, protocol)
        operations = [(operation.name, argument) for operation, argument, _ in pickletools.genops(data)]
        assert operations[0] == ("PROTO", protocol)
        called = {argument for name, argument in operations if name == "GLOBAL"}
        assert "numpy.core.multiarray _reconstruct" in called
        assert not [name for name in called if "_core" in name]
        np.testing.assert_equal(pickle.loads(data), arrays)


def test_export_refuses_another_family(run_command, tmp_path):
    (tmp_path / "x.ckpt").write_bytes(writers.ckpt(peers.tensors("mindspore")))
    import_checkpoint(str(tmp_path / "x.ckpt"), tmp_path / "net")
    arguments = ["--checkpoint", tmp_path / "net", "--format", "torchvision", "--output", tmp_path / "x.pth"]
    result = run_command("-m", "googlenet_jax.cli", "export", *arguments)
    assert result.returncode == 2
    assert "'mindspore'" in result.stderr
    assert not (tmp_path / "x.pth").exists()


def test_export_refuses_a_part_of_a_network_and_other_names(tmp_path):
    (tmp_path / "x.caffemodel").write_bytes(writers.caffemodel(peers.tensors("caffe")))
    import_checkpoint(str(tmp_path / "x.caffemodel"), tmp_path / "net")
    net = gn.load(tmp_path / "net")

    def write(net, output):
        export(net, "net", "caffe", output, Options())

    small = dataclasses.replace(net, model=net.model.clone(blocks=("3a", "4a")))
    with pytest.raises(UserError, match="all nine inception blocks; this one has only 3a, 4a"):
        write(small, tmp_path / "back.caffemodel")
    with pytest.raises(UserError, match=r"ends in \.caffemodel"):
        write(net, tmp_path / "back.pth")
    with pytest.raises(UserError, match="exists already"):
        write(net, tmp_path / "x.caffemodel")
    (tmp_path / "back.train_val.prototxt").write_text("mine")
    with pytest.raises(UserError, match=r"back\.train_val\.prototxt exists already"):
        write(net, tmp_path / "back.caffemodel")
    assert [path.name for path in tmp_path.glob("*back*")] == ["back.train_val.prototxt"]
    assert (tmp_path / "back.train_val.prototxt").read_text() == "mine"
