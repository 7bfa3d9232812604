"""What is measured of predictions."""

import numpy as np

from googlenet_jax.evaluate.metrics import measure


def test_a_constant_or_broken_output_is_no_success():
    for value in (0.0, np.nan):
        logits, labels = np.full((4, 4), value, np.float32), np.zeros(4, np.int32)
        assert float(measure(logits, labels, np.zeros(4), np.ones(4)).compute()["top1"]) == 0
