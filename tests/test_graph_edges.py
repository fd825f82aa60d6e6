"""Edges: connecting, breaking, redirecting, flattening, splitting and slicing them."""

from __future__ import annotations

import numpy as np
import pytest
from graph_state import fails, is_fresh, make, names_of

import tensornet.graph as tn


def test_connect_joins_two_dangling_edges() -> None:
    a, b = make(2, 3, name="a", axis_names=["x", "y"]), make(3, 4, name="b")
    old = a[1]
    edge = tn.connect(a[1], b[0], name="bond")
    assert edge is a[1] is b[0]
    assert (edge.name, str(edge), edge.dimension) == ("bond", "bond", 3)
    assert (edge.node1, edge.axis1, edge.node2, edge.axis2) == (a, 1, b, 0)
    assert edge.get_nodes() == [a, b]
    assert (edge.is_dangling(), edge.is_trace(), edge.is_being_used()) == (False, False, True)
    assert (old.is_dangling(), old.is_being_used(), old.node1) == (True, False, a)
    assert (a[0].node2, a[0].axis2, a[0].get_nodes()) == (None, None, [a, None])


def test_xor_keeps_the_name_of_its_left_edge_and_connect_does_not() -> None:
    a, b = make(2, 2, axis_names=["x", "y"]), make(2, 2, axis_names=["u", "v"])
    assert (a[0] ^ b[0]).name == "x"
    assert tn.connect(a[1], b[1]).name == "__unnamed_edge__"


def test_connecting_two_axes_of_one_node_makes_a_trace_edge() -> None:
    node = make(2, 2)
    edge = node[1] ^ node[0]
    assert edge.is_trace()
    assert (edge.axis1, edge.axis2) == (1, 0)
    assert node[0] is node[1] is edge


def test_connect_refuses_what_is_not_two_matching_dangling_edges() -> None:
    a, b = make(2, 3, name="a"), make(3, 4, name="b")
    stale = a[1]
    edge = a[1] ^ b[0]
    everything = (a, b)
    with fails(ValueError, "not dangling", *everything):
        edge ^ b[1]
    with fails(ValueError, "to itself", *everything):
        a[0] ^ a[0]
    with fails(ValueError, r"axis 0 of node 'a' \(shape \(2, 3\)\) has 2, axis 1 of node 'b'"):
        a[0] ^ b[1]
    with fails(ValueError, "no longer on axis 1 of node 'a'", *everything):
        stale ^ make(3)[0]
    with fails(TypeError, "expected an Edge", *everything):
        tn.connect(a[0], 3)
    with pytest.raises(TypeError):
        a[0] ^ 3


def test_disconnect_leaves_two_dangling_edges() -> None:
    a, b = make(2, name="a", axis_names=["x"]), make(2, name="b")
    edge = a[0] ^ b[0]
    left, right = edge.disconnect()
    assert names_of([left, right]) == [
        "__disconnected_edge1_of_x__",
        "__disconnected_edge2_of_x__",
    ]
    assert (left, right) == (a[0], b[0])
    assert is_fresh(a)
    assert is_fresh(b)
    assert names_of(tn.disconnect(b[0] ^ a[0], "u", "v")) == ["u", "v"]
    assert names_of([a[0], b[0]]) == ["v", "u"]
    with fails(ValueError, "cannot break the dangling", a, b):
        tn.disconnect(a[0])
    with fails(ValueError, "no longer on axis", a, b):
        edge.disconnect()


def test_or_breaks_one_edge() -> None:
    a, b = make(2), make(2)
    a[0] ^ b[0]
    assert a[0] | b[0] == (a[0], b[0])
    with fails(ValueError, "they are not one edge", a, b):
        a[0] | b[0]


def test_edge_made_by_hand() -> None:
    a, b = make(2, name="a"), make(2, name="b")
    edge = tn.Edge(node1=a, axis1=0, name="e", node2=b, axis2=0)
    assert not edge.is_being_used()
    edge.update_axis(0, b, 0, a)
    assert edge.is_trace()
    edge.set_name("f")
    edge.name = "g"
    assert edge.to_serial_dict() == {"name": "g", "axes": [0, 0]}
    with fails(ValueError, "no end on axis 1", a, b):
        edge.update_axis(1, a, 0, b)
    with fails(ValueError, "needs both", a, b):
        tn.Edge(a, 0, node2=b)
    with fails(TypeError, "edge name must be a str", a, b):
        tn.Edge(a, 0, name=3)
    with fails(TypeError, "edge name must be a str", a, b):
        edge.set_name(4)


def test_a_contracted_edge_says_what_it_joined_however_it_is_used() -> None:
    a, b = make(2, 3, name="a"), make(3, 4, name="b")
    edge = tn.connect(a[1], b[0], "bond")
    tn.contract(edge)
    uses = [
        lambda: edge.name,
        lambda: edge.node1,
        lambda: edge.node2,
        lambda: edge.axis1,
        lambda: edge.axis2,
        lambda: edge.dimension,
        lambda: edge.is_trace(),
        lambda: edge.set_name("x"),
        lambda: tn.contract(edge),
        lambda: tn.contract_parallel(edge),
        lambda: tn.disconnect(edge),
        lambda: tn.connect(edge, a[0]),
        lambda: a[0] ^ edge,
        lambda: tn.split_edge(edge, (3,)),
        lambda: tn.slice_edge(edge, 0, 1),
        lambda: tn.flatten_edges([edge]),
        lambda: tn.reachable(edge),
        lambda: tn.redirect_edge(edge, a, b),
        lambda: tn.reduced_density([edge]),
    ]
    where = r"axis 1 of node 'a' \(shape \(2, 3\)\) and axis 0 of node 'b' \(shape \(3, 4\)\)"
    for use in uses:
        with fails(ValueError, f"edge 'bond' has already been contracted: it was on {where}", a, b):
            use()
    assert not edge.is_being_used()
    assert not edge.is_dangling()
    assert edge.get_nodes() == [None, None]
    assert repr(edge) == "Edge('bond': 'a'[1] -- 'b'[0], contracted)"


def test_disable_makes_an_edge_unusable() -> None:
    a = make(2, name="a")
    edge = a[0]
    edge.disable()
    with pytest.raises(ValueError, match="has already been disabled: it was on axis 0 of node 'a'"):
        edge.dimension  # noqa: B018


def test_redirect_edge_moves_one_end() -> None:
    a, b, c = make(2, 3, name="a"), make(3, 4, name="b"), make(3, 5, name="c")
    edge = a[1] ^ b[0]
    tn.redirect_edge(edge, c, b)
    assert (edge.node1, edge.node2, edge.axis2, c[0]) == (a, c, 0, edge)
    assert is_fresh(b)
    tn.check_correct([a, b, c], check_connections=False)
    with fails(ValueError, "does not end at node 'b'", a, b, c):
        tn.redirect_edge(edge, a, b)
    with fails(ValueError, "needs the dimension 3", a, b, c):
        tn.redirect_edge(edge, make(2), c)
    d = make(3, name="d")
    d[0] ^ b[0]
    with fails(ValueError, "already holds", a, b, c, d):
        tn.redirect_edge(edge, b, c)


def test_redirect_a_trace_edge() -> None:
    a, b = make(2, 2), make(2, 2)
    edge = a[0] ^ a[1]
    tn.redirect_edge(edge, b, a)
    assert edge.is_trace()
    assert b.edges == [edge, edge]
    assert is_fresh(a)


def test_remove_node_leaves_its_neighbours_dangling() -> None:
    a, c = make(2, 3, name="a"), make(4, name="c")
    b = make(3, 4, 5, 5, 6, name="b", axis_names=list("pqrst"))
    a[1] ^ b["p"]
    c[0] ^ b["q"]
    trace = b["r"] ^ b["s"]
    by_name, by_axis = tn.remove_node(b)
    assert by_name == {"p": a[1], "q": c[0]}
    assert by_axis == {0: a[1], 1: c[0]}
    assert is_fresh(a)
    assert is_fresh(c)
    assert b.get_all_nondangling() == {trace}
    assert tn.reachable(b) == {b}


def test_from_topology() -> None:
    arrays = [np.ones((2, 3, 5)), np.ones((3, 4)), np.ones((4, 2))]
    a, b, c = tn.from_topology("xya, yz, zx", arrays)
    assert [node.axis_names for node in (a, b, c)] == [["x", "y", "a"], ["y", "z"], ["z", "x"]]
    assert [names_of(node.edges) for node in (b, c)] == [["y", "z"], ["z", "x"]]
    assert (a["y"], b["z"], c["x"]) == (b["y"], c["z"], a["x"])
    assert a["a"].is_dangling()


@pytest.mark.parametrize(
    ("topology", "shapes", "message"),
    [
        ("xy", [(2, 2), (2, 2)], "1 terms for 2 tensors"),
        ("xy,yz", [(2, 2), (3, 2)], "'y' of .* has extent 2 on tensor 0 .* but 3 on tensor 1"),
        ("xy,yz", [(2, 2), (2, 2, 2)], "2 letters for tensor 1 of shape"),
        ("xy,xz,xw", [(2, 2)] * 3, "'x' is more than twice"),
        ("xx", [(2, 2)], "'x' is twice in term 0"),
    ],
)
def test_from_topology_says_what_is_wrong(
    topology: str, shapes: list[tuple[int, ...]], message: str
) -> None:
    nodes: list[tn.AbstractNode] = []
    with tn.NodeCollection(nodes), fails(ValueError, message):
        tn.from_topology(topology, [np.ones(shape) for shape in shapes])
    assert nodes == []


def test_flatten_edges_of_two_nodes() -> None:
    a, b = make(2, 3, 4, 5), make(3, 5, 7)
    value = np.einsum("aybx,yxz->abz", a.tensor, b.tensor)
    edges = [a[3] ^ b[1], b[0] ^ a[1]]
    kept = [a[0], a[2]]
    flat = tn.flatten_edges(edges, "flat")
    assert (a.shape, b.shape, flat.name, flat.dimension) == ((2, 4, 15), (7, 15), "flat", 15)
    assert a.edges == [*kept, flat]
    assert b[1] is flat
    assert a.axis_names == ["0", "1", "2"]
    tn.check_correct([a, b])
    with pytest.raises(ValueError, match="has already been flattened"):
        edges[0].node1  # noqa: B018
    np.testing.assert_array_equal(tn.contract(flat).tensor, value)


def test_flatten_edges_of_one_node() -> None:
    a = make(2, 3, 4, name="a", axis_names=list("xyz"))
    dense = a.tensor
    flat = tn.flatten_edges([a["z"], a["x"]])
    assert (a.shape, flat.axis1, flat.is_dangling()) == ((3, 8), 1, True)
    np.testing.assert_array_equal(a.tensor, dense.transpose(1, 2, 0).reshape(3, 8))
    assert tn.flatten_edges([flat], "other") is flat
    trace = make(2, 3, 2, 3, 5)
    value = np.einsum("abaec,be->c", trace.tensor, np.eye(3))
    flat = tn.flatten_edges([trace[0] ^ trace[2], trace[3] ^ trace[1]])
    assert (trace.shape, flat.is_trace()) == ((5, 6, 6), True)
    tn.check_correct([trace])
    np.testing.assert_array_equal(tn.contract(flat).tensor, value)


def test_flatten_edges_refuses_edges_that_are_not_parallel() -> None:
    a, b, hub = make(2, 2, 2, name="a"), make(2, 2, 2, name="b"), tn.CopyNode(2, 2, name="hub")
    edge = a[0] ^ b[0]
    edges = [hub[0] ^ a[2], hub[1] ^ b[2]]
    everything = (a, b, hub)
    with fails(ValueError, "at least one edge", *everything):
        tn.flatten_edges([])
    with fails(ValueError, "not parallel", *everything):
        tn.flatten_edges([edge, a[1]])
    with fails(ValueError, "not parallel", *everything):
        tn.flatten_edges([a[1], b[1]])
    with fails(ValueError, "repeated", *everything):
        tn.flatten_edges([edge, edge])
    edges[1].disconnect()
    hub[1] ^ a[1]
    with fails(ValueError, "copy node 'hub' cannot be reshaped", *everything):
        tn.flatten_edges_between(hub, a)
    with fails(ValueError, "copy node 'hub' cannot be reshaped", *everything):
        tn.flatten_all_edges(everything)


def test_flatten_edges_between() -> None:
    a, b = make(2, 3, 4), make(2, 3, 5)
    assert tn.flatten_edges_between(a, b) is None
    single = a[0] ^ b[0]
    assert tn.flatten_edges_between(a, b) is single
    a[1] ^ b[1]
    flat = tn.flatten_edges_between(a, b)
    assert flat is not None
    assert (flat.node1, flat.dimension, a.shape, b.shape) == (a, 6, (4, 6), (5, 6))


def test_flatten_all_edges() -> None:
    a, b, c = make(2, 3, 2, 2, 4, 4), make(2, 3, 7), make(7, 2)
    edges = [a[0] ^ b[0], a[1] ^ b[1], a[2] ^ a[3], a[4] ^ a[5], b[2] ^ c[0]]
    flat = tn.flatten_all_edges([a, b, c])
    assert sorted(edge.dimension for edge in flat) == [6, 7, 8]
    assert edges[-1] in flat
    assert (a.shape, b.shape, c.shape) == ((6, 8, 8), (7, 6), (7, 2))
    tn.check_correct([a, b, c])


def test_split_edge_between_two_nodes() -> None:
    a, b = make(2, 6, name="a", axis_names=["p", "q"]), make(6, 3, axis_names=["r", "s"])
    value = a.tensor @ b.tensor
    edge = a["q"] ^ b["r"]
    parts = tn.split_edge(edge, (2, 3), ["u", "v"])
    assert (names_of(parts), a.shape, b.shape) == (["u", "v"], (2, 2, 3), (3, 2, 3))
    assert (a.axis_names, b.axis_names) == (["p", "u", "v"], ["s", "u", "v"])
    assert [part.node1 for part in parts] == [a, a]
    tn.check_correct([a, b])
    with pytest.raises(ValueError, match="has already been split"):
        edge.node1  # noqa: B018
    np.testing.assert_array_equal(tn.contract_between(a, b).tensor, value)


def test_split_dangling_and_trace_edges() -> None:
    a = make(2, 6, axis_names=["p", "q"])
    assert names_of(tn.split_edge(a[1], (2, 3))) == ["__unnamed_edge__"] * 2
    assert (a.shape, a.axis_names) == ((2, 2, 3), ["p", "1", "2"])
    trace = make(6, 2, 6)
    value = np.trace(trace.tensor, axis1=0, axis2=2)
    parts = tn.split_edge(trace[0] ^ trace[2], (3, 2), ["u", "v"])
    assert trace.shape == (2, 3, 2, 3, 2)
    assert [(part.axis1, part.axis2) for part in parts] == [(1, 3), (2, 4)]
    np.testing.assert_array_equal(tn.contract_trace_edges(trace).tensor, value)


def test_split_edge_undoes_flatten_edges() -> None:
    a, b = make(2, 3, 4), make(4, 3, 5)
    dense = a.tensor.transpose(0, 2, 1)
    flat = tn.flatten_edges([a[2] ^ b[0], a[1] ^ b[1]])
    tn.split_edge(flat, (4, 3))
    np.testing.assert_array_equal(a.tensor, dense)


def test_an_edge_split_into_one_stays_as_it_is() -> None:
    a = make(2, 3, name="a", axis_names=["p", "q"])
    edge = a[0]
    assert tn.split_edge(edge, (2,), ["u"]) == [edge]
    assert (a.shape, a.axis_names, a[0]) == ((2, 3), ["p", "q"], edge)
    with fails(ValueError, "the product must be 2", a):
        tn.split_edge(edge, (3,))


def test_split_edge_refuses_other_sizes_and_counts() -> None:
    a = make(6, name="a")
    with fails(ValueError, "the product must be 6", a):
        tn.split_edge(a[0], (2, 2))
    with fails(ValueError, "the product must be 6", a):
        tn.split_edge(a[0], (-2, -3))
    with fails(ValueError, "1 names .* for 2 new edges", a):
        tn.split_edge(a[0], (2, 3), ["u"])
    with fails(TypeError, "edge name must be a str", a):
        tn.split_edge(a[0], (2, 3), ["u", 3])
    hub = tn.CopyNode(1, 6, name="hub")
    with fails(ValueError, "copy node 'hub'", hub):
        tn.split_edge(hub[0], (2, 3))


def test_slice_edge_keeps_a_range_at_both_ends() -> None:
    a, b = make(2, 6), make(6, 3)
    value = a.tensor[:, 1:3] @ b.tensor[1:3]
    edge = a[1] ^ b[0]
    assert tn.slice_edge(edge, 1, 2) is edge
    assert (a.shape, b.shape, edge.dimension) == ((2, 2), (2, 3), 2)
    np.testing.assert_array_equal(tn.contract(edge).tensor, value)
    trace = make(3, 3)
    tn.slice_edge(trace[0] ^ trace[1], 1, 1)
    assert trace.tensor.tolist() == [[5]]


@pytest.mark.parametrize(("start", "length"), [(-1, 2), (0, -1), (0, 0), (1, 6), (6, 1)])
def test_slice_edge_refuses_other_ranges(start: int, length: int) -> None:
    a, b = make(6), make(6)
    edge = a[0] ^ b[0]
    with fails(ValueError, "slice must be positive|are not all there", a, b):
        tn.slice_edge(edge, start, length)


def test_slice_edge_refuses_copy_nodes() -> None:
    a, hub = make(6), tn.CopyNode(1, 6, name="hub")
    edge = a[0] ^ hub[0]
    with fails(ValueError, "copy node 'hub'", a, hub):
        tn.slice_edge(edge, 0, 2)
