"""Every source of images: what it finds, and what it says of one that is not as it should be."""

import io
import json
import pickle
import subprocess
import sys
import tarfile

import fsspec
import msgpack
import numpy as np
import pytest
from conftest import ROOT, small_config

from googlenet_jax.data.pictures.picture import BadImageError
from googlenet_jax.data.sources import tree
from googlenet_jax.data.sources.opening import open_source
from googlenet_jax.errors import UserError


def opened(name):
    return open_source(small_config(dataset__name=name))


def message(name):
    with pytest.raises(UserError) as error:
        opened(name)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_digits_are_sklearns():
    train, val = opened("digits")
    assert (len(train), len(val), train.labels) == (1437, 360, list("0123456789"))
    rows = {image.tobytes() for image in val.images} & {image.tobytes() for image in train.images}
    assert len(rows) == 0


def cifar(fine):
    """Images and classes of a small CIFAR, and its class names."""
    rng = np.random.default_rng(0)
    splits = {}
    for split, count in (("train", 20), ("test", 8)):
        splits[split] = rng.integers(0, 256, (count, 3, 32, 32), np.uint8), rng.integers(0, 10, count)
    return splits, [f"{'fine' if fine else 'class'}_{i}" for i in range(10)]


class Python2Pickler(pickle._Pickler):
    """Writes strings as Python 2 did, in which the authors of CIFAR wrote theirs."""

    def save_string(self, text):
        data = text if isinstance(text, bytes) else text.encode()
        self.write(pickle.BINSTRING + len(data).to_bytes(4, "little") + data)

    dispatch = pickle._Pickler.dispatch | {str: save_string, bytes: save_string}


def python2_pickle(content):
    file = io.BytesIO()
    Python2Pickler(file, 2).dump(content)
    return file.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def cifar_files(fine, binary):
    """The files of the official archives, by name."""
    splits, names = cifar(fine)
    files = {}
    for split, (images, classes) in splits.items():
        rows = images.reshape(len(images), -1)
        # CIFAR-10's training images come in batches, here two.
        parts = np.array_split(np.arange(len(rows)), 2) if split == "train" and not fine else [np.arange(len(rows))]
        for number, part in enumerate(parts, 1):
            name = split if fine else (f"data_batch_{number}" if split == "train" else "test_batch")
            if binary:
                columns = [classes[part, None]] if not fine else [classes[part, None] // 2, classes[part, None]]
                files[f"{name}.bin"] = np.hstack([*columns, rows[part]]).astype(np.uint8).tobytes()
            else:
                label = "fine_labels" if fine else "labels"
                content = {"data": rows[part], label: classes[part].tolist(), "batch_label": "of some images"}
                files[name] = python2_pickle(content)
    if binary:
        files["fine_label_names.txt" if fine else "batches.meta.txt"] = ("\n".join(names) + "\n\n").encode()
    else:
        meta, key = ("meta", "fine_label_names") if fine else ("batches.meta", "label_names")
        files[meta] = python2_pickle({key: names})
    folders = {
        (False, False): "cifar-10-batches-py",
        (False, True): "cifar-10-batches-bin",
        (True, False): "cifar-100-python",
        (True, True): "cifar-100-binary",
    }
    folder = folders[fine, binary]
    return folder, files


def write_archive(path, folder, files):
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


@pytest.mark.parametrize("fine", [False, True], ids=["cifar10", "cifar100"])
@pytest.mark.parametrize("binary", [False, True], ids=["python", "binary"])
def test_cifar(tmp_path, fine, binary):
    splits, names = cifar(fine)
    folder, files = cifar_files(fine, binary)
    archive = write_archive(
        tmp_path / f"cifar-{'100' if fine else '10'}-{'binary' if binary else 'python'}.tar.gz", folder, files
    )
    unpacked = tmp_path / "unpacked" / folder
    unpacked.mkdir(parents=True)
    for name, data in files.items():
        (unpacked / name).write_bytes(data)
    for place in (archive, tmp_path, unpacked, unpacked.parent):
        for source, (images, classes) in zip(opened(f"cifar:{place}"), splits.values(), strict=True):
            assert source.labels == names
            np.testing.assert_array_equal(source.images, images.transpose(0, 2, 3, 1))
            np.testing.assert_array_equal(source.classes, classes)


class Payload:
    """Calls print when a pickle that trusts it is loaded."""

    def __reduce__(self):
        return print, ("executed",)


def test_cifar_mistakes(tmp_path, capsys):
    folder, files = cifar_files(fine=False, binary=False)
    assert "no such file" in message(f"cifar:{tmp_path / 'nowhere'}")
    (tmp_path / "empty").mkdir()
    assert "cifar-10-python.tar.gz" in message(f"cifar:{tmp_path / 'empty'}")
    (tmp_path / "images" / "train" / "cat").mkdir(parents=True)
    assert f"images in folders are folder:{tmp_path / 'images'}" in message(f"cifar:{tmp_path / 'images'}")
    whole = write_archive(tmp_path / "a.tar.gz", folder, files).read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(whole[: len(whole) // 2])
    assert "cut.tar.gz" in message(f"cifar:{tmp_path / 'cut.tar.gz'}")
    hostile = write_archive(tmp_path / "b.tar.gz", folder, files | {"data_batch_1": pickle.dumps(Payload())})
    assert "print" in message(f"cifar:{hostile}")
    assert capsys.readouterr().out == ""
    for labels in ([2**70] * 20, [[0]] * 20, "no list"):
        batch = python2_pickle({"data": np.zeros((20, 3072), np.uint8), "labels": labels})
        odd = write_archive(tmp_path / "d.tar.gz", folder, files | {"data_batch_1": batch})
        assert "labels are no list" in message(f"cifar:{odd}")
    short = write_archive(tmp_path / "c.tar.gz", folder, {k: v for k, v in files.items() if k != "test_batch"})
    assert "0 of test images" in message(f"cifar:{short}")


def test_records_that_are_not(tmp_path, image_folder):
    from googlenet_jax.prepare.folder import prepare_folder
    from googlenet_jax.prepare.form import AS_THEY_ARE

    assert "googlenet prepare" in message(f"records:{tmp_path / 'nowhere'}")
    prepare_folder(str(image_folder), tmp_path / "r", AS_THEY_ARE, lambda *_: None)
    train, _ = opened(f"records:{tmp_path / 'r'}")
    train._records = [msgpack.packb([7, "a", b"x"]), b"\x00", msgpack.packb([1, "a.jpg", b"no"])]
    for index, said in enumerate(("not an image with its label", "damaged", "a.jpg")):
        with pytest.raises(BadImageError, match=said):
            train[index]
    index = json.loads((tmp_path / "r" / "dataset.json").read_text())
    for images in (5, 7, 10**13):
        index["splits"]["val"][0]["images"] = images
        (tmp_path / "r" / "dataset.json").write_text(json.dumps(index))
        assert f"6 of {images} images" in message(f"records:{tmp_path / 'r'}")
    shard = next((tmp_path / "r").glob("val*"))
    shard.unlink()
    assert shard.name in message(f"records:{tmp_path / 'r'}")
    (tmp_path / "r" / "dataset.json").write_text("{}")
    assert "damaged" in message(f"records:{tmp_path / 'r'}")


@pytest.mark.parametrize("where", ["memory://data", "s3://bucket/data"])
def test_data_in_a_bucket(image_folder, tmp_path, monkeypatch, s3, where):
    from googlenet_jax.prepare.folder import prepare_folder
    from googlenet_jax.prepare.form import AS_THEY_ARE

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    prepare_folder(str(image_folder), tmp_path / "records", AS_THEY_ARE, lambda *_: None)
    archive = write_archive(tmp_path / "cifar-10-python.tar.gz", *cifar_files(fine=False, binary=False))
    (image_folder / "val" / "cat" / "0.jpg").write_bytes(b"")
    bucket, base = fsspec.url_to_fs(where)
    bucket.put(str(image_folder), f"{base}/images", recursive=True)
    bucket.put(str(tmp_path / "records"), f"{base}/records", recursive=True)
    bucket.put(str(archive), f"{base}/cifar-10-python.tar.gz")

    def contents(name):
        train = opened(name)[0]
        return [train[i][0].pixels().tobytes() for i in range(len(train))]

    assert contents(f"folder:{where}/images") == contents(f"folder:{image_folder}")
    with pytest.raises(BadImageError, match=f"{where}/images/val/cat/0.jpg: an empty file"):
        opened(f"folder:{where}/images")[1][0]
    assert contents(f"records:{where}/records") == contents(f"records:{tmp_path / 'records'}")
    assert contents(f"cifar:{where}/cifar-10-python.tar.gz") == contents(f"cifar:{archive}")
    assert "no such" in message(f"folder:{where}/nowhere")
    assert "no such" in message(f"records:{where}/nowhere")


def test_a_bucket_that_does_not_answer_is_one_line(image_folder, monkeypatch):
    bucket = fsspec.filesystem("memory")
    bucket.put(str(image_folder), "/answers/images", recursive=True)
    system, real = type(bucket), type(bucket).ls

    def ls(self, path, *args, **kwargs):
        if path.rstrip("/").endswith("train/cat"):
            raise PermissionError("slow down")
        return real(self, path, *args, **kwargs)

    monkeypatch.setattr(system, "ls", ls)
    assert "memory://answers/images: slow down" in message("folder:memory://answers/images")
    monkeypatch.setattr(system, "ls", real)
    monkeypatch.setattr(tree, "MAX_BYTES", 10)
    with pytest.raises(BadImageError, match="of more than"):
        opened("folder:memory://answers/images")[0][0]
    train = opened("folder:memory://answers/images")[0]
    monkeypatch.setattr(system, "cat_file", lambda *_, **__: 1 / 0)
    with pytest.raises(UserError, match=r"memory://answers/images/train/cat/\d+\.jpg: .*zero"):
        train[0]
    monkeypatch.setattr(system, "isdir", lambda *_: 1 / 0)
    assert "check the address, the credentials" in message("folder:memory://answers/images")


def test_training_and_its_data_need_no_tensorflow():
    code = (
        "import sys; sys.argv = ['x']; import launch; from googlenet_jax.train import loop; "
        "from googlenet_jax.data.sources import cifar, folders, records, tfds; import tensorflow_datasets; "
        "print([name for name in ('tensorflow', 'torch', 'numba', 's3fs') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert result.stdout.strip() == "[]", result.stderr
