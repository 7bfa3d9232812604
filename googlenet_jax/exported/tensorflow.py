"""TensorFlow, imported when it is asked for, and quiet."""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

from googlenet_jax.exported.description import Description
from googlenet_jax.exported.opening import missing

IMAGES, SIGNATURE = "images", "serving_default"  # the input's name, and the signature's


def tensorflow(kind: str) -> Any:
    """The module `tensorflow`, on CPUs alone.

    Args:
      kind: of files that it is needed for, for the message.

    Raises:
      UserError: if it is not installed.
    """
    try:
        with quiet():
            import tensorflow as tf
    except ModuleNotFoundError:
        raise missing("tensorflow", "tf", kind) from None
    with contextlib.suppress(RuntimeError):  # it has begun already: what it holds, it holds
        tf.config.set_visible_devices([], "GPU")  # of which it would take all memory, JAX's too
    return tf


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Nothing is written to standard error meanwhile: TensorFlow's C++ does, whatever its log level is."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)


def check_input(description: Description, shape: tuple[int, ...], dtype: str) -> None:
    """Raises ValueError unless a signature takes what its description says.

    Args:
      description: of the network.
      shape: of an image, as the signature has it.
      dtype: its name.
    """
    size = description.preprocess.image_size
    wanted = (size, size, 3), "uint8" if description.input == "uint8" else "float32"
    if (shape, dtype) != wanted:
        raise ValueError(f"it takes {dtype} images {shape}, its description says {wanted[1]} {wanted[0]}")
