"""The rules of the house: who may import whom, how long a file may be, where C is declared."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "tensornet"

# Modules and rooms by floor; a module imports only from lower ones, siblings in a room excepted.
FLOORS = [
    {"errors", "config", "files", "progress"},
    {"expr", "_kernels", "_tape"},
    {"planner", "_program", "_gradient", "records"},
    {"arrays"},
    {"checkpoints", "work", "tape"},
    {"batches", "executors"},
    {"program", "tables"},
    {"drawing", "fitting", "backends"},
    {"plans"},
    {"planning"},
    {"road"},
    {"gradient"},
    {"expression"},
    {"api", "formats"},
    {"ops"},
    {"linalg"},
    {"autodiff", "graph"},
    {"nn", "mps", "symmetric", "circuits", "inference"},
    {"arguments"},
    {"__main__"},
]
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}
MODULES = sorted(path for path in PACKAGE.rglob("*.py*") if path.suffix in (".py", ".pyx"))


def room_of(path: Path) -> str:
    """`planner` for planner/tree.py, `expr` for expr.py."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_rooms(path: Path) -> set[str]:
    """First component, below tensornet, of everything that a Python file imports at any depth."""
    rooms = set()
    package = ("tensornet", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            full = (*base, *(node.module.split(".") if node.module else ()))
            names = [(*full, alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [tuple(alias.name.split(".")) for alias in node.names]
        else:
            continue
        rooms |= {name[1] for name in names if name[0] == "tensornet" and len(name) > 1}
    return rooms


@pytest.mark.parametrize(
    "path", [p for p in MODULES if p.suffix == ".py" and p.name != "__init__.py"], ids=str
)
def test_a_module_imports_only_from_lower_floors(path: Path) -> None:
    room = room_of(path)
    assert room in FLOOR, f"{room} has no floor; give it one in this test"
    for other in imported_rooms(path) - {room}:
        if other in FLOOR:
            assert FLOOR[other] < FLOOR[room], f"{path.name} imports {other}"


def test_graph_and_nn_do_not_know_each_other() -> None:
    for path in MODULES:
        if path.suffix == ".py" and room_of(path) in ("graph", "nn"):
            assert not imported_rooms(path) & ({"graph", "nn"} - {room_of(path)})


def test_the_planner_knows_no_arrays_and_no_dtypes() -> None:
    for path in (PACKAGE / "planner").glob("*.py"):
        text = path.read_text()
        assert "numpy" not in text, path.name
        assert "dtype" not in text, path.name


def test_only_the_doors_declare_c_functions() -> None:
    doors = {path.name for path in MODULES if path.suffix == ".pyx"}
    assert doors == {"_kernels.pyx", "_program.pyx", "_gradient.pyx", "_search.pyx", "_tape.pyx"}


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_file_stays_below_its_ceiling(path: Path) -> None:
    ceiling = 500 if path.suffix == ".py" else 600
    assert len(path.read_text().splitlines()) <= ceiling


def test_a_c_file_stays_below_its_ceiling() -> None:
    for path in (ROOT / "src_c").rglob("*.[ch]"):
        assert len(path.read_text().splitlines()) <= 600, path.name


def test_c_neither_prints_nor_exits() -> None:
    banned = ("printf(", "fprintf(", "exit(", "abort(", "Python.h")
    for path in (ROOT / "src_c").rglob("*.[ch]"):
        text = path.read_text().replace("snprintf(", "")
        assert not [word for word in banned if word in text], path.name
