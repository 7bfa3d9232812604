"""The house: imports go downwards and in no circle, and what a user chooses by name stands in one table."""

import ast
import graphlib
from pathlib import Path

import pytest
from conftest import ROOT

PACKAGE = ROOT / "googlenet_jax"
# Which rooms a room may import from, besides itself and `errors` (see CONTRIBUTING.md).
BELOW = {
    "errors": set(),
    "system": set(),
    "config": set(),
    "formats": set(),
    "models": {"config"},
    "data": {"system", "config", "formats", "models"},
    "runs": {"system", "config"},
    "importers": {"system", "config", "formats", "models", "data", "runs"},
    "prepare": {"system", "config", "formats", "data"},
    "classifier": {"data"},
    "exported": {"system", "config", "formats", "models", "data", "importers", "classifier"},
    "explain": {"config", "data", "classifier"},
    "net": {"system", "config", "models", "data", "runs", "classifier", "exported", "explain"},
    "evaluate": {"system", "config", "models", "data", "classifier", "net"},
    "export": {"system", "config", "formats", "models", "data", "importers", "exported", "classifier", "net"},
    "train": {"system", "config", "models", "data", "runs", "classifier", "net", "evaluate"},
    "report": {
        *("system", "config", "models", "data", "runs", "classifier", "explain", "importers", "net", "evaluate"),
    },
    "serve": {"system", "data", "classifier", "net"},
    "sweep": {"system", "config", "runs", "evaluate"},  # it starts trainings as processes
    "cli": {
        *("system", "config", "models", "data", "runs", "classifier", "net", "evaluate"),
        *("explain", "report", "train", "serve", "sweep", "importers", "export", "exported", "prepare"),
    },
}


def modules() -> dict[str, ast.Module]:
    """Every module of the package, by its name below it."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = ast.parse(path.read_text())
    return found


def imported(tree: ast.Module, known: set[str], at_once: bool) -> set[str]:
    """The package's modules that a module imports; `at_once`: not those that a function imports when it is called."""
    names = set()
    nodes = [*tree.body] if at_once else [*ast.walk(tree)]
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "googlenet_jax":
            base = node.module.removeprefix("googlenet_jax").removeprefix(".")
            for alias in node.names:
                inside = f"{base}.{alias.name}".removeprefix(".")
                names.add(inside if inside in known else base)
    return names - {""}


def room(module: str) -> str:
    return module.split(".")[0]


def test_imports_go_downwards():
    found = modules()
    for name, tree in found.items():
        for other in imported(tree, set(found), at_once=False) if name else ():
            allowed = room(other) in BELOW[room(name)] | {room(name), "errors"}
            assert allowed, f"{name} imports {other}: {room(name)} stands on {sorted(BELOW[room(name)])} alone"


def test_no_circle_of_files():
    found = modules()
    graph = {name: imported(tree, set(found), at_once=True) for name, tree in found.items()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(error.args[1])}")


def test_the_path_that_a_reader_follows_is_short():
    path = ("cli/launch.py", "train/loop.py", "train/step.py", "models/googlenet.py")
    lines = {name: len((PACKAGE / name).read_text().splitlines()) for name in path}
    assert max(lines.values()) <= 200, lines
    loop = next(
        node
        for node in ast.parse((PACKAGE / "train/loop.py").read_text()).body
        if getattr(node, "name", "") == "train_and_evaluate"
    )
    assert loop.end_lineno - loop.lineno <= 45


def test_files_do_one_thing():
    lengths = {path: len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")}
    assert max(lengths.values()) <= 320, max(lengths, key=lengths.get)


def test_every_room_is_on_the_map():
    text = Path(ROOT / "docs/design.md").read_text()
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and not path.name.startswith("__")}
    assert not [name for name in rooms if f"`googlenet_jax/{name}/`" not in text]
