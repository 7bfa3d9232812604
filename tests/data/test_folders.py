"""Folders of images as people have them: their splits, lists, names, and what is not an image."""

import io
import logging
import os
import shutil
import tarfile

import numpy as np
import pytest
from conftest import small_config
from data.test_sources import message, opened
from PIL import Image, features
from scipy.io import savemat

from googlenet_jax.data.sources.folders import open_folder
from googlenet_jax.data.sources.opening import open_source


def save(path, format=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = sum(os.fsencode(path.name))
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path, format)


def with_fraction(root, fraction, **changes):
    return open_source(small_config(dataset__name=f"folder:{root}", dataset__val_fraction=fraction, **changes))


def said(caplog, root, **changes):
    """What is logged when a folder is opened."""
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="googlenet_jax"):
        open_source(small_config(dataset__name=f"folder:{root}", **changes))
    return "\n".join(record.getMessage() for record in caplog.records)


def test_image_lists(image_folder):
    (image_folder / "train_list.txt").write_text("train/cat/0.jpg 0\ntrain/dog/1.png 1\n")
    (image_folder / "val_list.txt").write_text("val/dog/0.jpg 1\n")
    (image_folder / "labels.txt").write_text("a cat\na dog\n")
    train, val = opened(f"folder:{image_folder}")
    assert (train.labels, len(train), len(val), train[1][1], val[0][1]) == (["a cat", "a dog"], 2, 1, 1, 1)
    (image_folder / "val_list.txt").write_text("val/dog/0.jpg one\n")
    assert "line 1" in message(f"folder:{image_folder}")
    (image_folder / "val_list.txt").write_text("val/dog/0.jpg 99999999999\n")
    assert "line 1" in message(f"folder:{image_folder}")


def test_class_folders(image_folder):
    (image_folder / "train" / "cat" / "more").mkdir()
    (image_folder / "train" / "cat" / "0.jpg").rename(image_folder / "train" / "cat" / "more" / "0.JPEG")
    (image_folder / "train" / ".hidden").mkdir()
    train, val = opened(f"folder:{image_folder}")
    assert (train.labels, len(train), len(val)) == (["cat", "dog"], 12, 6)
    assert sum(train[i][1] for i in range(12)) == 6
    (image_folder / "val").rename(image_folder / "test")
    assert len(opened(f"folder:{image_folder}")[1]) == 6


def test_hidden_files_and_links_in_a_circle_are_left_out(image_folder):
    cat = image_folder / "train" / "cat"
    (cat / "._0.jpg").write_bytes(b"what macOS leaves")
    (cat / "again").symlink_to(cat)
    assert len(opened(f"folder:{image_folder}")[0]) == 12


def test_folder_mistakes_name_the_thing(image_folder, tmp_path):
    assert "no such directory" in message(f"folder:{tmp_path / 'nowhere'}")
    (tmp_path / "empty").mkdir()
    assert "no directory 'train'" in message(f"folder:{tmp_path / 'empty'}")
    (image_folder / "val" / "bird").mkdir()
    assert "'bird' is in val alone" in message(f"folder:{image_folder}")
    (image_folder / "val" / "dog").rename(image_folder / "val" / "eel")
    said = message(f"folder:{image_folder}")
    assert "differ: 'dog' is in train alone, where an empty directory in val would do; 'bird', 'eel' are in val" in said
    (image_folder / "val" / "eel").rename(image_folder / "val" / "dog")
    shutil.copytree(image_folder / "train" / "dog", image_folder / "train" / "bird")
    for path in (image_folder / "val").rglob("*.*"):
        path.unlink()
    assert "holds no images" in message(f"folder:{image_folder}")


def test_the_first_of_the_usual_names_is_validated_on(image_folder, caplog):
    assert said(caplog, image_folder) == ""
    (image_folder / "val").rename(image_folder / "test")
    for count, name in enumerate(("Validation", "valid", "val"), 4):
        shutil.copytree(image_folder / "test", image_folder / name)
        for extra in range(count):
            save(image_folder / name / "cat" / f"more{extra}.png")
        assert f"validating on {image_folder / name}; also there: " in said(caplog, image_folder)
        assert len(opened(f"folder:{image_folder}")[1]) == 6 + count
    assert said(caplog, image_folder).endswith("also there: valid, Validation, test")
    (image_folder / "train").rename(image_folder / "Train")
    assert len(opened(f"folder:{image_folder}")[0]) == 12


def test_a_share_of_train_is_split_off(tmp_path, caplog):
    for label, count in (("cat", 20), ("dog", 9), ("emu", 2), ("yak", 1)):
        for i in range(count):
            save(tmp_path / "train" / label / f"{i}.png")
    assert "config.dataset.val_fraction" in message(f"folder:{tmp_path}")
    train, val = with_fraction(tmp_path, 0.2)
    assert [val.classes.count(i) for i in range(4)] == [4, 2, 1, 0]
    assert [train.classes.count(i) for i in range(4)] == [16, 7, 1, 1]
    assert not {*train.paths} & {*val.paths}
    assert with_fraction(tmp_path, 0.2, seed=5)[1].paths == val.paths
    moved = shutil.copytree(tmp_path / "train", tmp_path / "elsewhere" / "train").parent
    assert with_fraction(moved, 0.2)[1].paths == val.paths
    assert {*val.paths} < {*with_fraction(tmp_path, 0.5)[1].paths}
    assert [with_fraction(tmp_path, 0.9)[0].classes.count(i) for i in range(4)] == [2, 1, 1, 1]
    assert "validating on 7 of 32 images" in said(caplog, tmp_path, dataset__val_fraction=0.2)


def test_classes_without_a_split_are_train(image_folder, caplog):
    root = image_folder / "train"
    assert "its own directories (cat, dog) would be the classes: set config.dataset.val_fr" in message(f"folder:{root}")
    train, val = with_fraction(root, 0.3)
    assert (train.labels, len(train), len(val)) == (["cat", "dog"], 8, 4)
    outer = image_folder.parent / "outer"
    outer.mkdir()
    image_folder.rename(outer / "images")
    assert f"give folder:{outer / 'images'}" in message(f"folder:{outer}")
    (outer / "images" / "train").rename(outer / "images" / "spare")
    assert "no directory 'train'" in message(f"folder:{outer / 'images'}")


def test_a_share_is_for_folders_without_validation_images(image_folder, caplog):
    words = said(caplog, image_folder, dataset__val_fraction=0.3)
    assert "val_fraction is for folders without one" in words
    assert len(with_fraction(image_folder, 0.3)[0]) == 12
    shutil.rmtree(image_folder / "val")
    save(image_folder / "test" / "unlabelled.png")
    assert "test has no class directories" in message(f"folder:{image_folder}")
    assert len(with_fraction(image_folder, 0.3)[1]) == 4


def test_what_is_left_out_is_counted_by_extension(image_folder, caplog):
    for name in ("a.heic", "b.HEIC", "c.txt", "noextension", ".hidden"):
        (image_folder / "train" / "cat" / name).write_bytes(b"anything")
    (image_folder / "val" / "dog" / "d.txt").write_bytes(b"anything")
    save(image_folder / "train" / "beside.png")
    words = said(caplog, image_folder)
    assert f"{image_folder}: 6 files left out: 2 .heic, 2 .txt, 1 without extension, 1 .png (convert it" in words
    assert len(opened(f"folder:{image_folder}")[0]) == 12


def test_a_class_without_images_is_refused(image_folder):
    (image_folder / "train" / "yak").mkdir()
    (image_folder / "val" / "yak").mkdir()
    assert "yak holds no images (.jpg, " in message(f"folder:{image_folder}")
    for name in ("a.heic", "b.heic", "c.mp4"):
        (image_folder / "train" / "yak" / name).write_bytes(b"anything")
    assert "yak holds no images that can be read here, but 2 .heic, 1 .mp4 (convert it" in message(
        f"folder:{image_folder}"
    )


def test_every_kind_of_image_is_taken(image_folder):
    kinds = {"a.jfif": "JPEG", "b.jpe": "JPEG", "c.JFI": "JPEG", "d.pnm": "PPM", "noextension": "PNG"}
    kinds |= {"e.avif": "AVIF"} if features.check("avif") else {}
    kinds |= {"f.jp2": "JPEG2000"} if features.check("jpg_2000") else {}
    for name, kind in kinds.items():
        save(image_folder / "train" / "cat" / name, kind)
    train, _ = opened(f"folder:{image_folder}")
    assert len(train) == 12 + len(kinds)
    read = {path: train[i][0] for i, path in enumerate(train.paths) if os.path.basename(path) in kinds}
    assert {picture.pixels().shape for picture in read.values()} == {(8, 8, 3)}
    assert {picture.oddity for picture in read.values()} == {""}


def test_lists_and_labels_of_any_program(image_folder):
    lists = {
        "train_list.txt": "train/cat/0.jpg 0\n\ntrain/cat/1.png\t0  \ntrain/dog/1.png 1\n \n\n",
        "val_list.txt": "\nval/dog/0.jpg 1",
        "labels.txt": "a cat \n\na dog\n\n\n",
    }
    for name, text in lists.items():
        (image_folder / name).write_bytes(text.replace("\n", "\r\n").encode("utf-8-sig"))
    train, val = opened(f"folder:{image_folder}")
    assert train.paths == ["train/cat/0.jpg", "train/cat/1.png", "train/dog/1.png"]
    assert (train.labels, train.classes, val.paths) == (["a cat", "a dog"], [0, 0, 1], ["val/dog/0.jpg"])
    os.rename(image_folder / "train" / "cat" / "0.jpg", os.fsencode(image_folder) + b"/caf\xe9.jpg")
    (image_folder / "train_list.txt").write_bytes(b"caf\xe9.jpg 0\ntrain/dog/1.png 1\n")
    assert opened(f"folder:{image_folder}")[0][0][0].width == 48
    (image_folder / "train_list.txt").write_text("train/cat/1.png 0\n", encoding="utf-16")
    assert "UTF-8" in message(f"folder:{image_folder}")
    rows = [f"train/{label}/{i}.png {number}\n" for number, label in enumerate(("cat", "dog")) for i in (1, 3, 5)]
    (image_folder / "train_list.txt").write_text("".join(rows))
    (image_folder / "val_list.txt").unlink()
    assert "config.dataset.val_fraction" in message(f"folder:{image_folder}")
    assert [len(source) for source in with_fraction(image_folder, 0.3)] == [4, 2]


def test_messages_say_from_where_a_path_is(image_folder, monkeypatch):
    monkeypatch.chdir(image_folder.parent)
    here = f"(in {image_folder.parent})"
    assert f"folder:nowhere {here}: there is no such directory" in message("folder:nowhere")
    assert f"records:nowhere {here}" in message("records:nowhere")
    assert f"nowhere {here}" in message("cifar:nowhere")
    (image_folder / "val").rename(image_folder / "none")
    assert f"images {here} has no directory 'val'" in message("folder:images")


WNIDS = ("n01440764", "n02102040", "n03000684")
SHOWN = (2, 0, 1, 0)  # classes of the validation images


@pytest.fixture
def flat(tmp_path):
    """ImageNet as its archives unpack: classes by WordNet id, validation images in one directory."""
    root = tmp_path / "above" / "Data" / "CLS-LOC"
    for wnid in WNIDS:
        for i in range(2):
            save(root / "train" / wnid / f"{wnid}_{i}.JPEG")
    for i in range(len(SHOWN)):
        save(root / "val" / f"ILSVRC2012_val_{i + 1:08d}.JPEG")
    return root


def meta():
    """The devkit's meta.mat: it numbers the classes in an order of its own, and has inner nodes too."""
    kind = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("num_children", "O"), ("num_train_images", "O")]
    rows = [(1, WNIDS[1], "b", 0, 2), (2, WNIDS[2], "c", 0, 2), (3, WNIDS[0], "a", 0, 2), (4, "n00001740", "d", 3, 0)]
    file = io.BytesIO()
    savemat(file, {"synsets": np.array(rows, kind)})
    return file.getvalue()


TRUTH = b"2\n3\n1\n3\n"  # `SHOWN`, in the devkit's numbers


def write_labels(root, kind):
    """A label file of each kind, in each place."""
    if kind == "kaggle":
        rows = [f"ILSVRC2012_val_{i + 1:08d},{WNIDS[c]} 1 2 3 4 {WNIDS[c]} 5 6 7 8 " for i, c in enumerate(SHOWN)]
        text = "\n".join(["ImageId,PredictionString", *reversed(rows), ""])
        (root.parents[1] / "LOC_val_solution.csv").write_text(text)
    elif kind == "ids":
        text = "".join(f"{WNIDS[c]}\n" for c in SHOWN)
        (root / "imagenet_2012_validation_synset_labels.txt").write_text(text)
    elif kind == "devkit":
        (root / "val" / "ILSVRC2012_validation_ground_truth.txt").write_bytes(TRUTH)
        (root / "val" / "meta.mat").write_bytes(meta())
    elif kind == "unpacked":
        (root.parent / "ILSVRC2012_devkit_t12" / "data").mkdir(parents=True)
        (root.parent / "ILSVRC2012_devkit_t12" / "data" / "ILSVRC2012_validation_ground_truth.txt").write_bytes(TRUTH)
        (root.parent / "ILSVRC2012_devkit_t12" / "data" / "meta.mat").write_bytes(meta())
    else:
        with tarfile.open(root / "ILSVRC2012_devkit_t12.tar.gz", "w:gz") as archive:
            for name, data in (("meta.mat", meta()), ("ILSVRC2012_validation_ground_truth.txt", TRUTH)):
                member = tarfile.TarInfo(f"ILSVRC2012_devkit_t12/data/{name}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))


@pytest.mark.parametrize("kind", ["kaggle", "ids", "devkit", "unpacked", "archive"])
def test_imagenets_flat_validation_images(flat, kind, caplog):
    assert "val has no class directories" in message(f"folder:{flat}")
    write_labels(flat, kind)
    train, val = opened(f"folder:{flat}")
    assert train.labels == val.labels == list(WNIDS)
    assert [os.path.basename(path)[:23] for path in val.paths] == [f"ILSVRC2012_val_{i + 1:08d}" for i in range(4)]
    assert tuple(val.classes) == SHOWN
    assert "labels of the validation images from " in said(caplog, flat)
    assert len(open_folder(str(flat))[1]) == 4


def test_label_files_that_do_not_fit(flat):
    truth = flat / "ILSVRC2012_validation_ground_truth.txt"
    truth.write_bytes(TRUTH)
    assert "put the devkit's meta.mat beside it" in message(f"folder:{flat}")
    (flat / "meta.mat").write_bytes(b"something else")
    assert "its meta.mat is damaged" in message(f"folder:{flat}")
    (flat / "meta.mat").write_bytes(meta())
    truth.write_bytes(TRUTH[:4])
    assert "does not tell what ILSVRC2012_val_00000003.JPEG shows" in message(f"folder:{flat}")
    truth.write_bytes(b"2\n4\n1\n3\n")
    assert "something else than numbers" in message(f"folder:{flat}")
    truth.write_bytes(b"2\n" + b"9" * 5000 + b"\n")
    assert "something else than numbers" in message(f"folder:{flat}")
    truth.write_bytes(b"2\n3\n3\n3\n")
    assert "'n02102040' is in train alone" in message(f"folder:{flat}")
    shutil.rmtree(flat / "train" / WNIDS[2])
    assert "'n03000684' is in val alone" in message(f"folder:{flat}")
    (flat / "val" / "val_annotations.txt").write_text("val_0.JPEG\n")
    assert "row 1: there is no WordNet id behind 'val_0.JPEG'" in message(f"folder:{flat}")
    (flat / "val" / "val_annotations.txt").unlink()
    (flat / "val" / "LOC_val_solution.csv").write_text('ImageId,PredictionString\nx,"' + "1 " * 70_000)
    assert "is no CSV file that can be read" in message(f"folder:{flat}")


def test_tiny_imagenet(tmp_path, caplog):
    rows = []
    for number, wnid in enumerate(WNIDS):
        for i in range(3):
            save(tmp_path / "train" / wnid / "images" / f"{wnid}_{i}.JPEG")
        (tmp_path / "train" / wnid / f"{wnid}_boxes.txt").write_text("boxes")
        save(tmp_path / "val" / "images" / f"val_{number}.JPEG")
        rows.append(f"val_{number}.JPEG\t{wnid}\t0\t0\t62\t62\n")
    (tmp_path / "val" / "val_annotations.txt").write_text("".join(reversed(rows)))
    save(tmp_path / "test" / "images" / "test_0.JPEG")
    (tmp_path / "words.txt").write_text("n01440764\ttench, Tinca tinca\n")
    train, val = opened(f"folder:{tmp_path}")
    assert (train.labels, len(train), val.classes) == (list(WNIDS), 9, [0, 1, 2])
    words = said(caplog, tmp_path)
    assert "also there: test" in words
    assert "3 files left out: 3 .txt" in words
