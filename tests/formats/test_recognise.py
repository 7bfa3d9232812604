"""Every kind of file: read as its own system writes it, refused when it is damaged, hostile or of no kind known."""

import collections
import gzip
import io
import lzma
import pickle
import random
import struct
import tarfile
import zipfile

import ml_dtypes
import numpy as np
import peers
import pytest
import writers

from googlenet_jax.errors import UserError
from googlenet_jax.formats import recognise
from googlenet_jax.importers.namings import SINGA

MAIN = {name: array for name, array in peers.tensors("caffe").items() if name[:5] not in ("loss1", "loss2")}
PADDLE = peers.tensors("paddleclas")
TORCH = peers.tensors("torchvision")


def read(path, key=""):
    with recognise.opened(path) as (_, found):
        return found.load(key)


def halves(tensors, dtype):
    return {name: array.astype(dtype) if array.ndim else array for name, array in tensors.items()}


def singa_archive(payload):
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz", compresslevel=1) as archive:
        info = tarfile.TarInfo("bvlc_googlenet.pickle")
        info.size = len(payload)
        archive.addfile(info, io.BytesIO(payload))
    return target.getvalue()


def paddle_content(tensors):
    return {**tensors, "StructuredToParameterName@@": {name: name for name in tensors}}


def paddle_bfloat16():
    """Paddle hands bfloat16 to numpy as uint16."""
    return pickle.dumps({name: a.view(np.uint16) for name, a in halves(PADDLE, ml_dtypes.bfloat16).items()}, 4)


FILES = {
    "new.caffemodel": ("caffe", lambda: writers.caffemodel(peers.tensors("caffe"))),
    "v1.caffemodel": ("caffe", lambda: writers.caffemodel(peers.tensors("caffe"), "v1")),
    "deploy.caffemodel": ("main", lambda: writers.caffemodel(MAIN, double=True)),
    "protocol0.pickle": ("main", lambda: writers.python2_pickle(MAIN)),
    "protocol2.pickle": ("main", lambda: pickle.dumps(MAIN, 2)),
    "singa.tar.gz": ("main", lambda: singa_archive(pickle.dumps(MAIN, 1))),
    "zip.pth": ("torchvision", lambda: writers.pth(collections.OrderedDict(TORCH))),
    "legacy.pth": ("torchvision", lambda: writers.pth(TORCH, legacy=True)),
    "bfloat16.pth": ("torchvision bfloat16", lambda: writers.pth(halves(TORCH, ml_dtypes.bfloat16))),
    "untyped.pth": ("torchvision bfloat16", lambda: writers.pth(halves(TORCH, ml_dtypes.bfloat16), untyped=True)),
    "bfloat16 legacy.pth": ("torchvision bfloat16", lambda: writers.pth(halves(TORCH, ml_dtypes.bfloat16), True)),
    "float16.pth": ("torchvision float16", lambda: writers.pth(halves(TORCH, np.float16))),
    "mindcv.ckpt": ("mindcv", lambda: writers.ckpt(peers.tensors("mindcv"))),
    "zoo.ckpt": ("mindspore", lambda: writers.ckpt(peers.tensors("mindspore"))),
    "crc.ckpt": ("mindspore", lambda: writers.ckpt(peers.tensors("mindspore"), crc=True)),
    "bfloat16.ckpt": (
        "mindcv bfloat16",
        lambda: writers.ckpt(halves(peers.tensors("mindcv"), ml_dtypes.bfloat16)),
    ),
    "protocol5.pdparams": ("paddleclas", lambda: pickle.dumps(paddle_content(PADDLE), 5)),
    "protocol4.pdparams": ("paddleclas", lambda: pickle.dumps(paddle_content(PADDLE), 4)),
    "protocol2.pdparams": ("paddleclas", lambda: pickle.dumps(paddle_content(PADDLE), 2)),
    "bfloat16.pdparams": ("paddleclas bfloat16", paddle_bfloat16),
    "static.pdparams": ("paddleclas static", lambda: pickle.dumps(peers.tensors("paddleclas static"), 4)),
    "x.safetensors": ("torchvision", lambda: writers.safetensors(TORCH)),
    "half.safetensors": ("torchvision bfloat16", lambda: writers.safetensors(halves(TORCH, ml_dtypes.bfloat16))),
    "x.npz": ("caffe", lambda: writers.npz(peers.tensors("caffe"))),
    "compressed.npz": ("mindcv", lambda: writers.npz(peers.tensors("mindcv"), compressed=True)),
    "bfloat16.npz": ("mindcv bfloat16", lambda: writers.npz(halves(peers.tensors("mindcv"), ml_dtypes.bfloat16))),
}


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_file_gives_its_tensors(name, tmp_path):
    system, write = FILES[name]
    system, _, half = system.partition(" ") if "static" not in system else (system, "", "")
    expected = MAIN if system == "main" else peers.tensors(system)
    if half == "bfloat16":
        expected = {key: array.astype(np.float32) for key, array in halves(expected, ml_dtypes.bfloat16).items()}
    elif half:
        expected = halves(expected, half)
    path = tmp_path / "checkpoint"  # recognised by content
    path.write_bytes(write())
    tensors = read(path)
    assert tensors.keys() >= expected.keys()
    assert all(np.array_equal(tensors[key], array) for key, array in expected.items())


def test_caffes_hdf5(tmp_path):
    writers.caffemodel_h5(peers.tensors("caffe"), tmp_path / "x.caffemodel.h5")
    tensors = read(tmp_path / "x.caffemodel.h5")
    assert tensors.keys() == peers.tensors("caffe").keys()
    assert all(np.array_equal(tensors[key], array) for key, array in peers.tensors("caffe").items())


def test_dictionaries_are_found_by_key(tmp_path):
    weights = {"conv1.conv.weight": np.ones((2, 3), np.float32)}
    content = {
        "state": {"model": weights, "epoch": 3},
        "optimizer": {"state": {0: {"buffer": np.zeros(2, np.float32)}}},
    }
    (tmp_path / "x.pth").write_bytes(writers.pth(content))
    (tmp_path / "x.pdparams").write_bytes(pickle.dumps(content))
    for name in ("x.pth", "x.pdparams"):
        with recognise.opened(tmp_path / name) as (_, found):
            assert list(found.groups) == ["state.model", "optimizer.state.0"]
            assert np.array_equal(found.load("state.model")["conv1.conv.weight"], np.ones((2, 3)))


def test_files_of_systems_with_the_same_names_are_told_by_kinds_that_exist():
    assert set(SINGA[0].files) <= set(recognise.KINDS)


class Payload:
    """Runs a command when an ordinary unpickler reads it."""

    def __reduce__(self):
        return print, ("executed",)


def zip_of(*members, data=b"", method=zipfile.ZIP_DEFLATED):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for member in members:
            archive.writestr(member, data)
    return target.getvalue()


def unpacking_npz():
    """An archive that says it unpacks to more than it does."""
    return zip_of("a.npy", data=bytes(77)).replace(struct.pack("<L", 77), struct.pack("<L", 600 << 20))


def claiming_npz():
    """An array whose header says that it is larger than its bytes."""
    target = io.BytesIO()
    np.lib.format.write_array(target, np.zeros((4, 4), np.float32))
    return zip_of("a.npy", data=target.getvalue().replace(b"(4, 4), }   ", b"(4, 4444), }"))


def long_directory():
    """A list of members that would take a hundred times its bytes."""
    entry = zipfile.ZipInfo("a")
    central = struct.pack("<4s4B4HL2L5H2L", b"PK\1\2", 20, 3, 20, 0, 0, 0, 0, 33, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    many = central * (9 * (1 << 20) // len(central))
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65535, 65535, len(many), 0, 0)
    return b"PK\3\4" * 4 + entry.filename.encode() + many + end


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


def copied_headers():
    """A header for all members that Python would copy to each of them."""
    info = tarfile.TarInfo("pax")
    headers = b"".join(b"%d x%06d=\n" % (12, i) for i in range(1000))
    info.size, info.type = len(headers), tarfile.XGLTYPE
    padded = headers + bytes(-len(headers) % 512)
    return gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + padded + tarfile.TarInfo("a").tobuf(tarfile.GNU_FORMAT) * 9)


def long_name():
    """A member's name that takes much memory."""
    info = tarfile.TarInfo("././@LongLink")
    info.size, info.type = 1 << 20, tarfile.GNUTYPE_LONGNAME
    named = tarfile.TarInfo("a").tobuf(tarfile.GNU_FORMAT)
    return gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + b"n" * (1 << 20) + named)


def names_of_names():
    """A long name's header that is a long name's, and so on."""
    info = tarfile.TarInfo("././@LongLink")
    info.size, info.type = 1, tarfile.GNUTYPE_LONGNAME
    return gzip.compress((info.tobuf(tarfile.GNU_FORMAT) + b"n" + bytes(511)) * 2000)


def copied_names():
    """A long name, called again and again."""
    return b"\x80\x02]cmod\n" + b"n" * 5000 + b"\nq\x01" + b"h\x01)R" * 1000 + b"."


def many_names():
    """One array of what Paddle writes bfloat16 as, under many names."""
    array = np.zeros(1 << 19, np.uint16)
    return pickle.dumps({f"w{i}": array for i in range(1000)}, 4)


def shared_strings():
    """One megabyte of text that a thousand arrays are made of, each a copy."""
    text = b"X" + struct.pack("<I", 1 << 20) + b"a" * (1 << 20) + b"q\x01"
    encode = b"c_codecs\nencode\nh\x01X\x06\x00\x00\x00latin1\x86R0"
    return b"\x80\x02}" + text + encode * 1000 + b"0."


def stacked_safetensors():
    """Tensors that lie on top of each other, so that few bytes make many."""
    place = b'{"dtype":"U8","shape":[4096],"data_offsets":[0,4096]}'
    header = b"{" + b",".join(b'"%d":' % i + place for i in range(1000)) + b"}"
    return struct.pack("<Q", len(header)) + header + bytes(4096)


def keras_h5():
    target = io.BytesIO()
    with writers.h5py.File(target, "w") as file:
        file.attrs["keras_version"] = "2.15.0"
        file["model_weights/conv/kernel:0"] = np.zeros(3)
    return target.getvalue()


def length_of_two_gigabytes():
    return b"\x0a\x04name" + b"\xa2\x06" + b"\xff\xff\xff\xff\x07" + b"short"


SMALL = {"a": np.arange(4, dtype=np.float32)}
HOSTILE = {
    "payload.pickle": (lambda: pickle.dumps({"conv1/7x7_s2_weight": Payload()}), "print, which is refused"),
    "headers.tar.gz": (copied_headers, "headers of 12,000 bytes"),
    "long.tar.gz": (long_name, "headers of 1,048,576 bytes"),
    "chain.tar.gz": (names_of_names, "headers without end"),
    "many.tar.gz": (lambda: gzip.compress(tarfile.TarInfo("a").tobuf() * 100_001), "more than 100,000 members"),
    "names.pickle": (copied_names, "a length that none has"),
    "widened.pdparams": (many_names, "more memory"),
    "payload.pth": (lambda: writers.pth({"conv1.conv.weight": Payload()}), "print, which is refused"),
    "beside weights.pth": (lambda: writers.pth({"model": SMALL, "x": Payload()}), "print, which is refused"),
    "instance.pickle": (lambda: b"(dp0\nS'a'\n(S'ls'\nios\nsystem\ns.", "os.system, which is refused"),
    "bomb.pth": (lambda: zip_of("x/data.pkl", data=bytes(64 << 20)), "would take 64 MiB"),
    "bomb.npz": (unpacking_npz, "would take 600 MiB"),
    "claims.npz": (claiming_npz, "has shape (4, 4444) but"),
    "objects.npz": (lambda: writers.npz({"a": np.array([Payload])}), "Python objects"),
    "directory.zip": (long_directory, "too long"),
    "bomb.tar.gz": (lambda: tar_of("x.txt", 600 << 20), "unpacks to more"),
    "large.tar.gz": (lambda: tar_of("x.pickle", 600 << 20), "x.pickle would take 600 MiB"),
    "sparse.tar.gz": (lambda: tar_of("x.pickle", 1, tarfile.GNUTYPE_SPARSE), "x.pickle would take"),
    "shared.pth": (lambda: writers.pth(SMALL).replace(b"K\x04", b"J\xff\xff\xff\xff"), "read"),
    "keys.pth": (lambda: writers.pth(SMALL, legacy=True).replace(b"]", b")"), "cannot be read"),
    "length.caffemodel": (length_of_two_gigabytes, "2147483647 bytes"),
    "memo.pickle": (lambda: b"\x80\x02}" + b"r" + struct.pack("<I", 2**32 - 1) + b"." + b"\0" * 9, "no arrays"),
    "budget.pickle": (shared_strings, "more memory"),
    "fields.caffemodel": (lambda: b"\xa2\x06\x80\x9a\x0c" + b"\x2a\x00" * 100_000, "more fields"),
    "long.pickle": (lambda: b"\x80\x05\x96" + struct.pack("<Q", 2**62) + b"." * 9, "cannot be read"),
    "shape.pickle": (lambda: pickle.dumps(MAIN, 2).replace(b"K@K\x03K\x07K\x07", b"K@K\x03K\x07K\x08"), "values"),
    "stacked.safetensors": (stacked_safetensors, "on top of each other"),
    "short.safetensors": (lambda: writers.safetensors(SMALL)[:-1], "beyond the file's end"),
    "shape.safetensors": (lambda: writers.safetensors(SMALL).replace(b"[4]", b"[5]"), "has shape (5,) but 16 bytes"),
    "deep.safetensors": (lambda: struct.pack("<Q", 200_010) + b'{"a":' + b"[" * 200_005, "cannot be read"),
    "truncated.caffemodel": (lambda: writers.caffemodel(MAIN)[:1_000_000], "bytes where only"),
    "truncated.pth": (
        lambda: writers.pth(TORCH)[:1_000_000],
        "cannot be read: its end is missing: copy or download it",
    ),
    "pointer.pth": (
        lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
        "but Git LFS's pointer to one",
    ),
    "page.pth": (lambda: b"\n<!DOCTYPE html>\n<title>Not found</title>", "but a web page (the download failed)"),
    "weights.pth.xz": (lambda: lzma.compress(writers.pth(SMALL)), "but a .xz archive (unpack it)"),
    "truncated.pdparams": (lambda: pickle.dumps(PADDLE, 4)[:1_000_000], "cannot be read"),
    "random": (lambda: random.Random(0).randbytes(100_000), "none of the known kinds"),
    "empty": (lambda: b"", "0 bytes"),
    "x.keras": (
        lambda: zip_of("metadata.json", "config.json", "model.weights.h5"),
        "a Keras model (.keras), which is not",
    ),
    "keras.h5": (keras_h5, "Keras's HDF5, which is not read; what is: .safetensors, "),
    "script.pt": (lambda: zip_of("x/data.pkl", "x/constants.pkl"), "TorchScript"),
    "saved_model.zip": (lambda: zip_of("x/saved_model.pb", "x/variables/variables.index"), "SavedModel"),
    "saved_model.pb": (lambda: b"\x08\x01\x12\x10" + bytes(16), "SavedModel"),
    "other.zip": (lambda: zip_of("word/document.xml"), "a zip archive of something else"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_bad_files_are_one_line(name, tmp_path, capsys):
    write, words = HOSTILE[name]
    (tmp_path / name).write_bytes(write())
    with pytest.raises(UserError) as error:
        read(tmp_path / name, next_key(tmp_path / name))
    assert words in str(error.value)
    assert name in str(error.value)
    assert "\n" not in str(error.value)
    assert "executed" not in capsys.readouterr().out


def next_key(path):
    """The first key of the file."""
    with recognise.opened(path) as (_, found):
        return next(iter(found.groups))


def test_a_directory_is_no_file(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "saved_model.pb").touch()
    with pytest.raises(UserError, match="a TensorFlow SavedModel, which is not read"):
        read(tmp_path / "model")
