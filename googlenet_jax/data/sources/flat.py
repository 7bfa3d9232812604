"""Validation images that lie in one directory, with a file that says what each of them shows.

These are ImageNet's, as its archive unpacks, and tiny-imagenet's. Their class directories in `train` are named by
WordNet ids, and so are the classes here.
"""

import csv
import io
import logging
import posixpath
import re
from collections.abc import Callable, Sequence

from googlenet_jax.data.sources.devkit import DEVKIT, META, TRUTH, devkit_numbers, read_devkit
from googlenet_jax.data.sources.tree import MOST_DIGITS, FileSource, Tree, text_lines
from googlenet_jax.errors import UserError, shown

log = logging.getLogger(__name__)
_WNID = re.compile(r"n\d{8}")
_NUMBERED = re.compile(r"ILSVRC2012_val_(\d{8})\.\w+")
# Where a label file may lie: with the images, in the root, or above it, as Kaggle's ILSVRC/Data/CLS-LOC has it.
_PLACES = ("{split}", "", "..", "../..", "../../..")
_INSIDE = ("", "ILSVRC2012_devkit_t12/data", "data")
# The id of an image, by the name of its file; None if the file does not tell.
_Ids = Callable[[str], str | None]


def labelled(
    tree: Tree, split: str, labels: Sequence[str], all_classes: bool = True
) -> tuple[FileSource, list[str]] | None:
    """Validation images that a label file tells of.

    Args:
      tree: that they lie in.
      split: their directory; they are in it, or in `images` in it.
      labels: class names of the training images.
      all_classes: whether there must be images of each.

    Returns:
      (images, files that are left out); None if there are class directories, or no label file.

    Raises:
      UserError: if the label file is damaged, or lacks images or names classes that the training images have not.
    """
    if {*tree.directories(split)} - {"images"}:
        return None
    for name, read in _LABEL_FILES.items():
        for place in _places(name, split):
            data = tree.content(place)
            if data is not None:
                return _source(tree, split, labels, read(tree, place, data), place, all_classes)
    return None


def _places(name: str, split: str) -> list[str]:
    """Paths below the root, or above it, where a label file may lie."""
    inside = _INSIDE if name == TRUTH else ("",)
    return [posixpath.join(place.format(split=split), more, name) for place in _PLACES for more in inside]


def _source(
    tree: Tree, split: str, labels: Sequence[str], id_of: _Ids, label_file: str, all_classes: bool
) -> tuple[FileSource, list[str]]:
    files = tree.walk(split)[1]
    paths = [path for path in files if tree.is_image(path)]
    number = {label: i for i, label in enumerate(labels)}
    classes = []
    for path in paths:
        wnid = id_of(posixpath.basename(path))
        if wnid is None:
            raise UserError(f"{tree.where(label_file)} does not tell what {shown(posixpath.basename(path))} shows")
        if wnid not in number:
            others = "train" if all_classes else "ImageNet"
            raise UserError(f"{tree.where()}: the classes of {others} and {split} differ: {wnid!r} is in {split} alone")
        classes.append(number[wnid])
    missing = sorted({*range(len(labels))} - {*classes})
    if missing and all_classes:
        raise UserError(
            f"{tree.where()}: the classes of train and {split} differ: {labels[missing[0]]!r} is in train alone"
        )
    log.info("labels of the validation images from %s", shown(tree.name(label_file), 200))
    taken = {*paths, label_file}
    return FileSource(tree, paths, classes, labels), [path for path in files if path not in taken]


def _of_kaggle(tree: Tree, place: str, data: bytes) -> _Ids:
    """LOC_val_solution.csv: ILSVRC2012_val_00048981,n03995372 85 1 499 272 ..."""
    try:
        rows = list(csv.reader(text_lines(data, tree.where(place))))
    except csv.Error as error:
        raise UserError(f"{tree.where(place)} is no CSV file that can be read ({error})") from None
    return _ids_by_name(tree, place, [(row[0], row[1].split()[:1]) for row in rows[1:] if len(row) > 1])


def _of_tiny_imagenet(tree: Tree, place: str, data: bytes) -> _Ids:
    """val_annotations.txt: val_0.JPEG <tab> n03444034 <tab> 0 <tab> 32 ..."""
    rows = [line.split("\t") for line in text_lines(data, tree.where(place))]
    return _ids_by_name(tree, place, [(row[0], row[1:2]) for row in rows])


def _ids_by_name(tree: Tree, place: str, rows: Sequence[tuple[str, list[str]]]) -> _Ids:
    ids = {}
    for number, (name, found) in enumerate(rows, 1):
        if not found or not _WNID.fullmatch(found[0]):
            raise UserError(f"{tree.where(place)}, row {number}: there is no WordNet id behind {shown(name)!r}")
        ids[posixpath.splitext(name)[0]] = found[0]
    return lambda file: ids.get(posixpath.splitext(file)[0])


def _of_devkit_archive(tree: Tree, place: str, data: bytes) -> _Ids:
    """The archive itself, which has the two files of `_of_devkit`."""
    kit = read_devkit(io.BytesIO(data), tree.where(place))
    return _ids_by_number([kit.wnids[number] for number in kit.val_classes])


def _of_devkit(tree: Tree, place: str, data: bytes) -> _Ids:
    """A number a line, in an order of the devkit's own, which its meta.mat tells."""
    meta = tree.content(posixpath.join(posixpath.dirname(place), META))
    if meta is None:
        raise UserError(
            f"{tree.where(place)} numbers the classes in an order of its own: put the devkit's {META} beside it, or "
            f"{DEVKIT} instead of it"
        )
    wnids = devkit_numbers(meta, tree.where(place))
    lines = text_lines(data, tree.where(place))
    if not all(line.isdecimal() and len(line) <= MOST_DIGITS and int(line) in wnids for line in lines):
        raise UserError(f"{tree.where(place)} holds something else than numbers of the devkit's classes")
    return _ids_by_number([wnids[int(line)] for line in lines])


def _of_ordered_ids(tree: Tree, place: str, data: bytes) -> _Ids:
    """TensorFlow's list: a WordNet id a line, in the order of the images."""
    lines = text_lines(data, tree.where(place))
    if not all(_WNID.fullmatch(line) for line in lines):
        raise UserError(f"{tree.where(place)} holds something else than WordNet ids")
    return _ids_by_number(lines)


def _ids_by_number(ids: Sequence[str]) -> _Ids:
    """Of images numbered from 1, as in ILSVRC2012_val_00000001.JPEG."""

    def id_of(file: str) -> str | None:
        match = _NUMBERED.fullmatch(file)
        return ids[int(match[1]) - 1] if match and 1 <= int(match[1]) <= len(ids) else None

    return id_of


# The files, the most telling first. Each reader: (tree, path below its root, content) -> ids of images.
_LABEL_FILES: dict[str, Callable[[Tree, str, bytes], _Ids]] = {
    "val_annotations.txt": _of_tiny_imagenet,
    "LOC_val_solution.csv": _of_kaggle,
    "imagenet_2012_validation_synset_labels.txt": _of_ordered_ids,
    TRUTH: _of_devkit,
    DEVKIT: _of_devkit_archive,
}
