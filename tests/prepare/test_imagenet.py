"""ImageNet from its archives, whole or not, after any interruption."""

import io
import random
import tarfile
import zlib

import numpy as np
import pytest
from data.test_pictures import encoded, scene
from prepared import contents, names, opened, quiet
from scipy.io import savemat

from googlenet_jax.data.sources.devkit import devkit_numbers, read_devkit, read_member
from googlenet_jax.errors import UserError
from googlenet_jax.prepare.form import AS_THEY_ARE
from googlenet_jax.prepare.imagenet import prepare_imagenet

WNIDS = ("n01440764", "n01443537", "n02102040")


def write_imagenet(directory, per_class=4, missing=0):
    """The three archives in their true layout, of tiny images; {name: file} of the images."""
    images = {}

    def tar(entries, mode="w"):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode=mode) as archive:
            for name, data in entries:
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        return file.getvalue()

    def image(name):
        images[name] = encoded(scene(24 + len(images), 40, len(images)))
        return name, images[name]

    classes = [(f"{w}.tar", tar([image(f"{w}_{i}.JPEG") for i in range(per_class)])) for w in (WNIDS[2], *WNIDS[:2])]
    if missing:
        classes[0] = (classes[0][0], tar([image(f"{WNIDS[2]}_{i}.JPEG") for i in range(per_class - missing)]))
    (directory / "ILSVRC2012_img_train.tar").write_bytes(tar(classes))
    val = [image(f"ILSVRC2012_val_{i:08d}.JPEG") for i in range(1, 8)]
    (directory / "ILSVRC2012_img_val.tar").write_bytes(tar(val))
    # The devkit numbers its classes in an order of its own, and has inner nodes of the hierarchy as well.
    dtype = [(n, object) for n in ("ILSVRC2012_ID", "WNID", "words", "num_children", "num_train_images")]
    rows = [(2, WNIDS[0], "tench", 0, per_class), (3, WNIDS[1], "goldfish", 0, per_class)]
    rows += [(1, WNIDS[2], "English springer", 0, per_class), (4, "n00000001", "animal", 3, 0)]
    synsets = np.array(rows, dtype=dtype)
    mat = io.BytesIO()
    savemat(mat, {"synsets": synsets.reshape(-1, 1)})
    truth = "".join(f"{label}\n" for label in (1, 2, 3, 1, 2, 3, 3))
    kit = [("ILSVRC2012_devkit_t12/data/meta.mat", mat.getvalue())]
    kit += [("ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt", truth.encode())]
    (directory / "ILSVRC2012_devkit_t12.tar.gz").write_bytes(tar(kit, "w:gz"))
    names = ("ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar", "ILSVRC2012_devkit_t12.tar.gz")
    return [directory / name for name in names], images


def test_imagenet_from_its_archives(tmp_path):
    archives, images = write_imagenet(tmp_path)
    kit = read_devkit(archives[2].open("rb"), "devkit")
    assert (kit.wnids, kit.labels) == (list(WNIDS), ["tench", "goldfish", "English springer"])
    assert kit.val_classes == [2, 0, 1, 2, 0, 1, 1]
    prepare_imagenet(*archives, tmp_path / "out", AS_THEY_ARE, quiet)
    train, val = opened(f"records:{tmp_path / 'out'}")
    assert train.labels == kit.labels
    for source in (train, val):
        for i, name in enumerate(names(source)):
            picture, label = source[i]
            assert picture._data == images[name]
            expected = WNIDS.index(name.partition("_")[0]) if source is train else kit.val_classes[int(name[15:23]) - 1]
            assert label == expected
    assert sorted(names(train) + names(val)) == sorted(images)


@pytest.mark.parametrize("until", [1, 4, 7, 11])
def test_imagenet_is_taken_up_anywhere(tmp_path, until, monkeypatch):
    archives, _ = write_imagenet(tmp_path)
    prepare_imagenet(*archives, tmp_path / "whole", AS_THEY_ARE, quiet)
    monkeypatch.setattr("googlenet_jax.prepare.pack.pack.__defaults__", (False, quiet, 1))
    seen = []

    def stop(split, done, total):
        seen.append(done)
        if len(seen) == until:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_imagenet(*archives, tmp_path / "out", AS_THEY_ARE, stop)
    prepare_imagenet(*archives, tmp_path / "out", AS_THEY_ARE, quiet)
    for ours, theirs in zip(
        opened(f"records:{tmp_path / 'out'}"), opened(f"records:{tmp_path / 'whole'}"), strict=True
    ):
        assert (names(ours), contents(ours)) == (names(theirs), contents(theirs))


def test_imagenet_archives_that_are_not_whole(tmp_path):
    def message(archives):
        with pytest.raises(UserError) as error:
            prepare_imagenet(*archives, tmp_path / f"out{random.random()}", AS_THEY_ARE, quiet)
        return str(error.value)

    archives, _ = write_imagenet(tmp_path, missing=1)
    assert "3 images of n02102040, the devkit says 4" in message(archives)
    archives, _ = write_imagenet(tmp_path)
    assert "not an image that the devkit" in message([archives[0], archives[0], archives[2]])
    assert "not the archive of a class" in message([archives[1], archives[1], archives[2]])
    assert "meta.mat" in message([archives[0], archives[1], archives[0]])
    for number in (0, 1):
        data = archives[number].read_bytes()
        archives[number].write_bytes(data[: len(data) // 2 - 700])
        assert archives[number].name in message(archives)
        archives[number].write_bytes(data)
    archives[2].write_bytes(b"nonsense")
    assert "--devkit" in message(archives)


def test_an_archive_that_is_cut_off_within_an_image(tmp_path):
    """Within one that is longer than what is read ahead."""
    image = tarfile.TarInfo("long.JPEG")
    image.size = 100_000
    path = tmp_path / "cut.tar"
    path.write_bytes(image.tobuf() + bytes(50_000))
    with tarfile.open(path) as archive, pytest.raises(UserError, match=r"cut off in long\.JPEG"):
        read_member(archive, archive.next(), 1 << 20, "cut.tar")


def test_a_list_of_classes_that_unpacks_to_too_much_is_refused():
    packed = zlib.compress(bytes(65 << 20))
    mat = bytes(126) + b"IM" + (15).to_bytes(4, "little") + len(packed).to_bytes(4, "little") + packed
    with pytest.raises(UserError, match=r"meta\.mat unpacks to more than 64 MiB"):
        devkit_numbers(mat, "devkit")
