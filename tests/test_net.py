"""What gn.load returns."""

import dataclasses
import io
import json
import shutil

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from serving import make_net

import googlenet_jax as gn
from googlenet_jax.errors import UserError


@pytest.fixture
def run(finished_run):
    return finished_run


def test_loaded_network_predicts_as_flax_does(run):
    net = gn.load(run)
    images = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    logits = np.asarray(net.model.apply(net.variables, net.preprocess(images), train=False), np.float64)
    expected = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(net.probabilities(images), expected, atol=1e-5)
    for row, prediction in zip(expected, net.predict(images, top=3), strict=True):
        assert prediction.classes == list(np.argsort(-row)[:3])
        assert prediction.labels == [f"class {i}" for i in prediction.classes]
        assert sum(prediction.probabilities) <= 1 + 1e-6
    assert net.config.dataset.name == "synthetic"


def test_one_image_many_images_paths_and_none(run, tmp_path):
    net = gn.load(run / "checkpoints" / "9")
    image = np.random.default_rng(0).integers(0, 256, (50, 40, 3), dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / "a.png")
    (alone,) = net.predict(image)
    (path,) = net.predict(str(tmp_path / "a.png"))
    assert alone == path
    among_two = net.predict([tmp_path / "a.png", image])[1]
    assert among_two.labels == alone.labels
    assert among_two.probabilities == pytest.approx(alone.probabilities, abs=1e-6)
    assert net.predict([]) == []
    assert len(net.predict([image] * 70)) == 70
    for top in (0, -1):
        with pytest.raises(UserError, match=f"top={top}: at least 1"):
            net.predict(image, top=top)


def test_images_of_every_kind_may_stand_in_one_list(run, tmp_path):
    net = gn.load(run)
    grey = np.random.default_rng(0).integers(0, 256, (40, 50), dtype=np.uint8)
    rgb = np.stack([grey] * 3, -1)
    opaque = np.dstack([rgb, np.full_like(grey, 255)])
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "PNG")
    (tmp_path / "grey.png").write_bytes(file.getvalue())
    kinds = [
        rgb,
        grey,
        grey[..., None],
        opaque,
        grey.astype(np.uint16) << 8 | 77,
        jnp.asarray(rgb),
        Image.fromarray(grey),
        Image.fromarray(opaque),
        tmp_path / "grey.png",
        str(tmp_path / "grey.png"),
        file.getvalue(),
        io.BytesIO(file.getvalue()),
    ]
    alike = net.probabilities(kinds)
    np.testing.assert_allclose(alike, np.repeat(alike[:1], len(kinds), 0), atol=1e-6)
    for kind in kinds:
        if hasattr(kind, "read"):
            kind.seek(0)
        assert net.probabilities(kind).shape == (1, 4)
    np.testing.assert_array_equal(net.preprocess(Image.fromarray(grey)), net.preprocess([rgb]))
    assert net.probabilities(np.stack([grey] * 2)[..., None]).shape == (2, 4)


def test_a_network_is_saved_with_what_was_changed(run, tmp_path):
    net = dataclasses.replace(gn.load(run), labels=["w", "x", "y", "z"], temperature=2.0)
    net.save(tmp_path / "pets")
    again, image = gn.load(tmp_path / "pets"), np.zeros((40, 40, 3), np.uint8)
    assert again.predict(image) == net.predict(image)
    assert (again.labels, again.step, again.temperature) == (net.labels, net.step, 2.0)
    with pytest.raises(UserError, match="pets is not empty"):
        net.save(tmp_path / "pets")
    with pytest.raises(UserError, match="1 class names for 4 outputs"):
        dataclasses.replace(net, labels=["w"]).save(tmp_path / "one")


def test_damaged_checkpoint_says_so(run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    for data in copy.rglob("d/*"):
        data.write_bytes(b"")
    with pytest.raises(UserError, match="damaged"):
        gn.load(copy)


def test_a_description_that_does_not_fit_is_one_line(tmp_path):
    net, path = make_net(), tmp_path / "net"
    net.save(path)
    stored = path / "meta" / "metadata"
    meta = json.loads(stored.read_text())

    def message(changed):
        stored.write_text(json.dumps(changed))
        with pytest.raises(UserError) as error:
            gn.load(path).predict(np.zeros((32, 32, 3), np.uint8))
        return str(error.value)

    for damaged in (
        [1],
        {name: value for name, value in meta.items() if name != "labels"},
        meta | {"labels": None},
        meta | {"labels": []},
        meta | {"step": "x"},
        meta | {"step": float("inf")},
        meta | {"temperature": -1.0},
        *(meta | {"preprocess": meta["preprocess"] | {"image_size": size}} for size in (None, 0, "32", 10**9)),
        meta | {"preprocess": meta["preprocess"] | {"channel_order": "xyz"}},
        meta | {"preprocess": meta["preprocess"] | {"of another version": 1}},
    ):
        assert f"{path}: what it says of its network" in message(damaged)
    assert "its variables are not those" in message(meta | {"labels": meta["labels"][1:]})
    config = json.loads(meta["config"])
    config["model"]["blocks"] = ["3a", "3b"]
    assert "its variables are not those" in message(meta | {"config": json.dumps(config)})
    assert f"{path}: " in message(meta | {"config": "{"})


def test_a_sweep_is_no_run(tmp_path):
    (tmp_path / "sweep.json").write_text("{}")
    with pytest.raises(UserError, match=r"it is a sweep: googlenet sweep .* lists its trials"):
        gn.load(tmp_path)


def test_the_package_imports_without_jax(run_command):
    code = "import sys, googlenet_jax as gn; sys.exit('jax' in sys.modules or 'load' not in dir(gn))"
    assert run_command("-c", code).returncode == 0
