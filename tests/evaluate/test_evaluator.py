"""What an evaluation tells of each batch."""

import jax
import numpy as np

from googlenet_jax.data.loader import Batch
from googlenet_jax.evaluate.evaluator import Evaluator, Member

ROWS = np.random.default_rng(0).dirichlet(np.ones(4), 12).astype(np.float32)


def test_classes_and_probabilities_come_in_the_batchs_order():
    """Of two members on two devices: of their mean."""
    others = ROWS[::-1]

    def member(rows):
        return Member(None, None, 4, classify=lambda crops: rows[crops[:, 0, 0, 0]])

    numbers = np.arange(12, dtype=np.uint8).reshape(12, 1, 1, 1, 1) * np.ones((1, 1, 2, 2, 3), np.uint8)
    labels, weights = np.zeros(6, np.int32), np.ones(6, np.float32)
    batches = [Batch((numbers[i : i + 6],) * 2, labels, weights) for i in (0, 6)]
    told = []
    evaluator = Evaluator([member(ROWS), member(others)], jax.devices()[:2])
    evaluator.run([None, None], batches, told=lambda *each: told.append(each))
    assert all(each[0] is batch for each, batch in zip(told, batches, strict=True))
    classes, probabilities = (np.concatenate([np.asarray(each[i]).reshape(-1) for each in told]) for i in (1, 2))
    mean = (ROWS + others) / 2
    assert (classes == mean.argmax(-1)).all()
    np.testing.assert_allclose(probabilities, mean.max(-1), rtol=1e-5)
