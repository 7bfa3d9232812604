"""What is measured of predictions."""

import numpy as np
import pytest
from sklearn.metrics import top_k_accuracy_score

from googlenet_jax.evaluate.metrics import measure


def test_top_1_and_top_5_are_scikit_learns():
    random = np.random.default_rng(0)
    logits, labels = random.standard_normal((200, 20)).astype(np.float32), random.integers(0, 20, 200)
    weights = (np.arange(200) < 150).astype(np.float32)
    found = measure(logits, labels.astype(np.int32), np.arange(200.0), weights).compute()
    for k in (1, 5):
        wanted = top_k_accuracy_score(labels[:150], logits[:150], k=k, labels=range(20))
        assert float(found[f"top{k}"]) == pytest.approx(wanted)
    assert float(found["loss"]) == pytest.approx(74.5)


def test_a_constant_or_broken_output_is_no_success():
    for value in (0.0, np.nan):
        logits, labels = np.full((4, 4), value, np.float32), np.zeros(4, np.int32)
        assert float(measure(logits, labels, np.zeros(4), np.ones(4)).compute()["top1"]) == 0
