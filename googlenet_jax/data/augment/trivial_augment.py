"""TrivialAugmentWide (arXiv 2103.10158): one random operation an image, pixel for pixel as Pillow does it.

Under `vmap` a `switch` computes every operation for every image. Instead an image is moved by a matrix, blended with a
degenerate version of itself, and looked up in a table, each of which is cheap. An operation is one of the three, and
leaves the other two as they are, so all of them are worked out from the image as it came.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

OPERATIONS = (
    "identity",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
    "rotate",
    "brightness",
    "color",
    "contrast",
    "sharpness",
    "posterize",
    "solarize",
    "autocontrast",
    "equalize",
)
LARGEST = 30  # magnitudes are counted in thirtieths of the largest
_FRACTION_BITS = 16  # of the fixed-point numbers in which Pillow computes places


def trivial_augment(image: jax.Array, key: jax.Array) -> jax.Array:
    """Applies one operation at one magnitude, all equally likely (torchvision's operations and ranges).

    Args:
      image: (size, size, 3) uint8 RGB array.
      key: random key.

    Returns:
      Array like image; black comes in from outside.
    """
    operation_key, magnitude_key, sign_key = jax.random.split(key, 3)
    operation = jax.random.randint(operation_key, (), 0, len(OPERATIONS))
    magnitude = jax.random.randint(magnitude_key, (), 0, LARGEST + 1)
    return apply_operation(image, operation, magnitude * jax.random.rademacher(sign_key, (), magnitude.dtype))


def apply_operation(image: jax.Array, operation: jax.Array, magnitude: jax.Array) -> jax.Array:
    """Applies an operation with nearest sampling.

    Args:
      image: (size, size, 3) uint8 RGB array.
      operation: int32 scalar, index into `OPERATIONS`.
      magnitude: int32 scalar, -`LARGEST` to `LARGEST`. Posterize and solarize take its absolute value, identity,
        autocontrast and equalize have none.

    Returns:
      Array like image.
    """
    magnitudes = range(-LARGEST, LARGEST + 1)
    matrices = np.array([[_source_of(name, m, image.shape[0]) for m in magnitudes] for name in OPERATIONS], np.int32)
    moved = _move(image, jnp.asarray(matrices)[operation, magnitude + LARGEST])
    base, factor = _degenerate(image, operation), _factor(operation, magnitude)
    blended = jnp.clip(base + factor * (moved - base), 0, 255).astype(jnp.int32)
    return _tables(image, operation, jnp.abs(magnitude))[jnp.arange(3), blended].astype(jnp.uint8)


def _source_of(name: str, magnitude: int, size: int) -> list[int]:
    """The matrix a, b, c, d, e, f by which pixel x, y comes from a x + b y + c, d x + e y + f, in fixed point."""
    share = magnitude / LARGEST
    a, b, c, d, e, f = 1.0, 0.0, 0.0, 0.0, 1.0, 0.0
    if name == "shear_x":
        b = 0.99 * share
    elif name == "shear_y":
        d = 0.99 * share
    elif name == "translate_x":
        c = -math.trunc(32 * share)
    elif name == "translate_y":
        f = -math.trunc(32 * share)
    elif name == "rotate":
        angle = math.radians(135 * share)
        a, b = round(math.cos(angle), 15), round(-math.sin(angle), 15)  # so that 90 degrees lose no pixel
        d, e = -b, a
        c, f = size / 2 * (1 - a - b), size / 2 * (1 - d - e)
    # From the middle of pixel 0, 0.
    return [math.floor(v * 2**_FRACTION_BITS + 0.5) for v in (a, b, c + (a + b) / 2, d, e, f + (d + e) / 2)]


def _move(image: jax.Array, matrix: jax.Array) -> jax.Array:
    """Each pixel from where the matrix of `_source_of` says, as int32; black if that is outside."""
    size = image.shape[0]
    a, b, c, d, e, f = matrix
    x, y = jnp.arange(size)[None, :], jnp.arange(size)[:, None]
    column, row = (a * x + b * y + c) >> _FRACTION_BITS, (d * x + e * y + f) >> _FRACTION_BITS
    inside = (column >= 0) & (column < size) & (row >= 0) & (row < size)
    pixels = jnp.pad(image.reshape(size * size, 3), ((0, 1), (0, 0)))
    return pixels[jnp.where(inside, row * size + column, size * size)].astype(jnp.int32)


def _degenerate(image: jax.Array, operation: jax.Array) -> jax.Array:
    """What PIL.ImageEnhance blends an image with, as int32; black for other operations."""
    pixels = image.astype(jnp.int32)
    luma = (pixels * jnp.array([[[19595, 38470, 7471]]])).sum(-1)
    grey = (luma + (1 << 15)) >> 16  # as Pillow converts to "L"
    rows = pixels[:-2] + pixels[1:-1] + pixels[2:]
    around = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    smooth = (2 * (around + 4 * pixels[1:-1, 1:-1]) + 13) // 26  # weights of 1, in the middle 5, by 13, rounded
    return _choose(
        {
            "color": jnp.broadcast_to(grey[..., None], pixels.shape),
            "contrast": jnp.broadcast_to((grey.mean() + 0.5).astype(jnp.int32), pixels.shape),
            "sharpness": pixels.at[1:-1, 1:-1].set(smooth),
        },
        operation,
        jnp.zeros_like(pixels),
    )


def _factor(operation: jax.Array, magnitude: jax.Array) -> jax.Array:
    """Weight of the image itself in the blend; more than 1 leads away from the degenerate one."""
    blends = [OPERATIONS.index(name) for name in ("brightness", "color", "contrast", "sharpness")]
    return 1 + jnp.where(jnp.isin(operation, jnp.array(blends)), 0.99 / LARGEST * magnitude, 0)


def _tables(image: jax.Array, operation: jax.Array, magnitude: jax.Array) -> jax.Array:
    """(3, 256) int32 array: what becomes of each value of each channel, as in PIL.ImageOps."""
    values, channels = jnp.broadcast_to(jnp.arange(256), (3, 256)), jnp.arange(3)
    pixels = image.reshape(-1, 3).astype(jnp.int32)
    lost_bits = jnp.round(magnitude / 5).astype(jnp.int32)
    counts = jnp.zeros((3, 256), jnp.int32).at[channels, pixels].add(1)
    there = counts > 0  # the ends are found among 256 counts rather than all pixels: half this function's time on a CPU
    low, high = there.argmax(1)[:, None], 255 - there[:, ::-1].argmax(1)[:, None]
    # Pillow rounds the quotient in float64 before it is cut off, by which 1 in 230 results is one less.
    stretched = (values - low) * 255 // jnp.maximum(high - low, 1)
    step = (len(pixels) - counts[channels[:, None], high]) // 255
    equalized = (jnp.cumsum(counts, 1) - counts + step // 2) // jnp.maximum(step, 1)
    return _choose(
        {
            "posterize": values >> lost_bits << lost_bits,
            "solarize": jnp.where(values < 255 - 8.5 * magnitude, values, 255 - values),
            "autocontrast": jnp.where(high > low, jnp.clip(stretched, 0, 255), values),
            "equalize": jnp.where(step > 0, jnp.clip(equalized, 0, 255), values),
        },
        operation,
        values,
    )


def _choose(choices: dict[str, jax.Array], operation: jax.Array, default: jax.Array) -> jax.Array:
    """The operation's, or the default, of arrays of 0 to 255.

    As a product, because XLA's CPU backend would work a `select` out again for every pixel that looks it up. It is
    exact in any precision that matrix units have.
    """
    chosen = jnp.array([operation == OPERATIONS.index(name) for name in choices])
    weights = jnp.append(chosen, ~chosen.any()).astype(jnp.float32)
    return jnp.tensordot(weights, jnp.stack([*choices.values(), default]).astype(jnp.float32), 1).astype(jnp.int32)
