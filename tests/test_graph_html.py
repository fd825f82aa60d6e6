"""Nodes and plans are small tables in notebooks."""

from __future__ import annotations

import numpy as np
from graph_state import make

import tensornet as tn


def test_a_node_is_a_table_in_notebooks() -> None:
    a = make(2, 3, name="<a>", axis_names=["x", "y&z"])
    b = make(3, name="b", axis_names=["down"])
    tn.connect(a[1], b[0], "bond")
    html = a._repr_html_()
    for piece in ["&lt;a&gt;", "(2, 3)", "float64", "y&amp;z", "bond", "b[down]", "dangling"]:
        assert piece in html, piece
    assert "<a>" not in html
    assert html.count("<tr>") == 3
    assert "<b>CopyNode</b>" in tn.CopyNode(3, 2, name="hub")._repr_html_()


def test_tables_are_small_whatever_the_node() -> None:
    nodes = [tn.CopyNode(100_000, 2), tn.Node(np.zeros((1000, 1000)), name="n" * 10_000)]
    nodes.append(make(*[1] * 30, axis_names=[f"{'x' * 500}{k}" for k in range(30)]))
    for node in nodes:
        assert len(node._repr_html_()) < 5000
    assert "and 99,988 more axes" in nodes[0]._repr_html_()


def test_tables_of_nodes_in_every_state_change_nothing() -> None:
    a, b = make(2, 2, name="a"), make(2, 2, name="b")
    assert a._edges is not None
    a._repr_html_()
    assert not a._edges
    a[0] ^ a[1]
    assert "a[1]" in a._repr_html_()
    a[0] | a[1]
    a[0] ^ b[0]
    result = a @ b
    for node in (a, b, result):
        assert "dangling" in node._repr_html_()
    a.disable()
    assert "disabled" in a._repr_html_()
    b.add_edge(tn.Edge(result, 1), 0)  # not b's own
    b._repr_html_()


def test_a_plan_is_the_table_that_it_prints() -> None:
    plan = tn.plan(["a<b", "b&c"], "ac", dict.fromkeys("abc<&", 3), memory_limit="1kB")
    html = plan._repr_html_()
    lines = str(plan).splitlines()
    assert f"<caption>{lines[0]}</caption>" in html
    assert html.count("<tr>") == len(lines) - 1
    assert "log10 macs" in html


def test_a_collection_says_what_it_holds() -> None:
    with tn.NodeCollection([]) as nodes:
        make(2)
    assert repr(nodes) == "NodeCollection(a list of 1 nodes)"
