"""`googlenet prepare`: what comes out is what went in, after any interruption."""

import hashlib
import io
import json
import random
import shutil
import tarfile

import msgpack
import numpy as np
import pytest
import tensorflow_datasets as tfds
from conftest import small_config
from data.test_pictures import encoded, scene
from data.test_sources import cifar, cifar_files, write_archive
from scipy.io import savemat

from googlenet_jax.cli import main as cli
from googlenet_jax.data.crops.resize import resize
from googlenet_jax.data.pictures.picture import BadImageError, Jpeg, open_picture
from googlenet_jax.data.sources.devkit import read_devkit
from googlenet_jax.data.sources.opening import open_source
from googlenet_jax.errors import UserError, run_command
from googlenet_jax.prepare.folder import prepare_folder
from googlenet_jax.prepare.imagenet import prepare_imagenet
from googlenet_jax.prepare.pack import Item, pack
from googlenet_jax.prepare.tfds import prepare_tfds
from googlenet_jax.prepare.transcode import transcode
from googlenet_jax.system import console


def opened(name):
    return open_source(small_config(dataset__name=name))


def contents(source):
    return [(picture.pixels().tobytes(), label) for picture, label in (source[i] for i in range(len(source)))]


def quiet(split, done, total):
    assert 0 < done <= total


@pytest.mark.parametrize("tiles", [False, True], ids=["plain", "tiles"])
def test_a_folder_in_records_is_the_folder(image_folder, tmp_path, tiles):
    odd = image_folder / "train" / "cat"
    (odd / "p.jpg").write_bytes(encoded(scene(50, 70), progressive=True))
    (odd / "cut.jpg").write_bytes(encoded(scene(50, 70))[:500])
    summary = prepare_folder(str(image_folder), tmp_path / "out", tiles, quiet)
    folder, records = opened(f"folder:{image_folder}"), opened(f"records:{tmp_path / 'out'}")
    assert summary["images"] == {"train": 14, "val": 6}
    if tiles:
        assert summary["tiled"] == 10
        assert sum(summary["plain"].values()) == 10
        assert "progressive" in summary["plain"]
    (odd / "cut.jpg").unlink()
    for ours, theirs in zip(records, folder, strict=True):
        readable = [i for i in range(len(ours)) if "cut" not in names(ours)[i]]
        assert [contents_of(ours, i) for i in readable] == contents(
            opened(f"folder:{image_folder}")[theirs is folder[1]]
        )
        assert ours.labels == theirs.labels


def names(source):
    return [msgpack.unpackb(source._records[i])[1] for i in range(len(source))]


def contents_of(source, index):
    picture, label = source[index]
    return picture.pixels().tobytes(), label


def test_windows_of_tiles_have_the_pixels_of_the_whole(tmp_path):
    sizes = ((231, 317), (64, 500), (300, 41))
    folder = tmp_path / "images"
    for split in ("train", "val"):
        (folder / split / "a").mkdir(parents=True)
        for i, (height, width) in enumerate(sizes):
            options = {"quality": 60 + 10 * i, "subsampling": i}
            (folder / split / "a" / f"{i}.jpg").write_bytes(encoded(scene(height, width), **options))
    prepare_folder(str(folder), tmp_path / "out", True, quiet)
    plain, tiled = opened(f"folder:{folder}")[0], opened(f"records:{tmp_path / 'out'}")[0]
    rng = random.Random(0)
    for index, (height, width) in enumerate(sizes):
        whole, picture = plain[index][0].pixels(), tiled[index][0]
        assert isinstance(picture, Jpeg)
        assert picture._offsets is not None
        for _ in range(40):
            left, top = rng.randrange(width), rng.randrange(height)
            box = (left, top, rng.randint(left + 1, width), rng.randint(top + 1, height))
            pixels, edges = picture.region(box)
            a, b, c, d = map(int, edges)
            np.testing.assert_array_equal(pixels[b:d, a:c], whole[box[1] : box[3], box[0] : box[2]])
            for antialias in (False, True):
                expected = resize(plain[index][0], 16, box, antialias)
                np.testing.assert_array_equal(resize(picture, 16, box, antialias), expected)


def test_a_damaged_index_of_tiles_is_one_line():
    data, offsets = transcode(encoded(scene(64, 96)))
    rng = np.random.default_rng(0)
    for _ in range(300):
        damaged = offsets.copy()
        damaged[rng.integers(len(offsets), size=rng.integers(1, 4))] = rng.choice([0, 5, 1 << 20, (1 << 32) - 1])
        damaged = damaged[: rng.integers(1, len(offsets) + 1)]
        try:
            open_picture(data, "a.jpg", damaged).region((3, 5, 90, 60))
        except BadImageError as error:
            assert str(error).startswith("a.jpg: a damaged")


def test_a_folder_that_changed_is_not_gone_on_with(image_folder, tmp_path):
    def stop(split, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_folder(str(image_folder), tmp_path / "out", False, stop)
    (image_folder / "train" / "cat" / "new.jpg").write_bytes(encoded(scene(8, 8)))
    with pytest.raises(UserError, match="unfinished dataset"):
        prepare_folder(str(image_folder), tmp_path / "out", False, quiet)


class Numbers:
    """A stream of images, which may break off."""

    split, total = "train", 60

    def __init__(self, until=60):
        self.until, self.started = until, []

    def items(self, start):
        self.started.append(start)
        for i in range(start or 0, 60):
            if i == self.until:
                raise KeyboardInterrupt
            yield Item(i % 2, f"{i}.jpg", bytes([i]) * 100, i + 1, i + 1)

    def check(self, images):
        assert images == [30, 30]


def test_packing_goes_on_where_it_was_stopped(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    pack(whole, "numbers", ["even", "odd"], [Numbers()], shard_images=3)
    with pytest.raises(KeyboardInterrupt):
        pack(parts, "numbers", ["even", "odd"], [Numbers(until=50)], shard_images=3)
    assert not (parts / "dataset.json").exists()
    with pytest.raises(UserError, match="unfinished dataset of numbers"):
        pack(parts, "others", ["even", "odd"], [Numbers()], shard_images=3)
    again = Numbers()
    pack(parts, "numbers", ["even", "odd"], [again], shard_images=3)
    assert again.started[0] >= 30
    for file in sorted(path.name for path in whole.iterdir()):
        assert (whole / file).read_bytes() == (parts / file).read_bytes()
    assert {path.name for path in whole.iterdir()} == {path.name for path in parts.iterdir()}
    with pytest.raises(UserError, match="finished dataset"):
        pack(parts, "numbers", ["even", "odd"], [Numbers()])


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
    prepare_imagenet(*archives, tmp_path / "out", False, quiet)
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
    prepare_imagenet(*archives, tmp_path / "whole", False, quiet)
    monkeypatch.setattr("googlenet_jax.prepare.pack.pack.__defaults__", (False, quiet, 1))
    seen = []

    def stop(split, done, total):
        seen.append(done)
        if len(seen) == until:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_imagenet(*archives, tmp_path / "out", False, stop)
    prepare_imagenet(*archives, tmp_path / "out", False, quiet)
    for ours, theirs in zip(
        opened(f"records:{tmp_path / 'out'}"), opened(f"records:{tmp_path / 'whole'}"), strict=True
    ):
        assert (names(ours), contents(ours)) == (names(theirs), contents(theirs))


def test_imagenet_archives_that_are_not_whole(tmp_path):
    def message(archives):
        with pytest.raises(UserError) as error:
            prepare_imagenet(*archives, tmp_path / f"out{random.random()}", False, quiet)
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


def test_the_command(image_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(console, "show_log", lambda alone: None)  # it would stay for other tests

    def run(*arguments):
        flags = cli.make_parser().parse_args(["prepare", *map(str, arguments)])
        return run_command(lambda: flags.run(flags)), capsys.readouterr()

    out = tmp_path / "out"
    status, printed = run(f"folder:{image_folder}", "--output", out, "--tiles")
    assert status == 0, printed.err
    assert "12 train, 6 val images" in printed.out
    assert "10 in tiles, as they were: " in printed.out
    assert json.loads((out / "dataset.json").read_text())["labels"] == ["cat", "dog"]
    shutil.rmtree(image_folder / "val")
    assert "--val_fraction" in run(f"folder:{image_folder}", "--output", tmp_path / "share")[1].err
    status, printed = run(f"folder:{image_folder}", "--output", tmp_path / "share", "--val_fraction", 0.2)
    assert "10 train, 2 val images" in printed.out
    for arguments, said in {
        (f"folder:{image_folder}", "--output", out, "--val_fraction", 2): "--val_fraction 2: 0.001 to 0.9",
        ("folder:x", "--output", out): "no such directory",
        (f"folder:{image_folder}",): "--output",
        ("nothing",): "folder:PATH",
        (f"folder:{image_folder}", "--output", "s3://bucket/out"): "copy the directory into the bucket",
        ("imagenet", "--output", tmp_path / "i"): "--train",
        ("tfds:cifar10", "--tiles"): "--tiles does not go with",
        ("tfds:cifar10", "--manual_dir", tmp_path / "none"): "no such directory",
    }.items():
        status, printed = run(*arguments)
        assert (status, printed.err.count("\n")) == (2, 1), printed.err
        assert said in printed.err


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
