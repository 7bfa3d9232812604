"""Augmentation as array maths, on the device inside the jitted step; every image has its own random key."""

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jax import lax

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as PIL and torchvision convert to grey

_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]], np.float32)
_FROM_YIQ = np.linalg.inv(_TO_YIQ)


def augment(images: jax.Array, keys: jax.Array, config: ml_collections.ConfigDict) -> jax.Array:
    """Shifts, mirrors and recolours a batch at random.

    Args:
      images: (n, h, w, 3) uint8 RGB array.
      keys: (n,) random keys.
      config: the `augment` group.

    Returns:
      (n, h, w, 3) array, uint8, or float32 in 0..255 if colours were changed.
    """

    def one(image: jax.Array, key: jax.Array) -> jax.Array:
        shift_key, flip_key, color_key = jax.random.split(key, 3)
        if config.crop == "shift" and config.shift:
            image = shift(image, shift_key, config.shift)
        if config.flip:
            image = jnp.where(jax.random.bernoulli(flip_key), image[:, ::-1], image)
        if config.brightness or config.contrast or config.saturation or config.hue:
            image = recolor(image, color_key, config.brightness, config.contrast, config.saturation, config.hue)
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
    top, left = jax.random.randint(key, (2,), 0, 2 * pixels + 1)
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

    def turn(pixels: jax.Array) -> jax.Array:
        cos, sin = jnp.cos(angle), jnp.sin(angle)
        zero, one = jnp.zeros(()), jnp.ones(())
        rotation = jnp.array([[one, zero, zero], [zero, cos, -sin], [zero, sin, cos]])
        return jnp.clip(pixels @ (_FROM_YIQ @ rotation @ _TO_YIQ).T, 0, 255)

    def blend(base: jax.Array, pixels: jax.Array, factor: jax.Array) -> jax.Array:
        return jnp.clip(base + factor * (pixels - base), 0, 255)

    changes = (
        lambda x: blend(jnp.zeros(()), x, factors[0]),
        lambda x: blend((x @ _LUMA).mean(), x, factors[1]),
        lambda x: blend((x @ _LUMA)[..., None], x, factors[2]),
        turn,
    )
    pixels = image.astype(jnp.float32)
    for change in jax.random.permutation(order_key, 4 if hue else 3):
        pixels = lax.switch(change, changes, pixels)
    return pixels
