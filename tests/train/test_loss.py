"""The loss against plain arithmetic."""

import jax.numpy as jnp
import numpy as np
import pytest

from googlenet_jax.evaluate.metrics import cross_entropy
from googlenet_jax.train.loss import total_loss


def test_loss_is_smoothed_cross_entropy_plus_weighted_auxiliary_heads():
    rng = np.random.default_rng(0)
    heads = rng.standard_normal((3, 5, 4)).astype(np.float32)
    labels = np.array([0, 1, 2, 3, 1])
    targets = np.eye(4)[labels] * 0.9 + 0.1 / 4
    expected = [-(targets * (h - np.log(np.exp(h).sum(-1, keepdims=True)))).sum(-1) for h in heads]
    np.testing.assert_allclose(cross_entropy(heads[0], labels, 0.1), expected[0], rtol=1e-5)
    means = [e.mean() for e in expected]
    total = total_loss(tuple(map(jnp.asarray, heads)), labels, 0.1, 0.3)
    assert float(total) == pytest.approx(means[0] + 0.3 * (means[1] + means[2]), rel=1e-5)
    assert float(total_loss(jnp.asarray(heads[0]), labels, 0.1, 0.3)) == pytest.approx(means[0], rel=1e-5)
