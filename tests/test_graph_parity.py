"""Every name of google/TensorNetwork's node graph is here and takes the same arguments."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import tensornet
from tensornet import graph

LIST = Path(__file__).resolve().parents[2] / "shared" / "parity" / "tensornetwork-0.4.6.md"
SECTIONS = {
    "Network graph",
    "Network graph (top level)",
    "Splitting",
    "Krylov (tensornetwork.linalg.krylov)",
    "Node linear algebra (tensornetwork.linalg.node_linalg)",
    "Backend selection",
    "Contractors (tensornetwork.contractors)",
}
LATER = {"contractors.ncon_solver"}


def entries() -> list[tuple[str, str | None]]:
    """(dotted name, text between the brackets or None for a property) of the sections above."""
    found: list[tuple[str, str | None]] = []
    section = owner = ""
    for line in LIST.read_text().splitlines():
        if line.startswith("## "):
            section = line[3:].strip()
        elif section in SECTIONS and line.startswith("- "):
            text = line[2:].removeprefix("class ").strip("`")
            name, _, rest = text.partition("(")
            owner = name
            found.append((name, rest))
        elif section in SECTIONS and line.startswith("  - `"):
            for text in line[4:].split("; "):
                method = text.strip("` ")
                name, bracket, rest = method.partition("(")
                name = name.strip("` ")
                found.append((f"{owner}.{name}", None if "(property)" in text else bracket + rest))
    return found


def parameters(text: str) -> list[str]:
    """Parameter names in ``a: int, b: Optional[List[str]] = None) -> ...``."""
    names, depth, word = [], 0, ""
    for letter in text.removeprefix("("):
        if letter == ")" and depth == 0:
            break
        depth += (letter in "[(") - (letter in "])")
        if letter == "," and depth == 0:
            names.append(word)
            word = ""
        else:
            word += letter
    names.append(word)
    return [re.split(r"[:=]", name)[0].strip() for name in names if name.strip()]


def resolve(name: str) -> Any:
    target: Any = tensornet
    for part in name.split("."):
        target = getattr(target, part)
    return target


needs_list = pytest.mark.skipif(not LIST.exists(), reason=f"{LIST.name} is not there")


@needs_list
def test_every_name_is_here_with_its_parameters_in_order() -> None:
    missing = []
    seen = 0
    for name, text in entries():
        if name in LATER:
            continue
        seen += 1
        try:
            target = resolve(name)
        except AttributeError:
            missing.append(name)
            continue
        if text is None:
            continue
        wanted = parameters(text)
        given = [p for p in inspect.signature(target).parameters if p != "self"]
        if given[: len(wanted)] != wanted:
            missing.append(f"{name}: {wanted} but {given}")
    assert not missing
    assert seen > 100


def test_graph_exports_what_it_names() -> None:
    assert sorted(graph.__all__) == graph.__all__
    for name in graph.__all__:
        assert getattr(graph, name) is not None
