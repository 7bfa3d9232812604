"""Noise, keys, and whether two sets of draws may be of one distribution."""

import jax
import numpy as np


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def keys_of(n, seed=0):
    return jax.random.split(jax.random.key(seed), n)


def assert_alike(got, expected):
    """Two samples of windows: means and spreads of their numbers agree within their errors."""
    got, expected = np.asarray(got, float), np.asarray(expected, float)
    for a, b in ((got, expected), ((got - got.mean(0)) ** 2, (expected - expected.mean(0)) ** 2)):
        error = np.sqrt(a.var(0) / len(a) + b.var(0) / len(b))
        assert (np.abs(a.mean(0) - b.mean(0)) < 4 * error + 1e-9).all()
