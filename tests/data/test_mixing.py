"""Mixup and cutmix: what a mixed image and its target are made of."""

import math

import jax
import numpy as np
import pytest
from conftest import small_config
from draws import assert_alike, keys_of, noise

from googlenet_jax.data.augment.mixing import mix
from googlenet_jax.errors import UserError


def mixed(n, **changes):
    """Of mixed images, what of each pixel and of the target is their own: the pixels are the images' numbers."""
    images = np.broadcast_to(np.arange(n, dtype=np.float32)[:, None, None, None], (n, 12, 10, 3))
    labels = np.arange(n, dtype=np.int32) % 4
    config = small_config(**{f"augment__{name}": value for name, value in changes.items()}).augment
    images, targets, labels_after = map(np.asarray, jax.jit(lambda: mix(images, labels, keys_of(n), config, 4))())
    rows, partner = np.arange(n), np.arange(n) ^ 1
    own = (images - partner[:, None, None, None]) / (rows - partner)[:, None, None, None]
    share = targets[rows, labels]
    np.testing.assert_allclose(targets[rows, labels[partner]], 1 - share, atol=1e-6)
    np.testing.assert_allclose(targets.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(own.mean((1, 2, 3)), share, atol=2e-4)
    assert ((labels_after == labels) == (share >= 0.5)).all()
    np.testing.assert_array_equal(own[::2] == 1, own[1::2] == 1)
    assert (own[..., 0] == own[..., 2]).all()
    return own[..., 0], share


def test_mixup_has_one_share_a_pair_from_the_beta_distribution():
    own, share = mixed(2000, mixup=0.3)
    assert own.std((1, 2)).max() < 1e-3
    np.testing.assert_array_equal(share[::2], share[1::2])
    assert_alike(share[::2, None], np.random.default_rng(0).beta(0.3, 0.3, (4000, 1)))


def test_mixing_has_no_loop_that_a_gpus_host_would_wait_for():
    config = small_config(augment__mixup=0.2, augment__cutmix=1.0).augment
    images, labels, keys = noise(8, 4, 4, 3).astype(np.float32), np.arange(8) % 4, keys_of(8)

    def for_a_gpu(function, *args):
        return jax.jit(function).trace(*args).lower(lowering_platforms=("cuda",)).as_text()

    assert "while" not in for_a_gpu(lambda *batch: mix(*batch, config, 4), images, labels, keys)
    assert "while" in for_a_gpu(lambda key: jax.random.beta(key, 0.2, 0.2), keys[0])


def test_cutmix_pastes_a_box_and_counts_its_pixels():
    own, share = mixed(2000, cutmix=1.0)
    holes = own == 0
    assert (holes | (own == 1)).all()
    assert (holes == holes.any(2)[:, :, None] & holes.any(1)[:, None]).all()
    rng, shares = np.random.default_rng(0), []
    for _ in range(4000):
        side = math.sqrt(1 - rng.beta(1.0, 1.0))
        (top, bottom), (left, right) = (
            np.clip([middle - int(size * side) // 2, middle + int(size * side) // 2], 0, size)
            for size, middle in ((12, rng.integers(12)), (10, rng.integers(10)))
        )
        shares.append([1 - (bottom - top) * (right - left) / 120])
    assert_alike(share[::2, None], shares)


def test_both_mixings_take_turns_whatever_the_number_of_devices():
    own, share = mixed(2000, mixup=1.0, cutmix=1.0)
    assert ((own[::2] % 1 > 1e-3) & (own[::2] % 1 < 0.999)).any((1, 2)).mean() == pytest.approx(0.5, abs=0.06)
    assert share[::2].std() > 0.1
    images, labels, keys = noise(8, 4, 4, 3).astype(np.float32), np.arange(8) % 4, keys_of(8)
    config = small_config(augment__mixup=1.0, augment__cutmix=1.0).augment
    mixing = jax.jit(lambda *batch: mix(*batch, config, 4))
    whole = mixing(images, labels, keys)
    halves = [mixing(images[part], labels[part], keys[part]) for part in (slice(4), slice(4, 8))]
    jax.tree.map(lambda a, b, c: np.testing.assert_allclose(a, np.concatenate([b, c]), rtol=1e-6), whole, *halves)
    with pytest.raises(UserError, match="each device has 7 images"):
        mix(images[:7], labels[:7], keys[:7], config, 4)
