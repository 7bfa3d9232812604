"""From a file of any known kind, recognised by its content, to named tensors.

To add a kind of file is to add a row to `_KINDS` and its reader.
"""

import contextlib
import functools
import mmap
import zipfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from googlenet_jax.errors import UserError, reason, shown, where
from googlenet_jax.formats import LIMIT, caffe, mindspore, npz, pickled, protobuf, safetensors, torch, zips
from googlenet_jax.formats.groups import Found

_LEGACY_TORCH = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"  # the magic number of torch's format before 1.6, as pickled


class Sample:
    """What a file is recognised by.

    Attributes:
      file: at its start; who moves within it goes back.
      start: the first 4096 bytes.
      size: bytes.
    """

    def __init__(self, file: BinaryIO, size: int):
        self.file, self.size = file, size
        self.start = file.read(4096)
        file.seek(0)

    @functools.cached_property
    def members(self) -> Collection[str]:
        """Names in a zip archive; empty if it is none, or damaged."""
        try:
            return zips.opened(self.file).namelist()
        except Exception:  # whatever a damaged archive fails with
            return ()
        finally:
            self.file.seek(0)

    @functools.cached_property
    def first_field(self) -> tuple[int, set[int]]:
        """Of a protobuf message: the number of its first field, if that has a length, and of the fields within it."""
        data = self.file.read()
        self.file.seek(0)
        try:
            messages = protobuf.Messages()
            number, wire, value = next(messages.fields(memoryview(data)))
        except (ValueError, StopIteration):
            return 0, set()
        if wire != protobuf.BYTES:
            return 0, set()
        try:
            parts = messages.fields(protobuf.message(value))
            return number, {inner for inner, wire, _ in parts if wire == protobuf.BYTES}
        except ValueError:
            return number, set()

    def has(self, *words: bytes) -> bool:
        """Whether one of these stands anywhere in the file."""
        with mmap.mmap(self.file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return any(data.find(word) >= 0 for word in words)


class Kind(NamedTuple):
    """One kind of file.

    Attributes:
      test: whether a file is of it, given that it is of none above.
      words: what it is.
      reader: of the file; None for a kind that is known and not read.
      suffixes: the usual ends of names, for messages.
    """

    test: Callable[[Sample], bool]
    words: str
    reader: Callable[[BinaryIO], Found] | None = None
    suffixes: str = ""


def _read_whole(read: Callable[[memoryview], dict[str, np.ndarray]]) -> Callable[[BinaryIO], Found]:
    return lambda file: _all_of(read(memoryview(file.read())))


def _all_of(tensors: dict[str, np.ndarray]) -> Found:
    return Found({"": tensors} if tensors else {})


def _is_zip(sample: Sample) -> bool:
    return sample.start[:4] == b"PK\x03\x04" or bool(sample.members)


def _ends(sample: Sample, *ends: str) -> bool:
    """Whether for each of these a member of the zip archive ends in it."""
    return all(any(name.endswith(end) for name in sample.members) for end in ends)


def _is_hdf5(sample: Sample) -> bool:
    return sample.start[:8] == b"\x89HDF\r\n\x1a\n"


def _is_pickle(sample: Sample) -> bool:
    start = sample.start
    return (start[0] == 0x80 and start[1] <= 5) or (start[:1] in b"(}" and start[1:2] in b"dq(")


def _is_mindspore(sample: Sample) -> bool:
    """A list of values, each with a tag and a tensor."""
    return sample.first_field[0] == 1 and {1, 2} <= sample.first_field[1]


def _is_caffe(sample: Sample) -> bool:
    """A name, or inputs, or layers."""
    return sample.first_field[0] in (1, 2, 3, 8, 100)


def _refuse_damaged(file: BinaryIO) -> Found:
    """Raises what is wrong with a zip archive whose members cannot be listed."""
    try:
        zips.opened(file)
    except zipfile.BadZipFile as error:
        missing = "not a zip file" in str(error)  # the list of members is at the end
        raise ValueError("its end is missing: copy or download it again" if missing else str(error)) from None
    return Found({})


def _other(sample: Sample) -> str:
    """What a file is that often lies where a checkpoint should."""
    return next((f", but {words}" for start, words in _OTHERS if sample.start.lstrip().lower().startswith(start)), "")


# Read from top to bottom.
_KINDS = (
    Kind(
        lambda s: safetensors.is_safetensors(s.start, s.size),
        "a safetensors file",
        safetensors.read_safetensors,
        ".safetensors",
    ),
    Kind(lambda s: _ends(s, "/constants.pkl", "/data.pkl"), "a TorchScript program (save its state_dict() instead)"),
    Kind(lambda s: _ends(s, "/data.pkl"), "a torch file", torch.read_zip, "torch's .pth"),
    Kind(lambda s: _ends(s, "config.json", "model.weights.h5"), "a Keras model (.keras)"),
    Kind(lambda s: _ends(s, "saved_model.pb"), "a zip archive of a TensorFlow SavedModel"),
    Kind(lambda s: _ends(s, ".npy"), "an .npz archive", npz.read_npz, ".npz"),
    Kind(lambda s: _is_zip(s) and bool(s.members), "a zip archive of something else (unpack it)"),
    Kind(_is_zip, "a zip archive", _refuse_damaged),
    Kind(lambda s: s.start[:2] == b"\x1f\x8b", "a .tar.gz archive", pickled.read_archive, "SINGA's .pickle or .tar.gz"),
    Kind(lambda s: _is_hdf5(s) and s.has(b"keras_version", b"layer_names", b"_layer_checkpoint"), "Keras's HDF5"),
    Kind(
        _is_hdf5,
        "Caffe's HDF5",
        lambda file: _all_of(caffe.read_caffemodel_h5(file)),
        ".caffemodel.h5",
    ),
    Kind(lambda s: _is_pickle(s) and _LEGACY_TORCH in s.start[:32], "a torch file", torch.read_legacy),
    Kind(_is_pickle, "a pickle", pickled.read_arrays, "Paddle's .pdparams"),
    Kind(lambda s: s.start[:3] == b"\x08\x01\x12", "a TensorFlow SavedModel"),
    Kind(_is_mindspore, "a MindSpore checkpoint", _read_whole(mindspore.read_ckpt), "MindSpore's .ckpt"),
    Kind(_is_caffe, "a .caffemodel", _read_whole(caffe.read_caffemodel), ".caffemodel"),
)
_OTHERS = (
    (b"version https://git-lfs", "Git LFS's pointer to one (git lfs pull)"),
    (b"<!doctype html", "a web page (the download failed)"),
    (b"<html", "a web page (the download failed)"),
    (b"\xfd7zxz\x00", "a .xz archive (unpack it)"),
    (b"bzh", "a .bz2 archive (unpack it)"),
    (b"\x28\xb5\x2f\xfd", "a .zst archive (unpack it)"),
)
KINDS = tuple(kind.words for kind in _KINDS if kind.reader)
READ = ", ".join(kind.suffixes for kind in _KINDS if kind.suffixes)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[tuple[str, Found]]:
    """Opens a checkpoint file; what is found in it can be read within the context.

    Args:
      path: of the file.

    Yields:
      (kind of file in words, one of `KINDS`; what it holds, at least one tensor).

    Raises:
      UserError: if there is no such file, it is none of the known kinds, damaged, or asks for more than arrays.
    """
    if path.is_dir():
        words = "a TensorFlow SavedModel" if (path / "saved_model.pb").is_file() else "a directory"
        raise UserError(f"{where(path)}: it is {words}, which is not read; give a file: {READ}")
    if not path.is_file():
        raise UserError(f"{where(path)}: there is no such file")
    size = path.stat().st_size
    if not 16 <= size <= LIMIT:
        raise UserError(f"{where(path)}: {size} bytes are {'too few' if size < 16 else 'too many'} for a GoogLeNet")
    with path.open("rb") as file:
        sample = Sample(file, size)
        kind = next((kind for kind in _KINDS if kind.test(sample)), None)
        if kind is None:
            raise UserError(f"{where(path)}: none of the known kinds of file{_other(sample)}: {READ}")
        if kind.reader is None:
            raise UserError(f"{where(path)}: it is {kind.words}, which is not read; what is: {READ}")
        try:
            found = kind.reader(file)
            if not found.groups:
                why = (
                    f": it asks for {shown(found.unread)}, which is refused: only arrays and plain values are read; "
                    "save model.state_dict() where a whole model was saved"
                )
                raise UserError(f"it looks like {kind.words}, but holds no arrays{why if found.unread else ''}")
            yield kind.words, found
        except UserError as error:
            raise UserError(f"{where(path)}: {error}") from None
        except Exception as error:  # a damaged file fails in any way there is
            raise UserError(
                f"{where(path)}: it looks like {kind.words}, but cannot be read: {reason(error)}"
            ) from error
