"""ImageNet's development kit: its classes, and which of them each validation image shows."""

import io
import tarfile
import zlib
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

import numpy as np

from googlenet_jax.errors import UserError, reason
from googlenet_jax.formats.tars import open_tar

DEVKIT = "ILSVRC2012_devkit_t12.tar.gz"
META, TRUTH = "meta.mat", "ILSVRC2012_validation_ground_truth.txt"
_MAX_FILE = 64 << 20  # bytes, packed or not
_COMPRESSED = 15  # MAT files' miCOMPRESSED


class Devkit(NamedTuple):
    """What the development kit says.

    Attributes:
      wnids: WordNet ids of the classes, sorted: the order that everybody numbers them in.
      labels: their names.
      train_images: of each class.
      val_classes: of each validation image.
    """

    wnids: list[str]
    labels: list[str]
    train_images: list[int]
    val_classes: list[int]


def read_devkit(archive: BinaryIO, name: str) -> Devkit:
    """Reads the classes and the validation images' labels.

    Args:
      archive: ILSVRC2012_devkit_t12.tar.gz, open.
      name: of it, for messages.

    Returns:
      A `Devkit`.

    Raises:
      UserError: if it is something else.
    """
    files = {}
    try:
        with open_tar(fileobj=archive, mode="r:*") as members:
            for member in members:
                file = Path(member.name).name
                if file in (META, TRUTH) and member.isreg():
                    files[file] = read_member(members, member, _MAX_FILE, name)
        leaves = _leaves(files[META])
        number = {int(entry["ILSVRC2012_ID"]): i for i, entry in enumerate(leaves)}
        return Devkit(
            wnids=[str(entry["WNID"]) for entry in leaves],
            labels=[str(entry["words"]) for entry in leaves],
            train_images=[int(entry["num_train_images"]) for entry in leaves],
            val_classes=[number[int(line)] for line in files[TRUTH].decode().split()],
        )
    except KeyError as error:
        raise UserError(f"{name}: it lacks {error}; it should be {DEVKIT}") from None
    except UserError:
        raise
    except Exception as error:  # tarfile, zlib and scipy raise many kinds for damaged data
        raise UserError(f"{name}: damaged, or something else ({reason(error)})") from None


def devkit_numbers(meta: bytes, name: str) -> dict[int, str]:
    """The WordNet ids of the classes by the devkit's own numbers, from the content of its meta.mat.

    Args:
      meta: the file.
      name: of it, for messages.

    Returns:
      {number: id}.

    Raises:
      UserError: if it is something else.
    """
    try:
        return {int(entry["ILSVRC2012_ID"]): str(entry["WNID"]) for entry in _leaves(meta)}
    except Exception as error:  # as above
        raise UserError(f"{name}: its {META} is damaged, or something else ({reason(error)})") from None


def _leaves(meta: bytes) -> list[np.void]:
    """The entries of classes that images are of, sorted by their ids."""
    from scipy.io import loadmat  # takes a while, and only this needs it

    _check_unpacked(meta)
    synsets = loadmat(io.BytesIO(meta), squeeze_me=True)["synsets"]
    leaves = [entry for entry in np.atleast_1d(synsets) if int(entry["num_children"]) == 0]
    return sorted(leaves, key=lambda entry: str(entry["WNID"]))


def _check_unpacked(mat: bytes) -> None:
    """Raises ValueError for a MAT file (of level 5) whose compressed elements unpack to more than they may."""
    order: Literal["little", "big"] = "little" if mat[126:128] == b"IM" else "big"
    at, left = 128, _MAX_FILE
    while at + 8 <= len(mat):
        kind, size = (int.from_bytes(mat[at + i : at + i + 4], order) for i in (0, 4))
        if kind == _COMPRESSED:
            left -= len(zlib.decompressobj().decompress(mat[at + 8 : at + 8 + size], left + 1))
            if left < 0:
                raise ValueError(f"{META} unpacks to more than {_MAX_FILE >> 20} MiB")
        at += 8 + size


def read_member(archive: tarfile.TarFile, member: tarfile.TarInfo, limit: int, name: str) -> bytes:
    """A file's content; `UserError` if it is none, of more bytes than the limit, or cut off; `name`: the archive's."""
    if member.size > limit or member.issparse() or not member.isreg():
        raise UserError(f"{name}: {member.name} is not a file that belongs here ({member.size:,} bytes)")
    file = archive.extractfile(member)
    assert file is not None  # it is regular
    try:
        return file.read()
    except tarfile.ReadError:
        raise UserError(f"{name}: cut off in {member.name}; download it again") from None
