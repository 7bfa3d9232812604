"""`index.html` of a report: one file that holds its data, its pictures, its drawing and nothing from anywhere else."""

from pathlib import Path
from typing import Any

from googlenet_jax.system.files import replace_file
from googlenet_jax.system.pages import build_page

_SCRIPTS = (
    "report.js",
    "report_charts.js",
    "report_cards.js",
    "report_matrix.js",
    "report_classes.js",
    "report_calibration.js",
    "report_inside.js",
    "report_headline.js",
    "report_start.js",
)


def write_page(path: Path, data: dict[str, Any]) -> None:
    """Writes a report that a browser opens without a network.

    Args:
      path: of the page; its directory is made if need be.
      data: the report, as JSON has it: classes are indices into "labels", pictures into "thumbnails", and what is
        null or empty is left out of the page.

    Raises:
      ValueError: a number is infinite or NaN, which JSON does not know.
    """
    replace_file(path, build_page(__package__, "report", _SCRIPTS, ["img-src data:"], data).html)
