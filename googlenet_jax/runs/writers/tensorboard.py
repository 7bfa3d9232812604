"""The writer of TensorBoard's files."""

import io
import socket
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from tensorboard.compat.proto import summary_pb2
from tensorboard.plugins.histogram.summary_v2 import histogram_pb

from googlenet_jax.runs.lines import Line
from googlenet_jax.runs.writers.base import Writer, scalars
from googlenet_jax.runs.writers.events import EventFile

_QUALITY = 90  # of JPEG files: a fifth of the same as PNG


class TensorBoard(Writer):
    """`tensorboard/`: every number as a scalar named SPLIT/NAME; later steps of earlier files are hidden."""

    def __init__(self, run: Path, step: int):
        directory = run / "tensorboard"
        directory.mkdir(exist_ok=True)
        self._file = EventFile(directory / f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}")
        self._file.restart(step + 1)

    def write(self, line: Line) -> None:
        """As `Writer.write`."""
        values = [summary_pb2.Summary.Value(tag=name, simple_value=value) for name, value in scalars(line).items()]
        self._file.add(summary_pb2.Summary(value=values), line["step"])

    def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        """As `Writer.write_images`."""
        values = [summary_pb2.Summary.Value(tag=name, image=_encoded(image)) for name, image in images.items()]
        self._file.add(summary_pb2.Summary(value=values), step)

    def write_histograms(self, step: int, arrays: Mapping[str, np.ndarray]) -> None:
        """As `Writer.write_histograms`."""
        for name, array in arrays.items():
            self._file.add(histogram_pb(name, array), step)

    def close(self) -> None:
        """As `Writer.close`."""
        self._file.close()


def _encoded(image: np.ndarray) -> summary_pb2.Summary.Image:
    target = io.BytesIO()
    Image.fromarray(image).save(target, "JPEG", quality=_QUALITY, subsampling=0)
    height, width, channels = image.shape
    return summary_pb2.Summary.Image(
        height=height, width=width, colorspace=channels, encoded_image_string=target.getvalue()
    )
