"""Our own dataset files: ArrayRecord shards of encoded images, read at random, and a JSON file that says what they are.

`dataset.json` is {"format": "googlenet_jax records", "version": 1, "origin": text, "labels": [class names], "splits":
{"train": shards, "val": shards}}, a shard being {"file": name, "images": count}. A record is a msgpack list [label,
name, image file] and, where the image has tiles (see `tiles`), the places of its restart markers as bytes of
little-endian uint32.
"""

import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ml_collections
import msgpack
import numpy as np
from array_record.python.array_record_module import ArrayRecordReader
from grain.sources import ArrayRecordDataSource

from googlenet_jax.data.pictures.picture import BadImageError, Picture, open_picture
from googlenet_jax.data.sources.base import Splits
from googlenet_jax.errors import UserError, reason, where
from googlenet_jax.system import storage

FORMAT, VERSION = "googlenet_jax records", 1
INDEX = "dataset.json"
SPLITS = ("train", "val")
_OFFSETS = np.dtype("<u4")


def encode(label: int, name: str, image: bytes, offsets: np.ndarray | None = None) -> bytes:
    """A record's bytes.

    Args:
      label: index of the class.
      name: of the image, for messages.
      image: its file's content.
      offsets: of its restart intervals, see `tiles.splice`.

    Returns:
      What `RecordSource` reads.
    """
    extra = [] if offsets is None else [offsets.astype(_OFFSETS).tobytes()]
    return msgpack.packb([label, name.encode(errors="replace").decode(), image, *extra])


class _Shard(NamedTuple):
    """What `ArrayRecordDataSource` asks of a file whose records it need not count; its name in bytes, of any kind."""

    filename: bytes
    skip: int
    take: int
    examples_in_shard: int


class RecordSource:
    """Pictures in records.

    Args:
      directory: that holds the shards.
      shards: {"file", "images"} of each.
      labels: class names.
    """

    def __init__(self, directory: Path, shards: Sequence[dict[str, Any]], labels: Sequence[str]):
        self.directory, self.labels = directory, list(labels)
        self._records = ArrayRecordDataSource(
            [_Shard(os.fsencode(directory / s["file"]), 0, s["images"], s["images"]) for s in shards]
        )

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> tuple[Picture, int]:
        try:
            label, name, image, *rest = msgpack.unpackb(self._records[index])
            offsets = np.frombuffer(rest[0], _OFFSETS) if rest else None
            fits = isinstance(image, bytes) and isinstance(name, str) and 0 <= label < len(self.labels)
        except Exception as error:  # ArrayRecord and msgpack raise many kinds for damaged data
            raise BadImageError(f"{self.directory}, record {index}: damaged ({reason(error, 120)})") from None
        if not fits:
            raise BadImageError(f"{self.directory}, record {index}: not an image with its label")
        return open_picture(image, name, offsets), label


def open_records(place: str, config: ml_collections.ConfigDict) -> Splits:
    """The images in a directory that `googlenet prepare` wrote.

    Args:
      place: its path, or a URL; then its files are copied to the local cache once.
      config: nothing of it is asked for.

    Returns:
      (train, validation).

    Raises:
      UserError: if it is no such directory, or not complete.
    """
    directory = storage.fetch(place) if storage.is_url(place) else Path(place).expanduser()
    index = read_index(directory)
    splits = []
    for split in SPLITS:
        shards = index["splits"].get(split)
        if not shards:
            raise UserError(f"{where(directory)} holds no images of split {split!r}")
        for shard in shards:
            _check_shard(directory / shard["file"], shard["images"])
        splits.append(RecordSource(directory, shards, index["labels"]))
    return splits[0], splits[1]


def _check_shard(path: Path, images: int) -> None:
    try:
        with contextlib.closing(ArrayRecordReader(os.fsencode(path))) as reader:
            found = reader.num_records()
    except (RuntimeError, ValueError, OSError):
        found = 0
    if found != images:
        raise UserError(
            f"{where(path)} is missing or damaged ({found} of {images} images): copy it again, or run "
            "googlenet prepare again"
        )


def read_index(directory: Path) -> dict[str, Any]:
    """What `dataset.json` says; raises `UserError` if there is none that makes sense."""
    path = directory / INDEX
    try:
        index = json.loads(path.read_text())
        known = index["format"] == FORMAT and index["version"] == VERSION
        shards = [shard for split in index["splits"].values() for shard in split]
        whole = all(Path(s["file"]).name == s["file"] and type(s["images"]) is int and s["images"] > 0 for s in shards)
        named = all(isinstance(label, str) for label in index["labels"])
    except FileNotFoundError:
        raise UserError(
            f"config.dataset.name=records:{where(directory)}: no {INDEX} there; googlenet prepare makes "
            "such a directory"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{where(path)} is damaged ({type(error).__name__}: {error})") from None
    if not (known and whole and named):
        raise UserError(f"{where(path)} is not of this format, {FORMAT} version {VERSION}")
    return index
