"""Mixing neighbours in a batch, as array maths on the device.

Partners are places 2 k and 2 k + 1: nothing crosses devices, and a batch is mixed alike on any number of them.
"""

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from googlenet_jax.data.augment.batch import inside, key_for
from googlenet_jax.errors import UserError

_LEVELS = 4097  # of the uniform number in `_beta`'s table


def mix(
    images: jax.Array, labels: jax.Array, keys: jax.Array, config: ml_collections.ConfigDict, num_classes: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Mixes each image with its neighbour by mixup or cutmix, and their labels likewise.

    Args:
      images: (n, h, w, 3) float array, the network's input.
      labels: (n,) int32 array.
      keys: (n,) random keys, those of `augment`; a pair's is its first image's.
      config: the `augment` group.
      num_classes: there are.

    Returns:
      The mixed images; the targets, a (n, num_classes) array of shares that sum to 1; and the (n,) labels of which
      each image has the greater share. With mixing off, the images and twice the labels, as they came.

    Raises:
      UserError: if an image has no neighbour, n being odd.
    """
    if not (config.mixup or config.cutmix):
        return images, labels, labels
    if len(labels) % 2:
        raise UserError(
            f"config.augment.mixup and cutmix mix pairs, but each device has {len(labels)} images: "
            "take a config.batch_size of which every device's share is even"
        )
    height, width = images.shape[1:3]
    pair_keys = jax.vmap(key_for, (0, None))(keys[::2], "mix")
    kept = jnp.repeat(jax.vmap(lambda key: _kept(key, (height, width), config.mixup, config.cutmix))(pair_keys), 2, 0)
    share = kept.mean((1, 2))  # of a cutmix, what of the box lies within the image counts
    targets = jax.nn.one_hot(labels, num_classes)
    mixed = kept[..., None] * images + (1 - kept[..., None]) * _partners(images)
    mixed_targets = share[:, None] * targets + (1 - share[:, None]) * _partners(targets)
    return mixed, mixed_targets, jnp.where(share >= 0.5, labels, _partners(labels))


def _kept(key: jax.Array, shape: tuple[int, int], mixup: float, cutmix: float) -> jax.Array:
    """How much of each pixel an image keeps, 0 to 1; the rest comes from its neighbour.

    With both methods on, a fair coin decides which of them the pair gets; with one on, the pair gets that one. Mixup
    (arXiv 1710.09412) keeps the same share everywhere, drawn from Beta(mixup, mixup). Cutmix (arXiv 1905.04899) draws a
    share from Beta(cutmix, cutmix), and keeps nothing within a box of the rest of the area, all outside. The box has
    the image's shape and its middle anywhere in the image, so a part of it may lie outside.

    Args:
      key: random key, of a pair.
      shape: height and width, pixels.
      mixup: alpha of mixup; 0: off.
      cutmix: alpha of cutmix; 0: off. One of the two is on.

    Returns:
      (h, w) float array: of mixup the share everywhere, of cutmix 0 or 1.
    """
    choice_key, share_key, middle_key = jax.random.split(key, 3)
    chance_of_cutmix = (cutmix > 0) / ((mixup > 0) + (cutmix > 0))
    is_cutmix = jax.random.bernoulli(choice_key, chance_of_cutmix)
    drawn = jax.random.uniform(share_key)
    # Of a method that is off nothing is taken: the other's alpha stands in for its own.
    share = jnp.where(is_cutmix, _beta(drawn, cutmix or mixup), _beta(drawn, mixup or cutmix))
    sides = (jnp.array(shape) * jnp.sqrt(1 - share)).astype(jnp.int32)
    middle = jax.random.randint(middle_key, (2,), 0, jnp.array(shape))
    # Half of an odd side is rounded down on either side of the middle, as in the authors' code.
    box = inside((*shape, 3), middle - sides // 2, sides // 2 * 2)
    return jnp.where(is_cutmix, ~box, share)


def _beta(drawn: jax.Array, alpha: float) -> jax.Array:
    """A number of Beta(alpha, alpha) from a uniform one, 0 to 1, by the quantile function in a table.

    `jax.random.beta` rejects and draws again: a loop for which a GPU's host waits several times a step.
    """
    from scipy.special import betaincinv  # a quarter of a second, which trainings without mixing need not wait

    table = jnp.asarray(betaincinv(alpha, alpha, np.linspace(0, 1, _LEVELS)), jnp.float32)
    place = drawn * (_LEVELS - 1)
    below = jnp.minimum(place.astype(jnp.int32), _LEVELS - 2)
    return table[below] + (place - below) * (table[below + 1] - table[below])


def _partners(rows: jax.Array) -> jax.Array:
    """Each row's neighbour: rows 2 k and 2 k + 1 exchanged."""
    return rows.reshape(-1, 2, *rows.shape[1:])[:, ::-1].reshape(rows.shape)
