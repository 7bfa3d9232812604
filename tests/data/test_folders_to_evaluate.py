"""Folders that a network is evaluated on, with nothing to train on."""

import pytest
from conftest import small_config
from data.test_folders import save

from googlenet_jax.data.sources.folders import open_folder_to_evaluate
from googlenet_jax.data.sources.opening import open_validation
from googlenet_jax.errors import UserError


def test_what_is_evaluated_needs_no_training_images(image_folder, tmp_path):
    def found(root):
        train, val = open_folder_to_evaluate(str(root))
        return None if train is None else len(train), len(val), val.labels

    assert found(image_folder) == (12, 6, ["cat", "dog"])
    own = small_config(dataset__name=f"folder:{image_folder / 'train'}", dataset__val_fraction=0.5)
    assert [len(split) for split in open_validation(own)] == [6, 6]  # what it was trained on is not evaluated
    (image_folder / "val").rename(tmp_path / "val")
    with pytest.raises(UserError, match=rf"no directory 'val', .* folder:{image_folder}/train to evaluate on all"):
        found(image_folder)
    (tmp_path / "val").rename(image_folder / "val")
    (image_folder / "train").rename(tmp_path / "away")
    assert found(image_folder) == found(image_folder / "val") == (None, 6, ["cat", "dog"])
    (image_folder / "val_list.txt").write_text("val/dog/0.jpg 1\nval/cat/0.jpg 0\n")
    assert found(image_folder) == (None, 2, ["0", "1"])
    (image_folder / "val_list.txt").unlink()
    for path in (image_folder / "val").rglob("*.*"):
        path.unlink()
    with pytest.raises(UserError, match="holds no images"):
        found(image_folder)
    with pytest.raises(UserError, match="no directory 'train'"):
        found(tmp_path / "away" / "cat")


def test_imagenets_validation_images_alone(tmp_path):
    for number in (1, 2):
        save(tmp_path / "val" / f"ILSVRC2012_val_0000000{number}.JPEG")
    lines = (f"ILSVRC2012_val_0000000{i},{wnid} 1 2 3 4\n" for i, wnid in enumerate(("n01443537", "n15075141"), 1))
    (tmp_path / "LOC_val_solution.csv").write_text("ImageId,PredictionString\n" + "".join(lines))
    train, val = open_folder_to_evaluate(str(tmp_path))
    assert (train, [val[i][1] for i in range(2)], len(val.labels)) == (None, [1, 999], 1000)
