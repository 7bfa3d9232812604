"""From text to checked fields: what launch.py, sweeps and tests do alike."""

import sys

import ml_collections
import pytest

from googlenet_jax.cli.launch import take_overrides
from googlenet_jax.config import FIELDS, default_config, from_json, override, validate
from googlenet_jax.config.checks import SYNONYMS, differences
from googlenet_jax.config.recipes import read_recipe, split_argument
from googlenet_jax.config.resume import refused
from googlenet_jax.errors import UserError


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("batch_size", "64", 64),
        ("batch_size", "1e3", 1000),
        ("optimizer.learning_rate", "1e-3", 1e-3),
        ("optimizer.learning_rate", "1", 1.0),
        ("num_devices", "none", None),
        ("num_devices", "None", None),
        ("num_devices", "8", 8),
        ("optimizer.ema_decay", "null", None),
        ("optimizer.ema_decay", "0.99", 0.99),
        ("init_from", "none", None),
        ("init_from", "runs/none", "runs/none"),
        ("augment.crop", "none", "none"),
        ("augment.flip", "true", True),
        ("augment.flip", "0", False),
        ("schedule.boundaries", "(30, 60.5)", (30.0, 60.5)),
        ("schedule.boundaries", "30,60", (30.0, 60.0)),
        ("schedule.boundaries", "[30]", (30.0,)),
        ("schedule.boundaries", "30", (30.0,)),
        ("schedule.boundaries", "()", ()),
        ("dataset.mean", "none", None),
        ("dataset.mean", "1,2,3", (1.0, 2.0, 3.0)),
        ("optimizer.freeze", "('conv*','inception_3*')", ("conv*", "inception_3*")),
        ("optimizer.freeze", "conv*", ("conv*",)),
        ("optimizer.lr_factors", "('classifier/*=10',)", ("classifier/*=10",)),
        ("model.blocks", "3a,4a", ("3a", "4a")),
        ("dataset.name", "folder:/data/x y", "folder:/data/x y"),
        ("seed", 3, 3),
        ("optimizer.learning_rate", 1, 1.0),
        ("schedule.boundaries", [1, 2], (1.0, 2.0)),
        ("num_devices", None, None),
    ],
)
def test_values(name, text, value):
    group, _, key = name.rpartition(".")
    config = override(default_config(), {name: text})
    got = (config[group] if group else config)[key]
    assert got == value
    assert type(got) is type(value)
    assert config.is_locked


def test_the_users_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/anna")
    config = override(default_config(), {"dataset.name": "folder:~/images", "init_from": "~/runs/x"})
    assert (config.dataset.name, config.init_from) == ("folder:/home/anna/images", "/home/anna/runs/x")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("batch_size", "many", "config.batch_size='many' is not a whole number: it takes 1 or more"),
        ("batch_size", "1.5", "is not a whole number"),
        ("seed", "inf", "is not a whole number"),
        ("batch_size", "1" + "0" * 400, "is not allowed"),
        ("model.blocks", "{[]}", "is not allowed"),
        ("batch_size", "none", "is not a whole number"),
        ("batch_size", "0", "config.batch_size=0 is not allowed: it takes 1 or more"),
        ("batch_size", 1.5, "is not a whole number"),
        ("augment.flip", "maybe", "is not true or false"),
        ("schedule.name", "cosin", "config.schedule.name='cosin' is not allowed: it takes one of constant, "),
        ("dataset.name", "flder:/x", "it takes digits, synthetic, folder:PATH"),
        ("dataset.name", "folder:", "is not allowed"),
        ("model.blocks", "4a,3a", "in this order"),
        ("optimizer.lr", "1", "did you mean 'optimizer.learning_rate'"),
        ("optimiser.momentum", "1", "did you mean 'optimizer.momentum'"),
        ("epochs", "1", "did you mean 'num_epochs'"),
        ("momentun", "1", "did you mean 'optimizer.momentum'"),
    ],
)
def test_mistakes(name, text, words):
    with pytest.raises(UserError) as error:
        override(default_config(), {name: text})
    assert words in str(error.value)


def test_synonyms_lead_to_fields():
    assert set(SYNONYMS.values()) <= FIELDS.keys()


def test_overrides_of_a_command_line():
    argv = ["--config", "x.py", "--config.seed=1", "--config.batch_size", "-8", "--workdir", "evaluate"]
    argv += ["--config.augment.flip", "--noconfig.model.aux_heads", "--config.seed=2", "-config.init_from=a=b"]
    changes, rest = take_overrides(argv)
    assert rest == ["--config", "x.py", "--workdir", "evaluate"]
    assert changes == {
        "seed": "2",
        "batch_size": "-8",
        "augment.flip": "True",
        "model.aux_heads": "False",
        "init_from": "a=b",
    }
    for wrong in (["--config.seed"], ["--noconfig.seed"], ["--noconfig.augment.flip=1"], ["--config.sed=1"]):
        with pytest.raises(UserError):
            take_overrides(wrong)


def test_recipes_and_their_arguments(tmp_path, monkeypatch):
    recipe = tmp_path / "a:b.py"
    recipe.write_text(
        "from googlenet_jax.config import default_config\n"
        "def get_config(arg=''):\n"
        "    config = default_config()\n"
        "    config.dataset.name = f'folder:{arg}'\n"
        "    return config\n"
    )
    assert split_argument(str(recipe)) == (recipe, "")
    assert split_argument(f"{recipe}:s3://x/y") == (recipe, "s3://x/y")
    assert read_recipe(recipe, "p:q").dataset.name == "folder:p:q"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=rf"no.py \(in {tmp_path}\): there is no such file"):
        split_argument("no.py:x")


def test_recipes_share_what_lies_beside_them(tmp_path, monkeypatch):
    (tmp_path / "of_this_lab.py").write_text("from googlenet_jax.config import default_config as base\n")
    (tmp_path / "json.py").write_text("raise SystemExit('hides a package')\n")
    (tmp_path / "r.py").write_text("import json\ndef get_config(arg):\n from of_this_lab import base\n return base()\n")
    before = list(sys.path)
    assert read_recipe(tmp_path / "r.py").to_dict() == default_config().to_dict()
    assert sys.path == before
    monkeypatch.setattr(sys, "path", [str(tmp_path), *before])
    (tmp_path / "json.py").unlink()
    read_recipe(tmp_path / "r.py")
    assert sys.path == [str(tmp_path), *before]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1\nget_config = lambda arg: y\n", r"NameError: name 'y' is not defined \(line 2\)"),
        ("def get_config(:\n", r"SyntaxError: .*line 1"),
        ("x = 1\n", "no function get_config"),
        ("get_config = lambda arg: {}['x']\n", r"KeyError: 'x' \(line 1\)"),
        ("def get_config(arg):\n    raise SystemExit('no')\n", "SystemExit: no"),
        (
            "from googlenet_jax.config import default_config\n"
            "def get_config(arg):\n    c = default_config()\n    c.num_epoch = 3\n    return c\n",
            r"no field 'num_epoch': did you mean 'num_epochs'.*line 4",
        ),
        ("get_config = lambda arg: 3\n", "returns a int"),
    ],
)
def test_recipes_that_fail_are_one_line(tmp_path, text, words):
    (tmp_path / "r.py").write_text(text)
    with pytest.raises(UserError, match=words):
        read_recipe(tmp_path / "r.py")


def test_values_of_another_type_are_refused():
    loose = ml_collections.ConfigDict(default_config().to_dict())
    with loose.ignore_type():
        loose.augment.flip = "no"
    with pytest.raises(UserError, match=r"augment.flip='no' is not allowed"):
        validate(loose)
    loose = ml_collections.ConfigDict(default_config().to_dict())
    with loose.ignore_type():
        loose.batch_size = 32.0
    with pytest.raises(UserError, match=r"batch_size=32\.0 is not allowed"):
        validate(loose)
    with pytest.raises(UserError, match="num_epochs is null"):
        from_json('{"num_epochs": null}')


def test_what_a_run_may_go_on_with():
    old = override(default_config(), {"num_epochs": 5, "schedule.name": "cosine"})
    grown = {"num_epochs": 8, "dataset.num_threads": 3, "num_devices": 1, "log_every_epochs": 1, "eval.every_epochs": 2}
    new = override(old, grown | {"dataset.name": "folder:/x", "checkpoint.keep": 3, "dataset.num_workers": 1})
    changes = differences(old, new)
    assert changes["num_epochs"] == (5.0, 8.0)
    assert refused(changes, new) == []
    new = override(old, {"num_epochs": 4, "seed": 1, "model.sync_batch_norm": "false", "num_devices": 1})
    wrong = refused(differences(old, new), new)
    assert [line.partition(":")[0] for line in wrong] == ["seed", "num_devices", "num_epochs", "model.sync_batch_norm"]
    assert "may only grow" in wrong[2]
    old = override(old, {"optimizer.accumulate_steps": 2})
    new = override(old, {"num_devices": 1})
    assert "by which optimizer.accumulate_steps=2 trains otherwise" in refused(differences(old, new), new)[0]
