"""`googlenet prepare`: what comes out is what went in, after any interruption."""

import json
import random
import shutil

import numpy as np
import pytest
from data.test_pictures import encoded, scene
from prepared import contents, names, opened, quiet

from googlenet_jax.cli import main as cli
from googlenet_jax.data.crops.resize import resize
from googlenet_jax.data.pictures.picture import BadImageError, Jpeg, open_picture
from googlenet_jax.errors import UserError, run_command
from googlenet_jax.prepare.folder import prepare_folder
from googlenet_jax.prepare.form import AS_THEY_ARE, Form
from googlenet_jax.prepare.pack import Item, pack
from googlenet_jax.prepare.transcode import transcode
from googlenet_jax.system import console


@pytest.mark.parametrize("tiles", [False, True], ids=["plain", "tiles"])
def test_a_folder_in_records_is_the_folder(image_folder, tmp_path, tiles):
    odd = image_folder / "train" / "cat"
    (odd / "p.jpg").write_bytes(encoded(scene(50, 70), progressive=True))
    (odd / "cut.jpg").write_bytes(encoded(scene(50, 70))[:500])
    (odd / "gone.jpg").symlink_to("nowhere.jpg")
    summary = prepare_folder(str(image_folder), tmp_path / "out", Form(tiles), quiet)
    assert summary["left_out"] == 1
    for path in (dogs := image_folder / "val" / "dog").iterdir():
        path.rename(dogs / f"{path.name}.aside")
        path.symlink_to("nowhere.jpg")
    with pytest.raises(UserError, match="none of the val images of 'dog' can be opened"):
        prepare_folder(str(image_folder), tmp_path / "without dogs", Form(tiles), quiet)
    for path in dogs.glob("*.aside"):
        path.rename(path.with_suffix(""))
    (odd / "gone.jpg").unlink()
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
    prepare_folder(str(folder), tmp_path / "out", Form(tiles=True), quiet)
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
    rng, refused = np.random.default_rng(0), 0
    right = open_picture(data, "a.jpg", offsets).region((3, 5, 90, 60))[0]
    for _ in range(300):
        damaged = offsets.copy()
        damaged[rng.integers(len(offsets), size=rng.integers(1, 4))] = rng.choice([0, 5, 1 << 20, (1 << 32) - 1])
        damaged = damaged[: rng.integers(1, len(offsets) + 1)]
        try:
            np.testing.assert_array_equal(open_picture(data, "a.jpg", damaged).region((3, 5, 90, 60))[0], right)
        except BadImageError as error:
            refused += 1
            assert str(error).startswith("a.jpg: a damaged")
    assert refused > 290


def test_a_folder_that_changed_is_not_gone_on_with(image_folder, tmp_path):
    def stop(split, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_folder(str(image_folder), tmp_path / "out", AS_THEY_ARE, stop)
    (image_folder / "train" / "cat" / "new.jpg").write_bytes(encoded(scene(8, 8)))
    with pytest.raises(UserError, match="unfinished dataset"):
        prepare_folder(str(image_folder), tmp_path / "out", AS_THEY_ARE, quiet)


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
        ("tfds:cifar10", "--short_side", 64): "--short_side does not go with",
        (f"folder:{image_folder}", "--output", out, "--short_side", 0): "--short_side 0: 8 pixels or more",
        ("tfds:cifar10", "--manual_dir", tmp_path / "none"): "no such directory",
    }.items():
        status, printed = run(*arguments)
        assert (status, printed.err.count("\n")) == (2, 1), printed.err
        assert said in printed.err
