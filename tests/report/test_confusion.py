"""Confusions, the order of the classes and suspected labels, against scikit-learn and against what was planted."""

import itertools

import numpy as np
import pytest
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform
from sklearn.metrics import confusion_matrix

from googlenet_jax.report.confusion import Cell, class_order, confused_pairs, confusion, suspects


def test_the_cells_are_scikit_learns():
    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(0, 12, 200), rng.integers(0, 12, 200)
    matrix = np.zeros((12, 12), int)
    for cell in confusion(labels, predicted):
        assert cell.n > 0
        matrix[cell.true, cell.predicted] = cell.n
    assert np.array_equal(matrix, confusion_matrix(labels, predicted, labels=np.arange(12)))
    assert confusion(labels[:0], labels[:0]) == []


def test_the_most_confused_pairs_come_first():
    cells = [
        Cell(0, 0, 90),
        Cell(0, 1, 10),
        Cell(1, 0, 10),
        Cell(1, 1, 10),
        Cell(2, 0, 17),
        Cell(2, 2, 17),
        Cell(3, 0, 1),
    ]
    assert confused_pairs(cells) == [(2, 0, 17, 0.5), (1, 0, 10, 0.5), (0, 1, 10, 0.1), (3, 0, 1, 1)]
    assert confused_pairs(cells, 1) == [(2, 0, 17, 0.5)]


def blocks(classes, size, seed=0):
    """Classes in blocks, scattered, within which a third of the images are confused, and anywhere a tenth."""
    rng = np.random.default_rng(seed)
    block = rng.permutation(np.arange(classes) // size)
    members = np.argsort(block, kind="stable").reshape(-1, size)
    labels = np.repeat(np.arange(classes), 50)
    within = members[block[labels], rng.integers(0, size, len(labels))]
    chance = rng.random(len(labels))
    predicted = np.select([chance < 0.1, chance < 0.5], [rng.integers(0, classes, len(labels)), within], labels)
    return block, confusion(labels, predicted)


@pytest.mark.parametrize(("classes", "size"), [(12, 3), (60, 5), (1000, 10)])
def test_blocks_of_confused_classes_lie_together(classes, size):
    block, cells = blocks(classes, size)
    order = class_order(cells, classes)
    assert sorted(order) == list(range(classes))
    runs = [name for name, _ in itertools.groupby(block[order])]
    assert len(runs) == classes // size


def test_neighbours_are_about_as_close_as_can_be():
    plain = optimal = ours = 0.0
    for seed in range(5):
        _, cells = blocks(100, 5, seed)
        shares = np.zeros((100, 100))
        for cell in cells:
            shares[cell.true, cell.predicted] = cell.n / 50
        distances = 1 - (shares + shares.T) / 2
        np.fill_diagonal(distances, 0)
        condensed = squareform(distances)
        tree = hierarchy.linkage(condensed, "average")

        def length(order, distances=distances):
            return distances[order[:-1], order[1:]].sum()

        plain += length(hierarchy.leaves_list(tree))
        optimal += length(hierarchy.leaves_list(hierarchy.optimal_leaf_ordering(tree, condensed)))
        ours += length(class_order(cells, 100))
    assert ours < min(plain, 1.01 * optimal)


def test_classes_that_nothing_is_confused_with_have_an_order_too():
    assert class_order([], 2) == [0, 1]
    assert sorted(class_order([], 9)) == list(range(9))
    order = class_order([Cell(0, 4, 9), Cell(4, 4, 9), Cell(2, 2, 5)], 6)
    assert abs(order.index(0) - order.index(4)) == 1


def test_planted_label_errors_are_found():
    """300 of 6000 labels are wrong; the network classifies 97 % rightly.

    It misses those of which it is less sure than of a class's images on average, which are about a quarter.
    """
    rng = np.random.default_rng(0)
    true = rng.integers(0, 10, 6000)
    logits = 1.3 * rng.normal(size=(6000, 10)) + 5 * np.eye(10)[true]
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    wrong = rng.choice(6000, 300, replace=False)
    labels = true.copy()
    labels[wrong] = (true[wrong] + rng.integers(1, 10, 300)) % 10
    found = suspects(probabilities.astype(np.float16), labels)

    hits = np.isin(found.images, wrong)
    assert np.mean(probabilities.argmax(1) == true) == pytest.approx(0.974, abs=0.005)
    assert hits.sum() / 300 > 0.7  # recall
    assert hits.mean() > 0.99  # precision
    assert np.mean(found.suggested[hits] == true[found.images[hits]]) > 0.98
    assert np.all(np.diff(found.score) <= 0)
    assert 0 < found.score.min() <= found.score.max() <= 1


def reference_suspects(p, labels):
    """Confident learning as the paper writes it, image by image."""
    thresholds = {j: p[labels == j, j].mean() for j in set(labels.tolist())}
    found = {}
    for k, i in enumerate(labels):
        reached = [j for j, threshold in thresholds.items() if p[k, j] >= threshold]
        j = max(reached, key=lambda j: p[k, j], default=i)
        if j != i and p[k, j] > p[k, i]:
            found[k] = (j, p[k, j] - p[k, i])
    return found


def test_suspects_are_the_papers():
    rng = np.random.default_rng(3)
    labels = rng.choice([0, 1, 2, 4], 5000)  # no image is labelled 3: it has no threshold and is never suggested
    p = rng.dirichlet(np.ones(5), 5000)
    found = suspects(p, labels)
    expected = reference_suspects(p, labels)
    assert set(found.images.tolist()) == set(expected)
    assert [*zip(found.suggested, found.score, strict=True)] == [
        (expected[k][0], pytest.approx(expected[k][1], abs=1e-6)) for k in found.images.tolist()
    ]
    assert 3 not in found.suggested
    assert len(found.images) > 500


def test_nothing_is_suspected_of_certain_images():
    assert len(suspects(np.eye(4)[[0, 1, 2]], np.array([0, 1, 2])).images) == 0
    assert len(suspects(np.zeros((0, 4)), np.zeros(0, int)).images) == 0
