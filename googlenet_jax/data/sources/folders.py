"""Folders of image files: a directory a class, or lists of paths and labels; on a disk or in a bucket."""

import hashlib
import logging
import os
from collections.abc import Sequence

import ml_collections

from googlenet_jax.data.classes import imagenet
from googlenet_jax.data.pictures.pillow import EXTENSIONS
from googlenet_jax.data.sources.flat import labelled
from googlenet_jax.data.sources.tree import MOST_DIGITS, FileSource, Tree, count_kinds, left_out_line
from googlenet_jax.errors import UserError, shown

log = logging.getLogger(__name__)
_TRAIN = ("train", "training")
_TEST = ("test", "testing")
_VAL = ("val", "valid", "validation", *_TEST)  # the first that is there is taken
_FRACTION = (
    "set config.dataset.val_fraction=0.1 (googlenet prepare: --val_fraction 0.1) to keep a share of train for it"
)


def open_folder(root: str, config: ml_collections.ConfigDict | None = None) -> tuple[FileSource, FileSource]:
    """The images of a folder.

    It holds `train/<class>/*` and `val/<class>/*` (or valid, validation, test), or `train_list.txt` and `val_list.txt`
    with lines `path label`. A `val` without class directories is read where one of `flat`'s label files tells of it.
    Without validation images, `train` or the classes in the root itself are split by `dataset.val_fraction`.

    Args:
      root: a path or a URL.
      config: the whole configuration; None: the defaults.

    Returns:
      (train, validation).

    Raises:
      UserError: if it cannot be read, is empty, or the classes of the two do not agree.
    """
    tree = Tree(root)
    fraction = None if config is None else config.dataset.val_fraction
    if tree.lines("train_list.txt") is not None:
        splits = ("train", "val") if fraction is None or tree.lines("val_list.txt") is not None else ("train",)
        train, *listed = _listed(tree, splits)
        return (train, listed[0]) if listed else _split(train, fraction or 0)
    names, train_name, val_names = _split_names(tree)
    if train_name is None and (val_names or not names):
        raise UserError(
            f"{tree.where()} has no directory 'train': give it train/<class>/* and val/<class>/*, or *_list.txt"
        )
    if train_name is None and _holds_train(tree, names):
        inside = shown(tree.name(names[0]), 200)
        raise UserError(f"{tree.where()} has no directory 'train', but {inside} has: give folder:{inside}")
    train, left_out = _class_folders(tree, train_name or "")
    _check_classes_have_images(tree, train_name or "", train, left_out)
    val, val_name, val_left_out = _validation(tree, val_names, train.labels, fraction)
    if left_out + val_left_out:
        log.info("%s: %s", shown(tree.name(""), 200), left_out_line(left_out + val_left_out))
    if val is None:
        if fraction is None:
            own = (
                f"; its own directories ({shown(', '.join(names))}) would be the classes" if train_name is None else ""
            )
            raise UserError(f"{tree.where()} has no directory 'val', or one of {', '.join(_VAL[1:])}{own}: {_FRACTION}")
        return _split(train, fraction)
    if train.labels != val.labels:
        odd = [
            _alone(train.labels, val.labels, f"{train_name} alone, where an empty directory in {val_name} would do"),
            _alone(val.labels, train.labels, f"{val_name} alone"),
        ]
        both = f"the classes of {train_name} and {val_name} differ"
        raise UserError(f"{tree.where()}: {both}: {'; '.join(filter(None, odd))}")
    if not len(val):
        raise UserError(f"{tree.where(val_name)} holds no images ({', '.join(EXTENSIONS)})")
    return train, val


def open_folder_to_evaluate(
    root: str, config: ml_collections.ConfigDict | None = None
) -> tuple[FileSource | None, FileSource]:
    """The images of a folder that a network is evaluated on: as `open_folder`, or with nothing to train on.

    Then it holds `val/<class>/*` (or valid, validation, test), a `val` of ImageNet with a label file, `val_list.txt`,
    or class directories in the root itself, all of whose images are taken.

    Args:
      root: a path or a URL.
      config: the whole configuration; None: the defaults.

    Returns:
      (train or None, validation).

    Raises:
      UserError: as `open_folder`.
    """
    tree = Tree(root)
    fraction = None if config is None else config.dataset.val_fraction
    if tree.lines("train_list.txt") is not None:
        return open_folder(root, config)
    if tree.lines("val_list.txt") is not None:
        return None, _listed(tree, ("val",))[0]
    names, train_name, val_names = _split_names(tree)
    if train_name and not val_names and fraction is None:
        raise UserError(
            f"{tree.where()} has no directory 'val', or one of {', '.join(_VAL[1:])}: give one, or "
            f"folder:{shown(root, 200)}/{train_name} to evaluate on all of that"
        )
    if train_name or (not val_names and (not names or fraction is not None or _holds_train(tree, names))):
        return open_folder(root, config)
    val = _validation(tree, val_names, [number for number, _ in imagenet()], None, all_classes=False)[0]
    val = _class_folders(tree, "")[0] if val is None else val
    if not len(val):
        raise UserError(f"{tree.where()} holds no images ({', '.join(EXTENSIONS)})")
    return None, val


def _split_names(tree: Tree) -> tuple[list[str], str | None, list[str]]:
    """A folder's directories, which of them is for training, and which are for validation, the first first."""
    names = tree.directories()
    return names, _first(names, _TRAIN), [name for each in _VAL if (name := _first(names, (each,))) is not None]


def _alone(labels: Sequence[str], others: Sequence[str], place: str) -> str:
    """Tells which classes are in one place alone; "" if none is."""
    names = [repr(shown(label)) for label in sorted({*labels} - {*others})]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more} {'is' if len(names) == 1 else 'are'} in {place}" if names else ""


def _holds_train(tree: Tree, names: Sequence[str]) -> bool:
    """Whether the root's only directory is what was meant."""
    return len(names) == 1 and _first(tree.directories(names[0]), _TRAIN) is not None


def _first(names: Sequence[str], wanted: Sequence[str]) -> str | None:
    """The first name of those that are wanted, in any case; of several that differ in case, the one that is alike."""
    found = [(wanted.index(name.lower()), name not in wanted, name) for name in names if name.lower() in wanted]
    return min(found)[2] if found else None


def _validation(
    tree: Tree, names: Sequence[str], labels: Sequence[str], fraction: float | None, all_classes: bool = True
) -> tuple[FileSource | None, str, list[str]]:
    """The validation images, the directory that they are in and the files in it that were left out."""
    for name in names:
        found = None if name.lower() in _TEST else labelled(tree, name, labels, all_classes)
        if found is None and tree.directories(name):
            found = _class_folders(tree, name)
        if found is None:
            if fraction is None:
                raise UserError(
                    f"{tree.where(name)} has no class directories: images go into {name}/<class>/, or a label file "
                    f"beside them (docs/data.md); or {_FRACTION}"
                )
            log.info("%s is not validated on: no class directories, and no label file", shown(tree.name(name), 200))
            continue
        others = [other for other in names if other != name]
        if others or fraction is not None:
            log.info(
                "validating on %s%s%s",
                shown(tree.name(name), 200),
                f"; also there: {', '.join(others)}" if others else "",
                "" if fraction is None else "; config.dataset.val_fraction is for folders without one",
            )
        return found[0], name, found[1]
    return None, "", []


def _class_folders(tree: Tree, split: str) -> tuple[FileSource, list[str]]:
    """The images of one split, and the files in it that are left out."""
    directories, files = tree.walk(split)
    depth = split.count("/") + 1 if split else 0  # of a class directory's path
    names = [path.split("/")[depth] for path in directories if path.count("/") == depth]
    if not names:
        raise UserError(f"{tree.where(split)} has no class directories: images go into {split or '.'}/<class>/")
    number = {name: i for i, name in enumerate(names)}
    # A name in another encoding than the system's is no text that could be printed, sent or stored.
    labels = [os.fsencode(name).decode("utf-8", "replace") for name in names]
    inside = [path for path in files if path.count("/") > depth]
    paths = [path for path in inside if tree.is_image(path)]
    # What lies beside the class directories is worth a word if it may have been meant.
    beside = [path for path in files if path.count("/") == depth and os.path.splitext(path)[1].lower() in EXTENSIONS]
    taken = set(paths)
    left_out = [path for path in inside if path not in taken] + beside
    return FileSource(tree, paths, [number[path.split("/")[depth]] for path in paths], labels), left_out


def _check_classes_have_images(tree: Tree, split: str, source: FileSource, left_out: Sequence[str]) -> None:
    """A class without images would never be learnt, and nothing would tell of it."""
    empty = sorted({*range(len(source.labels))} - {*source.classes})
    if not empty:
        return
    place = f"{split}/{source.labels[empty[0]]}" if split else source.labels[empty[0]]
    there = [path for path in left_out if path.startswith(f"{place}/")]
    raise UserError(
        f"{tree.where(place)} holds no images"
        + (f" that can be read here, but {count_kinds(there)}" if there else f" ({', '.join(EXTENSIONS)})")
        + (f"; {len(empty)} such classes in all" if len(empty) > 1 else "")
        + ": put some there, or remove the directory"
    )


def _split(source: FileSource, fraction: float) -> tuple[FileSource, FileSource]:
    """Splits off a share of each class: the same images whatever the seed, the machine and what else is there."""
    members: dict[int, list[int]] = {}
    for index, number in enumerate(source.classes):
        members.setdefault(number, []).append(index)
    val: set[int] = set()
    for indices in members.values():
        count = min(max(round(fraction * len(indices)), 1), len(indices) - 1)
        val.update(sorted(indices, key=lambda index: hashlib.sha256(os.fsencode(source.paths[index])).digest())[:count])
    if not val:
        raise UserError(f"{source.tree.where()}: no class has a second image that could be split off to validate")
    log.info(
        "validating on %d of %d images: config.dataset.val_fraction=%g of each class, always the same",
        len(val),
        len(source),
        fraction,
    )
    return source.only([i for i in range(len(source)) if i not in val]), source.only(sorted(val))


def _listed(tree: Tree, splits: Sequence[str]) -> list[FileSource]:
    """The images of lists, with the classes of all of them."""
    lists = {}
    for split in splits:
        listing = tree.where(f"{split}_list.txt")
        lines = tree.lines(f"{split}_list.txt")
        if lines is None:
            raise UserError(f"{listing} is missing: the other list is there; give it, or {_FRACTION}")
        rows = [line.rsplit(maxsplit=1) for line in lines]
        for number, row in enumerate(rows, 1):
            if len(row) != 2 or not row[1].isdecimal() or len(row[1]) > MOST_DIGITS:
                raise UserError(
                    f"{listing}, line {number}: expected 'path label' with a whole number, got {shown(' '.join(row))!r}"
                )
        if not rows:
            raise UserError(f"{listing} is empty")
        lists[split] = [path for path, _ in rows], [int(label) for _, label in rows]
    count = max(max(classes) for _, classes in lists.values()) + 1
    labels = [label.strip() for label in tree.lines("labels.txt") or map(str, range(count))]
    if len(labels) < count:
        raise UserError(f"{tree.where('labels.txt')} names {len(labels)} classes, but the lists use {count}")
    return [FileSource(tree, paths, classes, labels) for paths, classes in lists.values()]
