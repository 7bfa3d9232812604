"""What pages tell of the code itself: `{{ fields }}` is a configuration's, `{{ help COMMAND }}` its --help."""

import contextlib
import io
import os
import re
from unittest import mock

from markdown import Extension, Markdown
from markdown.preprocessors import Preprocessor

from googlenet_jax.cli import launch, main
from googlenet_jax.config.fields import FIELDS

_MARK = re.compile(r"^\{\{ (fields|help) ?(\w*) \}\}$", re.MULTILINE)


class Told(Extension):
    """The extension of Markdown that puts what is asked for in place of the marks on a page."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802
        """Has it done before fences are looked for, at 25."""
        md.preprocessors.register(_Marks(md), "told", 40)


class _Marks(Preprocessor):
    def run(self, lines: list[str]) -> list[str]:
        return _MARK.sub(_told, "\n".join(lines)).split("\n")


def _told(mark: re.Match[str]) -> str:
    return fields() if mark[1] == "fields" else f"```text\n{usage(mark[2])}```"


def fields() -> str:
    """A table a group of `FIELDS`."""
    text, last = [], None
    for name, field in FIELDS.items():
        group = name.rpartition(".")[0] or "At the top"
        if group != last:
            text.append(f"\n## {group}\n\n| field | default | allowed | |\n| --- | --- | --- | --- |")
        last = group
        default = "none" if field.default is None else field.default
        text.append(f"| `{name}` | `{default}` | {field.allowed} | {field.help} |")
    return "\n".join(text)


def usage(command: str) -> str:
    """The --help of a command of `googlenet`, its own for "", and that of launch.py for "launch"."""
    parser = launch.make_parser() if command == "launch" else main.make_parser()
    arguments = [command] if command not in ("launch", "") else []
    printed = io.StringIO()
    narrow = mock.patch.dict(os.environ, COLUMNS="88", NO_COLOR="1")  # argparse writes for a terminal
    with narrow, contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        parser.parse_args([*arguments, "--help"])
    return printed.getvalue()
