"""By what name a service knows a run, kept in the run directory, so that a run that goes on goes on there too."""

import json
from pathlib import Path

from googlenet_jax.system.files import replace_file

FILE = "services.json"


def recall(run: Path, service: str) -> str | None:
    """The name that a service gave a run; None if it never did, or what was kept makes no sense."""
    name = _read(run).get(service)
    return name if isinstance(name, str) else None


def remember(run: Path, service: str, name: str) -> None:
    """Keeps the name that a service gave a run."""
    replace_file(run / FILE, json.dumps(_read(run) | {service: name}) + "\n")


def _read(run: Path) -> dict[str, object]:
    try:
        return dict(json.loads((run / FILE).read_text()))
    except (OSError, ValueError, TypeError, RecursionError):
        return {}
