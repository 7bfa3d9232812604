"""Corrections of p values."""

import numpy as np
import pytest

from googlenet_jax.evaluate.significance import holm


def test_holm_by_hand():
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.6, 0.7])).max() == 1
    assert len(holm([])) == 0
