"""What the documentation tells people to type exists: commands, their options, fields and their values."""

import contextlib
import io
import re
import shlex

import pytest
from conftest import ROOT

from docs import told
from googlenet_jax.cli import launch, main
from googlenet_jax.config import default_config, override
from googlenet_jax.config.fields import FIELDS
from googlenet_jax.config.recipes import read_recipe, split_argument
from googlenet_jax.errors import UserError

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "experiments").rglob("*.md")])
_FENCE = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`]+)`")
_COMMAND = re.compile(r"(?:.*[|;&] *)?(?:(googlenet)|python3? (?:-m googlenet_jax\.cli|(launch\.py)))(?: (.*))?")


def commands(text):
    """(whole line, whether it is launch.py's, its arguments) of each command in a page's fences and spans of code."""
    fences = [line for body in _FENCE.findall(text) for line in body.replace("\\\n", " ").splitlines()]
    for line in [*fences, *_SPAN.findall(_FENCE.sub("", text).replace("\n", " "))]:
        match = _COMMAND.fullmatch(line)
        if match and (match[3] or match[2]):
            yield line, bool(match[2]), shlex.split(match[3] or "", comments=True)


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch):
    monkeypatch.chdir(ROOT)


def check(is_launch, arguments):
    """Parses a command as the program does; a mistake raises `SystemExit` or `UserError`."""
    if not is_launch:
        if len(arguments) == 1:  # in the middle of a sentence
            arguments = [*arguments, "--help"]
        with contextlib.redirect_stdout(io.StringIO()):
            main.make_parser().parse_args(arguments)
        return
    changes, rest = launch.take_overrides(arguments)
    flags = launch.make_parser().parse_args(rest)
    named = flags.config or "configs/digits.py"
    mine = not named.startswith("configs/")  # a reader's own recipe, or a run's
    override(default_config() if mine else read_recipe(*split_argument(named)), changes)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_one_types_exists(page):
    for line, is_launch, arguments in commands(page.read_text()):
        try:
            check(is_launch, arguments)
        except SystemExit as end:
            assert not end.code, line
        except UserError as error:
            pytest.fail(f"{line}: {error}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_fields_that_are_named_exist(page):
    groups = "|".join({name.partition(".")[0] for name in FIELDS if "." in name})
    for name, value in re.findall(rf"`((?:{groups})\.\w+)(?:=([^`]*))?`", page.read_text()):
        assert name in FIELDS
        if value:
            override(default_config(), {name: "".join(shlex.split(value))})


def test_a_wrong_command_would_be_seen():
    page = "`googlenet predict --chekpoint A b.jpg` and\n```\npython launch.py --config.num_epoch=3\n```\n"
    found = list(commands(page))
    assert [is_launch for _, is_launch, _ in found] == [True, False]
    with pytest.raises(UserError, match="num_epochs"):
        check(*found[0][1:])
    with pytest.raises(SystemExit), contextlib.redirect_stderr(io.StringIO()):
        check(*found[1][1:])


def test_the_reference_tells_of_every_field_and_command():
    table = told.fields()
    assert not [name for name in FIELDS if f"| `{name}` |" not in table]
    assert "--config FILE[:ARG]" in told.usage("launch")
    listed = set(re.findall(r"^    (\w+)(?:  |$)", told.usage(""), re.MULTILINE))
    page = (ROOT / "docs/reference/commands.md").read_text()
    assert {"import", "predict"} < listed
    assert not [name for name in listed if f"{{{{ help {name} }}}}" not in page]
