"""Where each published GoogLeNet lies, and how its bytes are known; facts from each system's own repository."""

import hashlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from googlenet_jax.errors import UserError
from googlenet_jax.formats import LIMIT
from googlenet_jax.system.files import cache_directory, written_beside

_CHUNK = 1 << 20


class Published(NamedTuple):
    """One published file.

    Attributes:
      url: where its makers put it.
      algorithm, digest: hash of the file, or how it begins; "" where its makers tell none.
      half_range: trained on pixels scaled to -1..1 rather than by ImageNet's mean and deviation
        (torchvision's transform_input).
    """

    url: str
    algorithm: str
    digest: str
    half_range: bool = False


PUBLISHED = {
    # models/bvlc_googlenet/readme.md of BVLC/caffe
    "caffe": Published(
        "http://dl.caffe.berkeleyvision.org/bvlc_googlenet.caffemodel",
        "sha1",
        "405fc5acd08a3bb12de8ee5e23a96bec22f08204",
    ),
    # examples/imagenet/googlenet/README.md of apache/singa 2.0.0
    "singa": Published(
        "https://s3-ap-southeast-1.amazonaws.com/dlfile/bvlc_googlenet.tar.gz",
        "sha1",
        "0a88e8948b1abca3badfd8d090d6be03f8d7655d",
    ),
    # torchvision/models/googlenet.py; torch's file names end in the start of their SHA-256
    "torchvision": Published("https://download.pytorch.org/models/googlenet-1378be20.pth", "sha256", "1378be20", True),
    # mindcv/models/googlenet.py and configs/googlenet/README.md; named likewise
    "mindcv": Published(
        "https://download.mindspore.cn/toolkits/mindcv/googlenet/googlenet-5552fcd3.ckpt", "sha256", "5552fcd3"
    ),
    "mindcv-910v2": Published(
        "https://download-mindspore.osinfra.cn/toolkits/mindcv/googlenet/googlenet-de74c31d-910v2.ckpt",
        "sha256",
        "de74c31d",
    ),
    # ppcls/arch/backbone/model_zoo/googlenet.py of PaddlePaddle/PaddleClas, which tells no hash
    "paddleclas": Published(
        "https://paddle-imagenet-models-name.bj.bcebos.com/dygraph/GoogLeNet_pretrained.pdparams", "sha256", ""
    ),
}


def fetch(name: str, progress: Callable[[int, int | None], None]) -> Path:
    """Downloads a published file once, and verifies it.

    Args:
      name: a key of `PUBLISHED`.
      progress: called with the bytes so far and those in all, if known.

    Returns:
      The file, in the user's cache.

    Raises:
      UserError: without a network, or if the bytes are not those that were published.
    """
    published = PUBLISHED[name]
    target = cache_directory() / "published" / published.url.rpartition("/")[2]
    if target.is_file() and _verified(target, published):
        return target
    by_hand = f"get it from {published.url} and run: googlenet import FILE --output DIR"
    try:
        with written_beside(target) as partial:
            _download(name, partial, progress)
            if not _verified(partial, published):
                raise UserError(
                    f"{name}: the bytes at {published.url} are not those that were published; nothing imported"
                )
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        why = getattr(error, "reason", error)
        raise UserError(f"{name}: it cannot be downloaded here ({why}); {by_hand}") from None
    return target


def _download(name: str, target: Path, progress: Callable[[int, int | None], None]) -> None:
    url = PUBLISHED[name].url
    with urllib.request.urlopen(url, timeout=30) as response, target.open("wb") as file:
        length = response.headers.get("Content-Length")
        total, done = int(length) if length and length.isdecimal() else None, 0
        while chunk := response.read(_CHUNK):
            done += len(chunk)
            if done > LIMIT:
                raise UserError(f"{name}: what is at {url} is too long for a GoogLeNet")
            file.write(chunk)
            progress(done, total)
    if total is not None and done != total:
        raise http.client.IncompleteRead(b"", total - done)


def find_published(path: Path) -> str | None:
    """The name under which exactly these bytes were published, or None."""
    hashes: dict[str, str] = {}
    for name, published in PUBLISHED.items():
        if published.algorithm not in hashes:
            hashes[published.algorithm] = _hash(path, published.algorithm)
        if published.digest and hashes[published.algorithm].startswith(published.digest):
            return name
    return None


def _verified(path: Path, published: Published) -> bool:
    return _hash(path, published.algorithm).startswith(published.digest)


def _hash(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
