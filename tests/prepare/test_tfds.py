"""Datasets that TensorFlow Datasets prepares."""

import hashlib
from types import SimpleNamespace

import pytest
import tensorflow_datasets as tfds
from data.test_sources import cifar, cifar_files, write_archive
from prepared import contents, opened

from googlenet_jax.errors import UserError
from googlenet_jax.prepare.tfds import prepare_tfds


@pytest.fixture
def prepared_cifar10(tmp_path, monkeypatch):
    """TFDS' cifar10, prepared by TFDS itself from an archive of our own in the official layout; where it lies."""
    builder = tfds.builder("cifar10", data_dir=tmp_path / "unused")
    folder, files = cifar_files(fine=False, binary=True)
    manual = tmp_path / "manual"
    manual.mkdir()
    # TFDS reads five training files by name.
    whole = files["data_batch_1.bin"] + files["data_batch_2.bin"]
    files |= {f"data_batch_{i + 1}.bin": whole[i * 4 * 3073 : (i + 1) * 4 * 3073] for i in range(5)}
    archive = write_archive(manual / "cifar-10-binary.tar.gz", folder, files)
    (url,) = builder.url_infos
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    info = tfds.core.download.checksums.UrlInfo(archive.stat().st_size, digest, archive.name)
    monkeypatch.setitem(builder.url_infos, url, info)  # of the class: the official archive's would refuse ours
    prepare_tfds("cifar10", tmp_path / "tfds", manual)
    return tmp_path / "tfds"


def test_tfds_has_the_images_of_its_archive(prepared_cifar10):
    splits, _ = cifar(False)
    for source, (images, classes) in zip(opened(f"tfds:cifar10@{prepared_cifar10}"), splits.values(), strict=True):
        assert source.labels[3] == "class_3"
        expected = [(image.transpose(1, 2, 0).tobytes(), label) for image, label in zip(images, classes, strict=True)]
        assert sorted(contents(source)) == sorted(expected)


def test_tfds_mistakes(tmp_path):
    for name, said in {
        "cifer10": "knows no such dataset",
        f"cifar10@{tmp_path}": "googlenet prepare tfds:cifar10 --output",
    }.items():
        with pytest.raises(UserError, match=said):
            opened(f"tfds:{name}")
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(b"something else")
    with pytest.raises(UserError, match=r"NonMatchingChecksum.*--manual_dir"):
        prepare_tfds("cifar10", tmp_path / "tfds", tmp_path)


def test_a_set_without_validation_says_so(monkeypatch):
    label = SimpleNamespace(names=["a"])
    info = SimpleNamespace(features={"image": None, "label": label}, splits={"train": None, "unlabelled": None})
    monkeypatch.setattr(tfds, "builder", lambda *_, **__: SimpleNamespace(info=info, data_dir="somewhere"))
    with pytest.raises(UserError, match="neither a split `validation` nor `test`: it has train, unlabelled"):
        opened("tfds:flowers")
