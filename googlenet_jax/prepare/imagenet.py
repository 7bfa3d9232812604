"""ImageNet (ILSVRC 2012) from its official archives into records, in one pass and without unpacking them.

ILSVRC2012_img_train.tar           one nXXXXXXXX.tar a class, of nXXXXXXXX_*.JPEG
ILSVRC2012_img_val.tar             ILSVRC2012_val_XXXXXXXX.JPEG
ILSVRC2012_devkit_t12.tar.gz       data/meta.mat: the classes; data/ILSVRC2012_validation_ground_truth.txt
"""

import io
import re
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from googlenet_jax.data.pictures.picture import MAX_BYTES
from googlenet_jax.data.sources.devkit import Devkit, read_devkit, read_member
from googlenet_jax.errors import UserError
from googlenet_jax.formats.tars import open_tar
from googlenet_jax.prepare.form import Form
from googlenet_jax.prepare.pack import Advance, Item, Stream, pack

_CLASS = re.compile(r"n\d{8}")
_VAL = re.compile(r"ILSVRC2012_val_(\d{8})\.JPEG")


def prepare_imagenet(
    train: Path, val: Path, devkit: Path, output: Path, form: Form, advance: Advance
) -> dict[str, Any]:
    """Packs ImageNet.

    Args:
      train, val, devkit: the three archives.
      output: directory to write.
      form, advance: as for `pack`.

    Returns:
      As `pack`.

    Raises:
      UserError: if an archive is damaged, holds something else, or images are missing.
    """
    with devkit.open("rb") as file:
        kit = read_devkit(file, f"--devkit {devkit}")
    streams: list[Stream] = [_Train(train, kit), _Val(val, kit)]
    return pack(output, f"ImageNet from {train.name} and {val.name}", kit.labels, streams, form, advance)


class _Train:
    """A tar of tars. A place in it is [offset of the inner tar in the outer, offset of the next image in the inner]."""

    split = "train"

    def __init__(self, path: Path, kit: Devkit):
        self.path, self.kit, self.total = path, kit, path.stat().st_size

    def items(self, start: Any) -> Iterator[Item]:
        number = {wnid: i for i, wnid in enumerate(self.kit.wnids)}
        outer_at, inner_at = start or (0, 0)
        with self.path.open("rb") as file:
            for member, archive in _members(file, outer_at, f"--train {self.path}"):
                wnid = Path(member.name).stem
                if not _CLASS.fullmatch(wnid) or not member.isreg():
                    raise UserError(f"--train {self.path}: {member.name} is not the archive of a class, nXXXXXXXX.tar")
                if wnid not in number:
                    raise UserError(f"--train {self.path}: the devkit knows no class {wnid}")
                inner = archive.extractfile(member)
                assert inner is not None  # it is regular
                where = f"--train {self.path}, {member.name}"
                here = outer_at + member.offset
                for image, images in _members(inner, inner_at, where):
                    done = here + inner_at + image.offset_data + image.size
                    after = [here, inner_at + _behind(image)]
                    yield Item(number[wnid], image.name, read_member(images, image, MAX_BYTES, where), after, done)
                inner_at = 0

    def check(self, images: Sequence[int]) -> None:
        _compare(f"--train {self.path}", self.kit, images, self.kit.train_images)


class _Val:
    """A tar of images. A place in it is an offset."""

    split = "val"

    def __init__(self, path: Path, kit: Devkit):
        self.path, self.kit, self.total = path, kit, path.stat().st_size

    def items(self, start: Any) -> Iterator[Item]:
        at = start or 0
        where = f"--val {self.path}"
        with self.path.open("rb") as file:
            for image, images in _members(file, at, where):
                name = _VAL.fullmatch(Path(image.name).name)
                if not name or not 1 <= int(name[1]) <= len(self.kit.val_classes):
                    raise UserError(f"{where}: {image.name} is not an image that the devkit has a label for")
                label = self.kit.val_classes[int(name[1]) - 1]
                after = at + _behind(image)
                yield Item(label, image.name, read_member(images, image, MAX_BYTES, where), after, after)

    def check(self, images: Sequence[int]) -> None:
        wanted = np.bincount(self.kit.val_classes, minlength=len(self.kit.wnids)).tolist()
        _compare(f"--val {self.path}", self.kit, images, wanted)


def _members(file: Any, start: int, where: str) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]:
    """The members from an offset on; theirs are counted from there."""
    file.seek(start)
    try:
        with open_tar(fileobj=_Behind(file, start), mode="r:") as archive:
            for member in archive:
                if not member.isdir():
                    yield member, archive
    except tarfile.ReadError as error:
        if "empty" not in str(error):  # an archive that is taken up behind its last member
            raise UserError(f"{where}: a damaged archive ({error}); download it again") from None
    except (tarfile.TarError, ValueError) as error:
        raise UserError(f"{where}: a damaged archive ({error}); download it again") from None


class _Behind(io.RawIOBase):
    """The part of a file behind an offset."""

    def __init__(self, file: BinaryIO, start: int):
        self._file, self._start = file, start

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset + self._start * (whence == io.SEEK_SET), whence) - self._start

    def tell(self) -> int:
        return self._file.tell() - self._start


def _behind(member: tarfile.TarInfo) -> int:
    """Where the next member begins."""
    return member.offset_data + -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


def _compare(where: str, kit: Devkit, found: Sequence[int], wanted: Sequence[int]) -> None:
    wrong = [i for i, (have, want) in enumerate(zip(found, wanted, strict=True)) if have != want]
    if wrong:
        i = wrong[0]
        raise UserError(
            f"{where}: {found[i]} images of {kit.wnids[i]}, the devkit says {wanted[i]}"
            + (f", and {len(wrong) - 1} more such classes" if len(wrong) > 1 else "")
            + ": the archive is not whole; get it again, and another --output"
        )
