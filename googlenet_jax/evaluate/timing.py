"""How fast networks classify, side by side: checkpoints and exported files, with and without decoding."""

import io
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from googlenet_jax.classifier import Classifier
from googlenet_jax.data.pictures.picture import decode_image
from googlenet_jax.system.runtime import cpu_cores

_ROUNDS = 5


class Timing(NamedTuple):
    """What was measured.

    Attributes:
      batch: images a call.
      images_per_second: by the median call.
      median, p99: milliseconds of a call.
      decoded_images_per_second: by the median call that begins with JPEG files of 640 x 427 pixels in memory.
    """

    batch: int
    images_per_second: float
    median: float
    p99: float
    decoded_images_per_second: float


def time_networks(
    nets: Sequence[Classifier],
    batches: Sequence[int],
    seconds: float = 2.0,
    advance: Callable[[], object] = lambda: None,
) -> list[list[Timing]]:
    """Times networks in turns, so that what else the machine does befalls all.

    Args:
      nets: the networks.
      batches: images a call, each of which is measured.
      seconds: for each network, batch and kind of input, in all.
      advance: told of every turn that is over; there are `turns` of them.

    Returns:
      Of each network a `Timing` a batch.
    """
    pictures = [_jpeg(picture) for picture in load_sample_images().images]
    found: dict[tuple[int, int, bool], list[float]] = {}
    with ThreadPoolExecutor(cpu_cores()) as threads:
        for turn in range(_ROUNDS):
            for number, net in enumerate(nets):
                for batch in batches:
                    for decode in (False, True):
                        call = _call(net, batch, pictures, threads if decode else None)
                        if turn == 0:
                            call()  # compiles
                        times = found.setdefault((number, batch, decode), [])
                        end = time.perf_counter() + seconds / _ROUNDS
                        while True:
                            start = time.perf_counter()
                            call()
                            times.append(time.perf_counter() - start)
                            if time.perf_counter() >= end:
                                break
                        advance()
    return [
        [_timing(batch, found[n, batch, False], found[n, batch, True]) for batch in batches] for n in range(len(nets))
    ]


def turns(nets: int, batches: int) -> int:
    """How often `time_networks` calls `advance`."""
    return 2 * _ROUNDS * nets * batches


def _call(net: Classifier, batch: int, pictures: list[bytes], threads: ThreadPoolExecutor | None) -> Callable[[], Any]:
    def read(data: bytes) -> np.ndarray:
        return net.preprocess.crop(decode_image(data, "picture"))

    chosen = [pictures[i % len(pictures)] for i in range(batch)]
    if threads is not None:
        return lambda: net.classify(np.stack([*threads.map(read, chosen)]))
    crops = np.stack([read(data) for data in chosen])
    return lambda: net.classify(crops)


def _timing(batch: int, alone: list[float], decoding: list[float]) -> Timing:
    median, p99 = (float(np.percentile(alone, rank)) for rank in (50, 99))
    return Timing(batch, batch / median, 1e3 * median, 1e3 * p99, batch / float(np.median(decoding)))


def _jpeg(picture: np.ndarray) -> bytes:
    target = io.BytesIO()
    Image.fromarray(np.asarray(picture)).save(target, "JPEG", quality=90)
    return target.getvalue()
