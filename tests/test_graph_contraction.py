"""Contracting edges, pairs and copy nodes: the numbers, the order of axes, and what is consumed."""

from __future__ import annotations

import numpy as np
import pytest
from graph_state import fails, is_fresh, make, names_of

import tensornet.graph as tn
from tensornet.errors import ShapeError


def test_contract_passes_edges_on_and_frees_the_nodes() -> None:
    a, b = make(2, 3, 4, name="a", axis_names=list("abc")), make(3, 5, axis_names=["d", "e"])
    value = np.einsum("abc,be->ace", a.tensor, b.tensor)
    kept = [a[0], a[2], b[1]]
    arrays = [a.tensor, b.tensor]
    edge = a[1] ^ b[0]
    c = tn.contract(edge, name="c", axis_names=["x", "y", "z"])
    np.testing.assert_array_equal(c.tensor, value)
    assert (c.name, c.axis_names, c.edges) == ("c", ["x", "y", "z"], kept)
    assert names_of(c.edges) == ["a", "c", "e"]
    assert [(e.node1, e.axis1) for e in c.edges] == [(c, 0), (c, 1), (c, 2)]
    assert a.tensor is arrays[0]
    assert b.tensor is arrays[1]
    assert is_fresh(a)
    assert is_fresh(b)
    assert names_of(a.edges) == ["a", "b", "c"]
    assert not set(a.edges) & set(c.edges)
    tn.check_correct([a, b, c], check_connections=False)


def test_contract_names_its_results_by_default() -> None:
    a, b = make(2, 2, 3, name="a"), make(3, name="b")
    trace = tn.contract(a[0] ^ a[1])
    assert (trace.name, trace.axis_names) == ("a", ["0"])
    assert tn.contract(trace[0] ^ b[0]).name == "__unnamed_node__"


def test_contract_orders_axes_by_the_first_node_of_the_edge() -> None:
    a, b = make(2, 3), make(3, 4)
    assert tn.contract(b[0] ^ a[1]).shape == (4, 2)


def test_contracting_one_of_two_parallel_edges_leaves_a_trace_edge() -> None:
    a, b = make(2, 3, 4), make(3, 4, 5)
    value = np.einsum("abc,bcd->ad", a.tensor, b.tensor)
    first, second = a[1] ^ b[0], a[2] ^ b[1]
    c = tn.contract(first)
    assert (c.shape, c[1] is c[2] is second) == ((2, 4, 4, 5), True)
    assert (second.axis1, second.axis2, second.is_trace()) == (1, 2, True)
    np.testing.assert_array_equal(tn.contract(second).tensor, value)


def test_contracting_one_of_two_trace_edges_leaves_the_other() -> None:
    a = make(2, 2, 3, 3, 4)
    value = np.einsum("aabbc->c", a.tensor)
    first, second = a[0] ^ a[1], a[3] ^ a[2]
    c = tn.contract(first)
    assert (c.shape, second.is_trace(), {second.axis1, second.axis2}) == ((3, 3, 4), True, {0, 1})
    np.testing.assert_array_equal(tn.contract_trace_edges(c).tensor, value)


def test_contract_refuses_dangling_edges_and_bad_names() -> None:
    a, b = make(2, 3, name="a"), make(3, 4, name="b")
    edge = a[1] ^ b[0]
    with fails(ValueError, "cannot contract the dangling", a, b):
        tn.contract(a[0])
    with fails(ValueError, "3 axis names", a, b):
        tn.contract(edge, axis_names=["x", "y", "z"])
    with fails(ValueError, "repeated", a, b):
        tn.contract(edge, axis_names=["x", "x"])
    with fails(TypeError, "node name must be a str", a, b):
        tn.contract(edge, name=3)
    with fails(TypeError, "expected an Edge", a, b):
        tn.contract(a)


def test_a_failed_contraction_changes_nothing() -> None:
    a, b = make(2, 3, name="a"), make(3, 4, name="b")
    edge = tn.connect(a[1], b[0], "bond")
    nodes: list[tn.AbstractNode] = []
    a.tensor = np.ones((2, 5))
    with tn.NodeCollection(nodes):
        for attempt in (
            lambda: tn.contract(edge),
            lambda: a @ b,
            lambda: tn.contractors.auto([a, b], ignore_edge_order=True),
        ):
            with fails(ShapeError, r"axis 1 of node 'a' \(shape \(2, 5\)\) and axis 0", a, b):
                attempt()
        b.tensor = np.ones((5, 4), dtype=np.longdouble)
        with fails(TypeError, "float64", a, b):
            tn.contract(edge)
    assert nodes == []


def test_contract_between_sums_over_all_shared_edges() -> None:
    a, b = make(2, 3, 4, axis_names=list("abc")), make(4, 3, 5, axis_names=list("def"))
    value = np.einsum("abc,cbf->af", a.tensor, b.tensor)
    edges = [b[1] ^ a[1], a[2] ^ b[0]]
    kept = [a[0], b[2]]
    c = tn.contract_between(a, b, name="c", axis_names=["x", "y"])
    np.testing.assert_array_equal(c.tensor, value)
    assert (c.edges, c.name, c.axis_names) == (kept, "c", ["x", "y"])
    for edge in edges:
        with pytest.raises(ValueError, match="contracted"):
            edge.name  # noqa: B018
    assert is_fresh(a)
    assert is_fresh(b)


def test_contract_between_in_a_given_order() -> None:
    a, b = make(2, 3), make(3, 4, 5)
    value = np.einsum("ab,bcd->dac", a.tensor, b.tensor)
    a[1] ^ b[0]
    order = [b[2], a[0], b[1]]
    c = tn.contract_between(a, b, output_edge_order=order, axis_names=["d", "a", "c"])
    np.testing.assert_array_equal(c.tensor, value)
    assert (c.edges, c["d"]) == (order, order[0])


def test_contract_between_refuses_another_order() -> None:
    a, b, other = make(2, 3), make(3, 4), make(2)
    edge = a[1] ^ b[0]
    everything = (a, b, other)
    for order in ([a[0]], [a[0], b[1], edge], [a[0], other[0]], [a[0], a[0]], [a[0], b[1], b[1]]):
        with fails(ValueError, "must be exactly the edges that remain", *everything):
            tn.contract_between(a, b, output_edge_order=order)
    with fails(TypeError, "expected an Edge", *everything):
        tn.contract_between(a, b, output_edge_order=[0, 1])
    trace, joined = make(2, 2, 3), make(3)
    trace[0] ^ trace[1]
    trace[2] ^ joined[0]
    with fails(ValueError, "is a trace edge", trace, joined):
        tn.contract_between(trace, joined, output_edge_order=[trace[0], trace[1]])


def test_contract_between_without_shared_edges() -> None:
    a, b = make(2, name="a"), make(3, 4, name="b")
    value = np.einsum("a,bc->acb", a.tensor, b.tensor)
    message = r"no edges between nodes 'a' \(shape \(2,\)\) and 'b'"
    with fails(ValueError, message, a, b):
        tn.contract_between(a, b)
    with fails(ValueError, message, a, b):
        a @ b
    with fails(TypeError, "@ contracts two nodes", a, b):
        a @ 3
    with fails(TypeError, "expected a node, not int", a, b):
        tn.contract_between(a, 3)
    order = [a[0], b[1], b[0]]
    c = tn.contract_between(a, b, allow_outer_product=True, output_edge_order=order)
    np.testing.assert_array_equal(c.tensor, value)
    assert c.edges == order


def test_contract_between_a_node_and_itself_contracts_its_trace_edges() -> None:
    a = make(2, 2, 3, 3, 5, name="a")
    value = np.einsum("aabbc->c", a.tensor)
    a[0] ^ a[1]
    a[3] ^ a[2]
    c = tn.contract_between(a, a, axis_names=["x"])
    np.testing.assert_array_equal(c.tensor, value)
    assert (c.name, c.axis_names) == ("a", ["x"])
    with fails(ValueError, "node 'a' has no trace edges", a, c):
        tn.contract_between(c, c)


def test_contract_between_keeps_the_trace_edges_of_each_node() -> None:
    a, b = make(2, 2, 3), make(3, 4)
    trace = a[0] ^ a[1]
    a[2] ^ b[0]
    c = a @ b
    assert (c.shape, c.edges[:2]) == ((2, 2, 4), [trace, trace])
    tn.check_correct([c])


def test_matmul_of_a_ring() -> None:
    a, b, c = tn.from_topology(
        "xy,yz,zx", [make(2, 3).tensor, make(3, 4).tensor, make(4, 2).tensor]
    )
    value = np.trace(a.tensor @ b.tensor @ c.tensor)
    assert (a @ b @ c).tensor == value


def test_contract_parallel() -> None:
    a, b = make(2, 3, 4), make(2, 3, 5)
    value = np.einsum("abc,abd->cd", a.tensor, b.tensor)
    edges = [a[0] ^ b[0], a[1] ^ b[1]]
    np.testing.assert_array_equal(tn.contract_parallel(edges[1]).tensor, value)
    trace = make(2, 2, name="t")
    assert tn.contract_parallel(trace[0] ^ trace[1]).name == "t"
    with fails(ValueError, "cannot contract the dangling", a):
        tn.contract_parallel(a[0])


def test_contract_trace_edges() -> None:
    a = make(2, 2, 3, 3, 5, name="a")
    value = np.einsum("aabbc->c", a.tensor)
    kept = a[4]
    a[0] ^ a[1]
    a[3] ^ a[2]
    c = tn.contract_trace_edges(a)
    np.testing.assert_array_equal(c.tensor, value)
    assert (c.name, c.edges) == ("a", [kept])
    assert is_fresh(a)
    assert tn.contract_trace_edges(c) is c
    with fails(TypeError, "expected a node", a):
        tn.contract_trace_edges(3)


def test_outer_product() -> None:
    a, b = make(2, axis_names=["i"]), make(3, 4, axis_names=["j", "k"])
    edges = [*a.edges, *b.edges]
    c = tn.outer_product(a, b, name="c", axis_names=list("xyz"))
    np.testing.assert_array_equal(c.tensor, np.multiply.outer(a.tensor, b.tensor))
    assert (c.name, c.axis_names, c.edges) == ("c", list("xyz"), edges)
    assert names_of([*a.edges, *b.edges]) == ["i", "j", "k"]
    with fails(TypeError, "expected a node", a, c):
        tn.outer_product(a, 3)
    with fails(ValueError, "with itself", c):
        tn.outer_product(c, c)


def test_outer_product_of_connected_nodes_leaves_trace_edges() -> None:
    a, b = make(2, 3), make(3, 4)
    value = a.tensor @ b.tensor
    edge = a[1] ^ b[0]
    c = tn.outer_product(a, b)
    assert (c.shape, edge.is_trace()) == ((2, 3, 3, 4), True)
    np.testing.assert_array_equal(tn.contract(edge).tensor, value)


def test_outer_product_final_nodes() -> None:
    a, b, c = make(2), make(3, 4), make(5)
    value = np.einsum("a,bc,d->dcab", a.tensor, b.tensor, c.tensor)
    order = [c[0], b[1], a[0], b[0]]
    result = tn.outer_product_final_nodes([a, b, c], order)
    np.testing.assert_array_equal(result.tensor, value)
    assert result.edges == order
    assert tn.outer_product_final_nodes({a}, [a[0]]) is a
    a[0] ^ make(2)[0]
    with fails(ValueError, "has an edge that is not dangling", a, b):
        tn.outer_product_final_nodes([a, b], [])
    with fails(ValueError, "at least one node"):
        tn.outer_product_final_nodes([], [])
    with fails(ValueError, "exactly the edges", b, c):
        tn.outer_product_final_nodes([b, c], [b[0], c[0]])


def test_contract_copy_node() -> None:
    partners = [make(2, 3, name=f"v{i}", axis_names=[f"l{i}", f"m{i}"]) for i in range(3)]
    value = np.einsum("ix,iy,iz->zyx", *[node.tensor for node in partners])
    hub = tn.CopyNode(3, 2)
    kept = [node[1] for node in reversed(partners)]
    for i in range(3):
        hub[i] ^ partners[2 - i][0]
    c = tn.contract_copy_node(hub, "c")
    np.testing.assert_array_equal(c.tensor, value)
    assert (c.name, c.edges) == ("c", kept)
    assert all(is_fresh(node) for node in [hub, *partners])


def test_contract_copy_node_with_repeated_partners_and_edges_among_them() -> None:
    a, b, hub = make(2, 2, 5), make(2, 5), tn.CopyNode(5, 2)
    value = np.einsum("iic,id->cd", a.tensor, b.tensor)
    for i, edge in enumerate([a[0], a[1], b[0]]):
        hub[i] ^ edge
    hub[3] ^ hub[4]
    among = a[2] ^ b[1]
    c = tn.contract_copy_node(hub)
    np.testing.assert_array_equal(c.tensor, value)
    assert c.edges == [among, among]


def test_contract_copy_node_refuses_dangling_edges_and_other_nodes() -> None:
    a, hub = make(2), tn.CopyNode(2, 2, name="hub")
    hub[0] ^ a[0]
    with fails(ValueError, "copy node 'hub' has the dangling", a, hub):
        tn.contract_copy_node(hub)
    with fails(TypeError, "expected a CopyNode", a, hub):
        tn.contract_copy_node(a)


def test_copy_nodes_contract_in_pairs_like_their_dense_tensors() -> None:
    a, hub = make(2, 3), tn.CopyNode(4, 2)
    value = np.tensordot(a.tensor, hub.tensor, (0, 0))
    a[0] ^ hub[0]
    kept = [a[1], *hub.edges[1:]]
    c = a @ hub
    np.testing.assert_array_equal(c.tensor, value)
    assert c.edges == kept


def test_copy_nodes_contract_with_each_other_and_themselves() -> None:
    left, right = tn.CopyNode(3, 2), tn.CopyNode(2, 2)
    left[0] ^ right[1]
    np.testing.assert_array_equal((left @ right).tensor, tn.CopyNode(3, 2).tensor)
    for rank, expected in [(2, 3.0), (3, np.ones(3)), (4, np.eye(3))]:
        node = tn.CopyNode(rank, 3)
        np.testing.assert_array_equal(tn.contract(node[0] ^ node[1]).tensor, expected)
    ring = tn.CopyNode(2, 3), tn.CopyNode(2, 3)
    ring[0][0] ^ ring[1][0]
    ring[0][1] ^ ring[1][1]
    assert (ring[0] @ ring[1]).tensor == 3


def test_contracting_one_of_two_edges_to_a_copy_node() -> None:
    a, hub = make(2, 2), tn.CopyNode(3, 2)
    value = np.einsum("ab,acd->bcd", a.tensor, hub.tensor)
    edges = [a[0] ^ hub[0], a[1] ^ hub[1]]
    c = tn.contract(edges[0])
    np.testing.assert_array_equal(c.tensor, value)
    assert edges[1].is_trace()
    tn.check_correct([c])


def test_a_copy_node_of_huge_dense_size_contracts() -> None:
    hub = tn.CopyNode(30, 50)
    vectors = [tn.Node(np.full(50, 0.5)) for _ in range(30)]
    for i, vector in enumerate(vectors):
        hub[i] ^ vector[0]
    assert tn.contract_copy_node(hub).tensor == pytest.approx(50 * 0.5**30, rel=1e-12)


def test_copy_nodes_do_not_change_the_dtype() -> None:
    a, b, hub = tn.Node([1, 2]), tn.Node([3, 4]), tn.CopyNode(2, 2)
    hub[0] ^ a[0]
    hub[1] ^ b[0]
    assert tn.contract_copy_node(hub).dtype == a.dtype


def test_results_never_share_memory_with_the_inputs() -> None:
    a, hub = make(2, 3), tn.CopyNode(2, 2)
    hub[0] ^ a[0]
    result = a @ hub
    result.tensor[...] = 0
    assert a.tensor.min() > 0


@pytest.mark.parametrize("dtype", ["float32", "complex64", "complex128", "int64", "bool"])
def test_contraction_follows_numpy_dtypes(dtype: str) -> None:
    a, b = tn.Node(np.ones((2, 3), dtype)), tn.Node(np.ones((3, 2), dtype))
    value = np.einsum("ab,bc->ac", a.tensor, b.tensor)
    a[1] ^ b[0]
    result = (a @ b).tensor
    assert result.dtype == value.dtype
    np.testing.assert_array_equal(result, value)


def test_zero_size_axes() -> None:
    a, b = tn.Node(np.ones((2, 0))), tn.Node(np.ones((0, 3)))
    a[1] ^ b[0]
    assert (a @ b).tensor.tolist() == [[0, 0, 0], [0, 0, 0]]
