"""Explanations: by what the methods' definitions say of them, on networks whose reasons are known."""

import numpy as np
import pytest
from PIL import Image
from serving import LABELS, make_net

import googlenet_jax as gn
from googlenet_jax.classifier import Classifier
from googlenet_jax.errors import UserError
from googlenet_jax.explain.explanation import class_of, explain
from googlenet_jax.explain.overlay import overlay, sheet


class Corner(Classifier):
    """Says "cat" by how bright the upper right corner is; like an exported file it shows nothing else."""

    labels, preprocess = LABELS, make_net().preprocess

    def classify(self, crops):
        bright = crops[:, :8, -8:].mean((1, 2, 3)) / 255
        return np.stack([bright, 1 - bright, 0 * bright, 0 * bright], -1).astype(np.float32)


@pytest.fixture(scope="module")
def net():
    return make_net()


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)


def logits_of(net, images):
    return np.asarray(net.model.apply(net.variables, net.preprocess.normalize(images), train=False))


def test_an_index_is_no_name():
    assert class_of(["0", "1", "10", "11", "2"], 2) == 2
    assert class_of(["0", "1", "10", "11", "2"], "2") == 4
    with pytest.raises(UserError, match=r"class 5 is none of the network.s 5"):
        class_of(["0", "1", "10", "11", "2"], 5)


def test_class_activation_maps_sum_up_to_the_logit(net, images):
    found = net.explain(images, label="dog")
    bias = net.variables["params"]["classifier"]["bias"][1]
    logits = logits_of(net, images)
    for one, row in zip(found, logits, strict=True):
        assert one.label == "dog" and one.map.shape == (4, 4)
        np.testing.assert_allclose(one.map.mean() + bias, row[1], rtol=1e-4, atol=1e-4)
        assert one.probability == pytest.approx(np.exp(row)[1] / np.exp(row).sum(), abs=1e-5)


@pytest.mark.parametrize("family", ["paddleclas", "paper"])
def test_class_activation_maps_of_a_family_whose_dropout_scales(family, images):
    net = make_net(model__variant=family)
    (one, *_) = net.explain(images)
    index = LABELS.index(one.label)
    bias = net.variables["params"]["classifier"]["bias"][index]
    np.testing.assert_allclose(one.map.mean() + bias, logits_of(net, images)[0, index], rtol=1e-4, atol=1e-4)


def test_integrated_gradients_sum_up_to_what_the_image_changed(net):
    smooth = np.full((1, 32, 32, 3), 140, np.uint8)
    smooth[0, 8:20, 8:20] = (200, 90, 60)
    (one,) = net.explain(smooth, label="fish", method="integrated_gradients")
    zero = net.model.apply(net.variables, np.zeros((1, 32, 32, 3), np.float32), train=False)
    change = logits_of(net, smooth)[0, 3] - float(zero[0, 3])
    assert one.map.shape == (32, 32)
    assert one.map.sum() == pytest.approx(change, rel=0.05)  # the rest is the error of 32 midpoints


def test_occlusion_finds_the_only_place_that_counts():
    image = np.full((32, 32, 3), 30, np.uint8)
    image[:8, -8:] = 250
    (one,) = explain(Corner(), image, label="cat", method="occlusion")
    assert np.unravel_index(one.map.argmax(), one.map.shape) == (0, 14)
    assert np.abs(one.map[8:, :6]).max() < 1e-6
    (against,) = explain(Corner(), image, label="dog", method="occlusion")
    assert against.map.min() < -0.5


def test_an_exported_file_shows_its_outputs_alone(images):
    for method in ("cam", "integrated_gradients"):
        with pytest.raises(UserError, match="take occlusion"):
            explain(Corner(), images, method=method)


def test_without_a_method_it_is_one_that_tells(images, caplog):
    assert explain(Corner(), images[:1])[0].map.shape == (15, 15)
    small = make_net(size=8)
    with caplog.at_level("INFO", logger="googlenet_jax"):
        (found,) = small.explain(images[0])
    assert found.map.shape == (15, 15)
    assert "at 8 px the last block sees one place alone" in caplog.text
    assert small.explain(images[0], method="cam")[0].map.shape == (1, 1)


def test_features_of_a_layer(net, images):
    np.testing.assert_allclose(net.features(images, "classifier"), logits_of(net, images), rtol=1e-5, atol=1e-5)
    last = net.features(images, "inception_3a")
    assert last.shape == (3, 4, 4, 256)
    dense = net.variables["params"]["classifier"]
    np.testing.assert_allclose(
        last.mean((1, 2)) @ dense["kernel"] + dense["bias"], logits_of(net, images), rtol=1e-3, atol=1e-3
    )
    branch = net.features(images, "inception_3a/3x3")
    np.testing.assert_allclose(branch, last[..., 64:192], rtol=1e-5, atol=1e-5)
    with pytest.raises(UserError, match="layer 'inception_3x' is not known: did you mean 'inception_3a'"):
        net.features(images, "inception_3x")


def test_classes_by_name_synonym_and_number():
    labels = ["n01440764 tench, Tinca tinca", "n02123045 tabby, tabby cat", "n02012849 crane", "n03126707 crane", "dog"]
    assert class_of(labels, "tabby cat") == 1 and class_of(labels, "Tench") == 0
    assert class_of(labels, "n03126707 crane") == 3 and class_of(labels, "dog") == 4 and class_of(labels, "2") == 2
    with pytest.raises(UserError, match="is 2 classes: give the number of one, 2, 3"):
        class_of(labels, "crane")
    with pytest.raises(UserError, match="is 2 classes: give the number of one, 0, 2"):
        class_of(["crane", "dog", "crane"], "crane")  # as imported networks have them
    with pytest.raises(UserError, match="did you mean 'dog'"):
        class_of(labels, "dgo")
    with pytest.raises(UserError, match="none of the network's"):
        class_of(labels, "5")


def test_an_overlay_colours_what_counts_and_dims_what_was_not_seen():
    picture = np.full((40, 80, 3), 200, np.uint8)
    picture[:, 30:] = 200
    found = explain(Corner(), picture, label="cat", method="occlusion")[0]
    shaped = found._replace(map=np.array([[0.0, 1.0], [0.0, -1.0]], np.float32))
    pixels = np.asarray(overlay(shaped), int)
    left, top, right, bottom = (round(edge) for edge in shaped.box)
    assert pixels.shape == picture.shape
    assert np.ptp(pixels[top + 2, right - 3]) > 40  # coloured
    assert np.abs(pixels[bottom - 3, left + 2] - 200).max() < 12  # as it was
    assert np.abs(pixels[:, : left - 2] - (0.45 * 200 + 0.55 * 128)).max() <= 1
    assert sheet([shaped, shaped], [[("a\n", 0.5)], []]).height == 2 * (320 + 32)


def test_the_command(finished_run, run_command, tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    ask = ["-m", "googlenet_jax.cli", "explain", "--checkpoint", finished_run, tmp_path / "a.png"]
    result = run_command(*ask, "--output", tmp_path / "new" / "b.jpg", "--class", "class 2")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[0].endswith("%  class 2")
    assert Image.open(tmp_path / "new" / "b.jpg").size[1] == 352
    wrong = run_command(*ask, "--output", tmp_path / "b.gif")
    assert wrong.returncode == 2 and "a picture's name ends in .png" in wrong.stderr


def test_explain_is_part_of_what_load_returns(finished_run):
    net = gn.load(finished_run)
    found = net.explain(np.zeros((32, 32, 3), np.uint8), method="occlusion")
    assert len(found) == 1 and found[0].map.shape == (15, 15)
