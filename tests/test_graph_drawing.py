"""Pictures of networks: laid out the same every time, with all names, for any network."""

from __future__ import annotations

import builtins
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from graph_state import make, picture

import tensornet as tn
from tensornet.graph.sketch import sketch, steps_of_edges

matplotlib = pytest.importorskip("matplotlib", reason="pictures need the extra `plot`")
matplotlib.use("Agg")

from matplotlib import pyplot  # noqa: E402

graphviz = pytest.importorskip("graphviz", reason="to_graphviz needs the extra `graphviz`")


@pytest.fixture(autouse=True)
def _close():
    yield
    pyplot.close("all")


def rendered(ax: Any) -> Any:
    ax.figure.canvas.draw()
    return ax


def words(ax: Any) -> list[str]:
    return [text.get_text() for text in ax.texts]


def chain(n: int, legs: bool = True) -> list[tn.Node]:
    shape = (3, 3, 2) if legs else (3, 3)
    nodes = [make(*shape, name=f"A{k}") for k in range(n)]
    for left, right in pairwise(nodes):
        left[1] ^ right[0]
    return nodes


def lattice(rows: int, columns: int) -> list[tn.Node]:
    at = {(i, j): make(1, 2, 2, 2) for i in range(rows) for j in range(columns)}
    at = {place: tn.Node(np.ones((2, 2, 2, 2))) for place in at}
    for (i, j), node in at.items():
        if (i + 1, j) in at:
            node[0] ^ at[i + 1, j][1]
        if (i, j + 1) in at:
            node[2] ^ at[i, j + 1][3]
    return list(at.values())


def everything() -> list[tn.AbstractNode]:
    """A trace, three parallel edges, a copy node, open legs, a scalar, and a part of its own."""
    a = make(2, 3, 4, 6, 6, name="a", axis_names=["i", "j", "k", "u", "v"])
    b = make(2, 3, 4, 5, name="b")
    hub = tn.CopyNode(4, 5, name="hub")
    c, d = make(5, 7, name="c", axis_names=["in", "out"]), make(5, name="d")
    for axis in range(3):
        a[axis] ^ b[axis]
    a[3] ^ a[4]
    for axis, edge in enumerate([b[3], c[0], d[0]]):
        hub[axis] ^ edge
    return [a, b, hub, c, d, tn.Node(1.0, name="scalar"), make(2, 8, name="lone")]


# Curves and steps


def test_every_edge_is_one_curve_that_starts_and_ends_at_its_nodes() -> None:
    nodes = everything()
    drawn = sketch(nodes)
    assert {curve.edge for curve in drawn.curves} == tn.get_all_edges(nodes)
    for curve in drawn.curves:
        first, last = curve.ends[0][0], curve.ends[-1][0]
        np.testing.assert_allclose(curve.points[0], drawn.points[first], atol=1e-12)
        if len(curve.ends) == 2:
            np.testing.assert_allclose(curve.points[-1], drawn.points[last], atol=1e-12)
            assert nodes[first][curve.ends[0][1]] is curve.edge
            assert nodes[last][curve.ends[1][1]] is curve.edge


def test_no_two_edges_look_the_same() -> None:
    a = make(2, 2, 2, 2, 2, 2)
    a[0] ^ a[1]
    a[2] ^ a[3]
    curves = [*sketch([a]).curves, *sketch(everything()).curves[:4]]
    middles = np.array([curve.points[8] for curve in curves[:4]])
    assert (np.linalg.norm(middles[:, None] - middles, axis=2) + np.eye(4)).min() > 0.1


def test_the_legs_of_a_chain_all_point_down() -> None:
    nodes = chain(9)
    legs = [c for c in sketch(nodes).curves if len(c.ends) == 1 and c.ends[0][0] in range(1, 8)]
    assert len(legs) == 7
    for leg in legs:
        way = leg.points[-1] - leg.points[0]
        assert way[1] < 0
        assert abs(way[0]) < 0.1


def steps_by_name(nodes: Sequence[tn.AbstractNode], order: Any) -> dict[str, int | None]:
    drawn = sketch(nodes)
    steps = steps_of_edges(drawn, order)
    return {curve.edge.name: step for curve, step in zip(drawn.curves, steps)}


def test_the_step_of_an_edge_is_that_in_which_its_nodes_meet() -> None:
    nodes = chain(4, legs=False)
    for k, (left, right) in enumerate(pairwise(nodes)):
        tn.get_shared_edges(left, right).pop().set_name(f"bond{k}")
    nodes[0][0].set_name("first")
    nodes[3][1].set_name("last")
    expected = {"first": None, "bond0": 1, "bond1": 2, "bond2": 0, "last": None}
    assert steps_by_name(nodes, [(2, 3), (0, 1), (0, 1)]) == expected
    plan = tn.plan(["ab", "bc", "cd", "de"], "ae", dict.fromkeys("abcde", 3), optimize="greedy")
    by_plan, by_tree = steps_by_name(nodes, plan), steps_by_name(nodes, plan.tree)
    assert by_plan == by_tree == steps_by_name(nodes, plan.path)
    assert sorted(step for step in by_plan.values() if step is not None) == [0, 1, 2]
    assert set(steps_by_name(nodes, [(0, 1, 2, 3)]).values()) == {None, 0}


def test_an_edge_of_a_copy_node_is_summed_when_all_it_touches_have_met() -> None:
    a, b, c = make(2, name="a"), make(2, name="b"), make(2, name="c")
    hub, second = tn.CopyNode(3, 2), tn.CopyNode(2, 2)
    hub[0] ^ a[0]
    hub[1] ^ b[0]
    hub[2] ^ second[0]
    second[1] ^ c[0]
    nodes = [a, hub, b, second, c]
    assert steps_of_edges(sketch(nodes), [(0, 1), (0, 1)]) == [1, 1, 1, 1]
    as_operands = steps_of_edges(sketch(nodes), [(0, 1), (0, 3), (0, 2), (0, 1)])
    assert as_operands == [0, 1, 2, 3]
    second[1] | c[0]
    assert steps_of_edges(sketch(nodes), [(0, 1), (0, 1)]) == [None] * 5


def test_the_order_of_another_network_is_refused() -> None:
    with pytest.raises(ValueError, match=r"order contracts 3 operands, but 5 nodes are drawn"):
        tn.draw(chain(5), order=[(0, 1), (0, 1)])


# draw


def test_names_axes_and_dimensions_are_shown() -> None:
    ax = rendered(tn.draw(everything()))
    shown = words(ax)
    for word in ["a", "b", "hub", "c", "d", "scalar", "lone", "i", "j", "k", "u", "v", "in"]:
        assert shown.count(word) == 1, word
    assert "out: 7" in shown
    assert {"2", "3", "4", "6", "5", "8"} < set(shown)
    assert not any(word.startswith("__") for word in shown)


def test_a_drawing_changes_nothing() -> None:
    nodes = everything()
    before = picture(nodes)
    tn.draw(nodes)
    assert picture(nodes) == before


def test_it_draws_on_axes_that_are_given() -> None:
    figure, axes = pyplot.subplots(1, 2)
    assert tn.draw(chain(3), axes[1]) is axes[1]
    assert pyplot.get_fignums() == [figure.number]


def test_copy_nodes_are_dots_and_unnamed_nodes_circles() -> None:
    hub = tn.CopyNode(2, 2)
    a, b = tn.Node([1, 2]), tn.Node([1, 2])
    hub[0] ^ a[0]
    hub[1] ^ b[0]
    ax = rendered(tn.draw([a, hub, b]))
    dots, circles = ax.collections[-2:]
    assert (len(dots.get_offsets()), len(circles.get_offsets())) == (1, 2)
    assert dots.get_sizes()[0] < circles.get_sizes()[0]


def test_edges_are_coloured_and_numbered_by_the_order() -> None:
    nodes = chain(4, legs=False)
    ax = rendered(tn.draw(nodes, order=[(2, 3), (0, 1), (0, 1)]))
    coloured = [lines for lines in ax.collections if lines.get_array() is not None]
    assert [lines.get_array().tolist() for lines in coloured] == [[1, 2, 0]]
    assert {"3 #0", "3 #1", "3 #2"} < set(words(ax))


def test_edges_to_nodes_that_are_not_drawn_are_dotted_stubs() -> None:
    a, b, c = chain(3)
    ax = rendered(tn.draw([b]))
    solid, dotted = ax.collections[:2]
    assert (len(solid.get_segments()), len(dotted.get_segments())) == (1, 2)
    assert a[1].node2 is b
    assert c[0].node1 is b


def test_a_cut_edge_shows_the_name_of_the_axis_that_is_drawn() -> None:
    a, b = make(2, name="a", axis_names=["there"]), make(2, name="b", axis_names=["here"])
    a[0] ^ b[0]
    assert words(rendered(tn.draw([b]))) == ["here: 2", "b"]
    assert words(rendered(tn.draw([a]))) == ["there: 2", "a"]


@pytest.mark.parametrize(("labels", "count"), [("all", 16), ("names", 5), ("none", 0)])
def test_labels_can_be_chosen(labels: str, count: int) -> None:
    ax = rendered(tn.draw(chain(5), labels=labels))
    assert len(words(ax)) == count


def test_other_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="labels='some': use one of all, names, none"):
        tn.draw(chain(2), labels="some")


def test_names_are_never_taken_for_mathematics() -> None:
    node = make(2, name="$\\broken{", axis_names=["$_"])
    assert words(rendered(tn.draw([node]))) == ["$_: 2", "$\\broken{"]
    long = make(2, name="n" * 100)
    assert len(words(rendered(tn.draw([long])))[-1]) == 24


@pytest.mark.parametrize(
    "nodes",
    [[], [tn.Node(1.0)], [tn.CopyNode(0, 2)], [tn.CopyNode(100, 2)], [make(0, 1)]],
    ids=["none", "scalar", "rank 0", "rank 100", "empty"],
)
def test_degenerate_networks_can_be_drawn(nodes: list[tn.AbstractNode]) -> None:
    rendered(tn.draw(nodes))
    tn.to_graphviz(nodes)


@pytest.mark.parametrize("nodes", [chain(500), lattice(20, 25), chain(3000)], ids=len)
def test_hundreds_of_nodes_are_no_trouble(nodes: list[tn.Node]) -> None:
    ax = rendered(tn.draw(nodes))
    assert not words(ax)


def test_what_is_no_node_and_disabled_nodes_are_refused() -> None:
    with pytest.raises(TypeError, match="expected nodes, not int"):
        tn.draw([3])  # type: ignore[list-item]
    node = make(2, name="gone")
    node.disable()
    for drawing in (tn.draw, tn.to_graphviz):
        with pytest.raises(ValueError, match="'gone' has been disabled"):
            drawing([node])


# to_graphviz


def test_graphviz_gets_nodes_edges_and_labels() -> None:
    a = make(2, 3, name="a", axis_names=["left", "right"])
    b = make(3, 4, 4, name="b", axis_names=["down", "u", "v"])
    hub = tn.CopyNode(2, 2, name="hub")
    tn.connect(a["right"], b["down"], "bond")
    b["u"] ^ b["v"]
    a["left"] ^ hub[0]
    graph = tn.to_graphviz([a, b, hub])
    assert isinstance(graph, graphviz.Graph)
    assert graph.engine == "neato"
    source = graph.source
    k = [node._serial for node in (a, b, hub)]
    for line in [
        f"node{k[0]} [label=a]",
        f"node{k[2]} [shape=point width=0.1 xlabel=hub]",
        f'node{k[0]} -- node{k[1]} [label="bond: 3" headlabel=down taillabel=right]',
        f'node{k[1]} -- node{k[1]} [label="u: 4" headlabel=v]',
        f'node{k[0]} -- node{k[2]} [label="left: 2"]',
        f'node{k[2]}_1 [label="" style=invis]',
        f"node{k[2]} -- node{k[2]}_1 [label=2]",
    ]:
        assert line in source, line
    assert source.count(" -- ") == 4


def test_names_that_nobody_chose_are_left_out_unless_asked_for() -> None:
    node = tn.Node([1, 2])
    assert "__unnamed" not in tn.to_graphviz([node]).source
    full = tn.to_graphviz([node], include_all_names=True).source
    assert "label=__unnamed_node__" in full
    assert 'label="__unnamed_edge__: 2"' in full


def test_a_graph_with_attributes_of_its_own_can_be_filled() -> None:
    graph = graphviz.Graph("mine", engine="dot", node_attr={"shape": "box"})
    assert tn.to_graphviz([make(2, name="a")], graph) is graph
    assert tn.to_graphviz([make(2, name="b")], graph) is graph
    assert graph.source.count("label=a]") == graph.source.count("label=b]") == 1
    assert tn.to_graphviz([make(2)], engine="dot").engine == "dot"


def test_graphviz_is_not_led_astray_by_names() -> None:
    node = make(2, name="<b>\\N</b>", axis_names=['"; evil'])
    source = tn.to_graphviz([node]).source
    assert 'label="<b>\\\\N</b>"' in source
    assert 'label="\\"; evil: 2"' in source


def test_edges_to_nodes_outside_end_in_the_open() -> None:
    a, b, _ = chain(3)
    source = tn.to_graphviz([b]).source
    assert source.count("style=invis") == source.count(" -- ") == 3
    assert f"node{a._serial}" not in source


@pytest.mark.parametrize(
    ("module", "extra", "call"),
    [("matplotlib", "plot", tn.draw), ("graphviz", "graphviz", tn.to_graphviz)],
)
def test_without_the_library_the_error_names_the_extra(
    module: str, extra: str, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = builtins.__import__

    def missing(name: str, *args: Any, **options: Any) -> Any:
        if name.startswith(module):
            raise ModuleNotFoundError(f"No module named {module!r}")
        return original(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ImportError, match=rf"pip install 'tensornet\[{extra}\]'"):
        call(chain(2))


def test_importing_tensornet_imports_no_extra() -> None:
    extras = {"matplotlib", "graphviz", "h5py"}
    code = f"import sys, tensornet; sys.exit(bool({extras} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_hyperedges_are_dots_and_need_not_be_given() -> None:
    nodes = [make(2, name=name) for name in "abc"]
    tn.hyperedge([node[0] for node in nodes], name="i")
    assert "i" in words(rendered(tn.draw(nodes, order=[(0, 1), (0, 1)])))
    assert tn.to_graphviz(nodes).source.count("shape=point") == 1
