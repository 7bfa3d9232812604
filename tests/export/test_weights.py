"""Exported weights are the other systems' own files: what was imported from one comes back to the byte."""

import dataclasses

import numpy as np
import peers
import pytest
import writers

import googlenet_jax as gn
from googlenet_jax.errors import UserError
from googlenet_jax.export.exporting import export
from googlenet_jax.export.target import Options
from googlenet_jax.formats import recognise
from googlenet_jax.importers.importer import import_checkpoint

WRITERS = {
    "torchvision": (".pth", writers.pth),
    "caffe": (".caffemodel", lambda tensors: writers.caffemodel(tensors, "v1")),
}


@pytest.mark.parametrize("system", WRITERS)
def test_export_and_import_give_the_same_bytes(system, tmp_path):
    suffix, write = WRITERS[system]
    (tmp_path / "x").write_bytes(write(peers.tensors(system)))
    import_checkpoint(str(tmp_path / "x"), tmp_path / "net")
    result = export(gn.load(tmp_path / "net"), "net", system, tmp_path / f"back{suffix}", Options())
    assert result.difference == 0 and result.files == [tmp_path / f"back{suffix}"]
    if system == "caffe":  # read by protobuf itself
        layers = writers.Net.FromString((tmp_path / "back.caffemodel").read_bytes()).layer
        blob = next(layer for layer in layers if layer.name == "conv2/3x3").blobs[0]
        kernel = np.array(blob.data, np.float32).reshape(blob.shape.dim)
        np.testing.assert_array_equal(kernel, peers.tensors("caffe")["conv2/3x3_weight"])
        assert {layer.type for layer in layers} == {"Convolution", "InnerProduct"}
    with recognise.opened(tmp_path / f"back{suffix}") as (_, found):
        back = found.load("")
    for key, array in peers.tensors(system).items():
        assert back[key].shape == array.shape
        assert key.endswith("num_batches_tracked") or back[key].tobytes() == array.tobytes()


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
