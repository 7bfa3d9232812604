"""Augmentation as array maths, on the device inside the jitted step; every image has its own random key."""

import math

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jax import lax

from googlenet_jax.data.augment.trivial_augment import trivial_augment

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as PIL and torchvision convert to grey

_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]], np.float32)
_FROM_YIQ = np.linalg.inv(_TO_YIQ)

Planes = tuple[jax.Array, ...]  # red, green and blue, each (h, w) float32
_CONTRAST = 1  # of brightness, contrast, saturation and hue, which are changed in random order

# Each draws from a key of its own, by its place here: a new one comes last and leaves what the others draw as it is.
_CHANGES = ("shift", "flip", "color", "policy", "cutout", "erasing", "mix")
_ERASED_AREA, _ERASED_ASPECT = (0.02, 0.33), (1 / 3.3, 1 / 0.3)  # torchvision's defaults; its aspect is height by width


def key_for(key: jax.Array, change: str) -> jax.Array:
    """The key of one of `_CHANGES`, from an image's."""
    return jax.random.fold_in(key, _CHANGES.index(change))


def augment(images: jax.Array, keys: jax.Array, config: ml_collections.ConfigDict) -> jax.Array:
    """Shifts, mirrors, distorts and recolours a batch at random, in this order.

    Args:
      images: (n, h, w, 3) uint8 RGB array.
      keys: (n,) random keys.
      config: the `augment` group.

    Returns:
      (n, h, w, 3) array, uint8, or float32 in 0..255 if colours were changed.
    """

    def one(image: jax.Array, key: jax.Array) -> jax.Array:
        if config.crop == "shift" and config.shift:
            image = shift(image, key_for(key, "shift"), config.shift)
        if config.flip:
            image = jnp.where(jax.random.bernoulli(key_for(key, "flip")), image[:, ::-1], image)
        if config.policy == "trivial":
            image = trivial_augment(image, key_for(key, "policy"))
        if config.brightness or config.contrast or config.saturation or config.hue:
            factors = (config.brightness, config.contrast, config.saturation, config.hue)
            image = recolor(image, key_for(key, "color"), *factors)
        return image

    return jax.vmap(one)(images, keys)


def erase(images: jax.Array, keys: jax.Array, config: ml_collections.ConfigDict) -> jax.Array:
    """Cuts holes out at random: `cutout`, `random_erasing`, or both.

    Args:
      images: (n, h, w, 3) array, the network's input: what is cut out becomes 0, the mean colour, in both papers.
      keys: (n,) random keys, those of `augment`.
      config: the `augment` group.

    Returns:
      Array like images.
    """

    def one(image: jax.Array, key: jax.Array) -> jax.Array:
        if config.cutout:
            image = cutout(image, key_for(key, "cutout"), config.cutout)
        if config.erasing:
            image = random_erasing(image, key_for(key, "erasing"), config.erasing)
        return image

    return jax.vmap(one)(images, keys)


def shift(image: jax.Array, key: jax.Array, pixels: int) -> jax.Array:
    """Moves an image by up to so many pixels each way; black comes in from outside.

    Args:
      image: (h, w, 3) array.
      key: random key.
      pixels: largest shift.

    Returns:
      Array like image.
    """
    padded = jnp.pad(image, ((pixels, pixels), (pixels, pixels), (0, 0)))
    top, left = whole_numbers(key, 2 * pixels + 1)
    return lax.dynamic_slice(padded, (top, left, 0), image.shape)


def recolor(
    image: jax.Array, key: jax.Array, brightness: float, contrast: float, saturation: float, hue: float = 0.0
) -> jax.Array:
    """Changes brightness, contrast, saturation and hue at random in random order (arXiv 1312.5402, section 2.2).

    Args:
      image: (h, w, 3) RGB array, 0 to 255.
      key: random key.
      brightness, contrast, saturation: x draws the factor from 1 - x to 1 + x.
      hue: x turns the colour circle by -x to x of its circumference, about the grey axis of YIQ.

    Returns:
      (h, w, 3) float32 array, clipped to 0..255.
    """
    order_key, factor_key = jax.random.split(key)
    spans = jnp.array([brightness, contrast, saturation, hue])
    drawn = spans * jax.random.uniform(factor_key, (4,), minval=-1, maxval=1)
    factors, angle = 1 + drawn[:3], 2 * jnp.pi * drawn[3]
    order = jax.random.permutation(order_key, 4 if hue else 3)

    def changed(change: jax.Array, planes: Planes, mean: jax.Array | float) -> Planes:
        base = jnp.where(change == 0, 0, jnp.where(change == _CONTRAST, mean, _grey(planes)))
        factor = factors[jnp.minimum(change, 2)]
        blended = tuple(jnp.clip(base + factor * (plane - base), 0, 255) for plane in planes)
        return _choose(change == 3, _turned(planes, angle), blended) if hue else blended

    # Contrast alone takes more than a pixel: the mean grey of what comes before it. So the image is read twice, once
    # for that mean and once for all changes, and no change leaves an image in memory.
    planes = before = tuple(image[..., channel].astype(jnp.float32) for channel in range(3))
    comes_before = jnp.bool_(True)
    for change in order[:-1]:
        comes_before &= change != _CONTRAST
        before = _choose(comes_before, changed(change, before, 0.0), before)
    mean = lax.optimization_barrier(_grey(before).mean())
    for change in order:
        planes = changed(change, planes, mean)
    return jnp.stack(planes, -1)


def _grey(planes: Planes) -> jax.Array:
    red, green, blue = planes
    return _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue


def _turned(planes: Planes, angle: jax.Array) -> Planes:
    """Colours turned about the grey axis of YIQ."""
    cos, sin, zero, one = jnp.cos(angle), jnp.sin(angle), jnp.zeros(()), jnp.ones(())
    rotation = jnp.array([[one, zero, zero], [zero, cos, -sin], [zero, sin, cos]])
    rows = jnp.matmul(jnp.matmul(_FROM_YIQ, rotation, precision="highest"), _TO_YIQ, precision="highest")
    red, green, blue = planes
    return tuple(jnp.clip(row[0] * red + row[1] * green + row[2] * blue, 0, 255) for row in rows)


def _choose(condition: jax.Array, then: Planes, otherwise: Planes) -> Planes:
    return tuple(jnp.where(condition, a, b) for a, b in zip(then, otherwise, strict=True))


def cutout(image: jax.Array, key: jax.Array, side: int) -> jax.Array:
    """Blanks a square around a random pixel, or what of it lies within the image (arXiv 1708.04552).

    Args:
      image: (h, w, 3) array.
      key: random key.
      side: of the square, pixels.

    Returns:
      Array like image.
    """
    middle = whole_numbers(key, jnp.array(image.shape[:2]))
    return blanked(image, middle - side // 2, side)


def random_erasing(image: jax.Array, key: jax.Array, probability: float) -> jax.Array:
    """Blanks a random rectangle (arXiv 1708.04896, with torchvision's defaults).

    Args:
      image: (h, w, 3) array.
      key: random key.
      probability: 0 to 1, of changing the image at all.

    Returns:
      Array like image.
    """
    chance_key, window_key = jax.random.split(key)
    height, width = image.shape[:2]
    most = (height - 1, width - 1)  # torchvision erases no whole row or column
    corner, sides, fits = random_window(window_key, (height, width), most, _ERASED_AREA, _ERASED_ASPECT)
    erased = fits & jax.random.bernoulli(chance_key, probability)
    return blanked(image, corner, jnp.where(erased, sides, 0))


def blanked(image: jax.Array, corner: jax.Array, sides: jax.Array | int) -> jax.Array:
    """An (h, w, 3) array with 0 in a window that is given as for `inside`."""
    return image * ~inside(image.shape, corner, sides)[..., None]


def whole_numbers(key: jax.Array, below: jax.Array | int) -> jax.Array:
    """Two random whole numbers, 0 to less than `below`: a (2,) array.

    Unlike `jax.random.randint` it draws both at once, a fourth of the work, which for small images counts.
    """
    return (jax.random.uniform(key, (2,)) * below).astype(int)


def inside(shape: tuple[int, ...], corner: jax.Array, sides: jax.Array | int) -> jax.Array:
    """Which pixels of an image lie in a window.

    Args:
      shape: (h, w, ...) of the image.
      corner: (2,) int32 array, top and left; may lie outside.
      sides: (2,) int32 array, height and width, or one for both.

    Returns:
      (h, w) bool array.
    """
    end = corner + sides
    y, x = jnp.arange(shape[0])[:, None], jnp.arange(shape[1])[None, :]
    return (corner[0] <= y) & (y < end[0]) & (corner[1] <= x) & (x < end[1])


def random_window(
    key: jax.Array,
    shape: tuple[int, int],
    most: tuple[int, int],
    area: tuple[float, float],
    aspect: tuple[float, float],
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """A random part of an image: the first that fits of ten drawn (torchvision's sampling).

    Args:
      key: random key.
      shape: the image's height and width, pixels.
      most: greatest height and width, pixels.
      area: least and greatest share of the image's area.
      aspect: least and greatest width by height, uniform in the logarithm.

    Returns:
      Top and left, height and width, (2,) int32 arrays, and whether any fitted, a bool scalar; without it the first two
      mean nothing.
    """
    area_key, aspect_key, corner_key = jax.random.split(key, 3)
    areas = math.prod(shape) * jax.random.uniform(area_key, (10,), minval=area[0], maxval=area[1])
    low, high = np.log(aspect)
    ratios = jnp.exp(jax.random.uniform(aspect_key, (10,), minval=low, maxval=high))
    drawn = jnp.round(jnp.sqrt(jnp.stack([areas / ratios, areas * ratios], 1))).astype(jnp.int32)
    fits = ((drawn > 0) & (drawn <= jnp.array(most)[None])).all(1)
    sides = drawn[fits.argmax()]
    corner = whole_numbers(corner_key, jnp.maximum(jnp.array(shape) - sides, 0) + 1)
    return corner, sides, fits.any()


def random_crop(image: jax.Array, key: jax.Array, config: ml_collections.ConfigDict) -> jax.Array:
    """A square of `dataset.image_size` at a random place of a cached one; arguments as for `random_resized_crop`."""
    size = config.dataset.image_size
    top, left = whole_numbers(key, image.shape[0] - size + 1)
    return lax.dynamic_slice(image, (top, left, 0), (size, size, 3))


def random_resized_crop(image: jax.Array, key: jax.Array, config: ml_collections.ConfigDict) -> jax.Array:
    """`resized_crop` as a configuration has it.

    Args:
      image: (side, side, 3) uint8 array, cached.
      key: random key.
      config: the whole configuration.

    Returns:
      (image_size, image_size, 3) uint8 array.
    """
    augment = config.augment
    return resized_crop(image, key, config.dataset.image_size, augment.area, augment.aspect, augment.antialias)


def resized_crop(
    image: jax.Array,
    key: jax.Array,
    size: int,
    area: tuple[float, float],
    aspect: tuple[float, float],
    antialias: bool = True,
) -> jax.Array:
    """A random part of an image, resized (arXiv 1409.4842, section 6; torchvision's sampling).

    Args:
      image: (h, w, 3) uint8 array.
      key: random key.
      size: side of the result, pixels.
      area: least and greatest share of the image's area.
      aspect: least and greatest width by height, uniform in the logarithm.
      antialias: average over all pixels where the part shrinks, as Pillow does, rather than interpolate between four.

    Returns:
      (size, size, 3) uint8 array.
    """
    height, width = image.shape[:2]
    corner, sides, fits = random_window(key, (height, width), (height, width), area, aspect)
    # An image longer than any allowed aspect: its centre.
    central = np.array([min(height, round(width / aspect[0])), min(width, round(height * aspect[1]))])
    corner = jnp.where(fits, corner, (np.array([height, width]) - central) // 2)
    scale = size / jnp.where(fits, sides, central)
    pixels = jax.image.scale_and_translate(
        image.astype(jnp.float32), (size, size, 3), (0, 1), scale, -corner * scale, "bilinear", antialias=antialias
    )
    return jnp.clip(jnp.round(pixels), 0, 255).astype(jnp.uint8)
