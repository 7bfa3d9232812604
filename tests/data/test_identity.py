"""Whether images are the same, wherever they lie."""

import shutil

import pytest
from conftest import small_config

from googlenet_jax.data.identity import check_same, identity
from googlenet_jax.data.sources.opening import open_source
from googlenet_jax.errors import UserError
from googlenet_jax.prepare.folder import prepare_folder
from googlenet_jax.prepare.form import AS_THEY_ARE


def of(name):
    source = open_source(small_config(dataset__name=name))[0]
    return identity(source, source.labels)


def test_the_same_images_elsewhere_and_in_records(image_folder, tmp_path):
    here = of(f"folder:{image_folder}")
    shutil.copytree(image_folder, tmp_path / "moved")
    prepare_folder(str(image_folder), tmp_path / "records", AS_THEY_ARE, lambda *_: None)
    for other in (f"folder:{tmp_path / 'moved'}", f"records:{tmp_path / 'records'}"):
        check_same(here, of(other), moved=True, where="run")


def test_other_images_are_refused(image_folder, tmp_path, caplog):
    here = of(f"folder:{image_folder}")
    moved = tmp_path / "moved"
    shutil.copytree(image_folder, moved)
    a, b = moved / "train" / "cat" / "0.jpg", moved / "train" / "cat" / "2.jpg"
    first, second = a.read_bytes(), b.read_bytes()
    a.write_bytes(second)
    b.write_bytes(first)
    check_same(here, of(f"folder:{moved}"), moved=False, where="run")
    assert "some training images are not what they were" in caplog.text
    with pytest.raises(UserError, match="other images, or on the same in another order"):
        check_same(here, of(f"folder:{moved}"), moved=True, where="run")
    a.write_bytes(b"")  # what cannot be read is not compared
    b.write_bytes(b"")
    check_same(here, of(f"folder:{moved}"), moved=True, where="run")
    b.unlink()
    with pytest.raises(UserError, match="its training images were 12, now they are 11"):
        check_same(here, of(f"folder:{moved}"), moved=True, where="run")
    older = {"labels": here["labels"], "training images": 12}
    check_same(older, here, moved=True, where="run")
