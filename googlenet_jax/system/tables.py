"""Tables as CSV files, for spreadsheets and scripts."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from googlenet_jax.system.files import replace_file


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Writes a table, whole or not at all.

    Args:
      path: of the file.
      header: names of the columns.
      rows: their values. None is left empty, the parts of a tuple or list stand between commas, and an apostrophe goes
        before a text that a spreadsheet would take for a formula.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    replace_file(path, text.getvalue())


def _cell(value: Any) -> Any:
    if isinstance(value, tuple | list):
        value = ",".join(map(str, value))
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
