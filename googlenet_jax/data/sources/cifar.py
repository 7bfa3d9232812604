"""CIFAR-10 and CIFAR-100 as their authors publish them: python and binary form, archives or unpacked folders.

Layouts: https://www.cs.toronto.edu/~kriz/cifar.html
"""

import io
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np

from googlenet_jax.data.sources.base import ArraySource, Splits
from googlenet_jax.data.sources.devkit import read_member
from googlenet_jax.errors import UserError, where
from googlenet_jax.formats import pickles
from googlenet_jax.formats.tars import open_tar
from googlenet_jax.system import storage

_FOLDERS = ("cifar-10-batches-py", "cifar-10-batches-bin", "cifar-100-python", "cifar-100-binary")
_ARCHIVES = (
    "cifar-10-python.tar.gz",
    "cifar-10-binary.tar.gz",
    "cifar-100-python.tar.gz",
    "cifar-100-binary.tar.gz",
)
_WANTED = re.compile(
    r"(data_batch_[1-5](\.bin)?|test_batch(\.bin)?|batches\.meta(\.txt)?|(train|test)(\.bin)?|meta|fine_label_names\.txt)"
)
_LIMIT = 256 << 20  # bytes of all files; there should be 186 MB
_PIXELS = 3 * 32 * 32


def open_cifar(place: str, config: ml_collections.ConfigDict) -> Splits:
    """CIFAR-10 or CIFAR-100; for the latter, its 100 fine classes.

    Args:
      place: the official archive, its unpacked folder, or a folder that holds either; a path or a URL.
      config: nothing of it is asked for.

    Returns:
      (train, test).

    Raises:
      UserError: if it is none of them, or damaged.
    """
    path = storage.fetch(place) if storage.is_url(place) else Path(place).expanduser()
    if path.is_dir() and not any(map(_wanted, path.iterdir())):
        inside = [path / name for name in (*_FOLDERS, *_ARCHIVES) if (path / name).exists()]
        if not inside:
            way_out = f"; images in folders are folder:{place}" if (path / "train").is_dir() else ""
            raise UserError(
                f"config.dataset.name=cifar:{where(path)}: none of {', '.join(_FOLDERS + _ARCHIVES)} is there{way_out}"
            )
        path = inside[0]
    if not path.exists():
        raise UserError(f"config.dataset.name=cifar:{where(path)}: there is no such file or directory")
    try:
        files = dict(_unpacked(path) if path.is_dir() else _archived(path))
        binary = any(name.endswith(".bin") for name in files)
        return (_binary if binary else _python)(files)
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise UserError(f"{where(path)}: a damaged archive ({error})") from None
    except (ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError) as error:
        raise UserError(
            f"{where(path)} is not CIFAR as its authors publish it ({type(error).__name__}: {error})"
        ) from None


def _wanted(entry: Path) -> bool:
    return entry.is_file() and _WANTED.fullmatch(entry.name) is not None


def _unpacked(folder: Path) -> Iterator[tuple[str, bytes]]:
    for entry in sorted(folder.iterdir()):
        if _wanted(entry):
            if entry.stat().st_size > _LIMIT:
                raise ValueError(f"{entry.name} is too large")
            yield entry.name, entry.read_bytes()


def _archived(path: Path) -> Iterator[tuple[str, bytes]]:
    left = _LIMIT
    with open_tar(path, "r:*") as archive:
        for member in archive:
            name = Path(member.name).name
            if member.isreg() and _WANTED.fullmatch(name):
                yield name, read_member(archive, member, left, where(path))
                left -= member.size


def _splits(
    names: list[str], files: dict[str, bytes], read: Callable[[bytes], tuple[np.ndarray, np.ndarray]]
) -> Splits:
    """Puts training and test files together."""
    train = sorted(name for name in files if name.startswith(("data_batch", "train")))
    test = [name for name in files if name.startswith("test")]
    if not train or len(test) != 1:
        raise ValueError(f"it has {len(train)} files of training images and {len(test)} of test images")
    sources = []
    for group in (train, test):
        images, classes = (np.concatenate(parts) for parts in zip(*(read(files[name]) for name in group), strict=True))
        if classes.min() < 0 or classes.max() >= len(names):
            raise ValueError(f"a class is not among its {len(names)}")
        sources.append(ArraySource(images, classes, names))
    return sources[0], sources[1]


def _images(rows: np.ndarray) -> np.ndarray:
    """(n, 3072) rows, channel by channel, as (n, 32, 32, 3) images."""
    return np.ascontiguousarray(rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


def _binary(files: dict[str, bytes]) -> Splits:
    fine = "fine_label_names.txt" in files
    names = files["fine_label_names.txt" if fine else "batches.meta.txt"].decode().split()
    labels = 2 if fine else 1  # CIFAR-100 has the coarse class first

    def read(data: bytes) -> tuple[np.ndarray, np.ndarray]:
        if not data or len(data) % (labels + _PIXELS):
            raise ValueError("a file is cut off")
        rows = np.frombuffer(data, np.uint8).reshape(-1, labels + _PIXELS)
        return _images(rows[:, labels:]), rows[:, labels - 1].astype(np.int64)

    return _splits(names, files, read)


def _python(files: dict[str, bytes]) -> Splits:
    fine = "meta" in files
    meta = _unpickled(files["meta" if fine else "batches.meta"])
    names = meta["fine_label_names" if fine else "label_names"]
    if not isinstance(names, list) or not all(isinstance(name, str) and len(name) < 100 for name in names):
        raise ValueError("its class names are no list of names")

    def read(data: bytes) -> tuple[np.ndarray, np.ndarray]:
        content = _unpickled(data)
        rows = content["data"]
        numbers = content["fine_labels" if fine else "labels"]
        if not isinstance(numbers, list) or not all(isinstance(n, int) and 0 <= n < len(names) for n in numbers):
            raise ValueError("a file's labels are no list of classes")
        classes = np.asarray(numbers, np.int64)
        if not isinstance(rows, np.ndarray) or rows.dtype != np.uint8 or rows.shape != (len(classes), _PIXELS):
            raise ValueError("a file's images are not (n, 3072) bytes with a label each")
        return _images(rows), classes

    return _splits(names, files, read)


def _unpickled(data: bytes) -> dict[str, Any]:
    content = pickles.decode(io.BytesIO(data), _LIMIT)
    if not isinstance(content, dict):
        raise ValueError(f"a file holds a {type(content).__name__}, not a dictionary")
    return content
