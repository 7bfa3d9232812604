"""The `googlenet summary` command."""

import argparse
import json
from typing import Any

from googlenet_jax.cli import arguments
from googlenet_jax.config.choices import FAMILIES, STEMS
from googlenet_jax.errors import UserError
from googlenet_jax.system import runtime


def add_command(commands: Any) -> None:
    """Adds it to the subparsers of the `googlenet` command."""
    parser = commands.add_parser(
        "summary",
        parents=[arguments.debug(), arguments.as_json()],
        help="the network as a table like the paper's Table 1",
    )
    parser.add_argument("--variant", default="paper", help=f"{arguments.rows(FAMILIES)} (default %(default)s)")
    parser.add_argument("--stem", default="paper", help=f"{arguments.rows(STEMS)} (default %(default)s)")
    parser.add_argument("--num_classes", type=int, default=1000, metavar="N", help="default %(default)s")
    parser.add_argument("--image_size", type=int, default=224, metavar="PX", help="default %(default)s")
    parser.set_defaults(run=_summary)


def _summary(flags: argparse.Namespace) -> None:
    if flags.num_classes < 1 or flags.image_size < 8:
        raise UserError("--num_classes takes 1 or more, --image_size 8 or more")
    runtime.configure_jax()
    from rich.table import Table

    from googlenet_jax.models.googlenet import GoogLeNet
    from googlenet_jax.models.summary import PAPER_TABLE_1, summarize
    from googlenet_jax.models.variants import get_variant
    from googlenet_jax.system.console import console

    variant = get_variant(flags.variant, flags.stem)
    rows = summarize(GoogLeNet(flags.num_classes, variant), flags.image_size)
    main = [row for row in rows if not row.name.startswith("aux")]
    totals = {
        "total": [sum(r.parameters for r in main), sum(r.multiply_adds for r in main)],
        "total with aux": [sum(r.parameters for r in rows), sum(r.multiply_adds for r in rows)],
    }
    if flags.json:
        print(json.dumps({"layers": [row._asdict() for row in rows], "totals": totals}, indent=2))
        return
    columns = ("layer", "output", "parameters", "mult-adds", "paper: par.", "mult-adds")
    table = Table(*columns, title=f"GoogLeNet, {flags.variant}, {flags.image_size} px, {flags.num_classes} classes")
    for column in table.columns[2:]:
        column.justify = "right"
    for row in rows:
        paper = PAPER_TABLE_1.get(row.name)
        cells = (f"{paper[0]:g}K", f"{paper[1]}M") if paper else ("", "")
        table.add_row(
            row.name, "x".join(map(str, row.shape)), f"{row.parameters:,}", _millions(row.multiply_adds), *cells
        )
    table.add_section()
    for name, (parameters, multiply_adds) in totals.items():
        table.add_row(name, "", f"{parameters:,}", _millions(multiply_adds), "", "")
    console.print(table)


def _millions(count: int) -> str:
    return f"{count / 1e6:,.1f}M"
