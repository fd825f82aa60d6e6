"""Nodes: contents, names, axes, edges and arithmetic; copy nodes; collections."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest
from graph_state import fails, is_fresh, make, names_of

import tensornet.graph as tn


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([[1, 2], [3, 4]], [[1, 2], [3, 4]]),
        (2.5, 2.5),
        (1j, 1j),
        (True, True),
        (np.float32(3), 3.0),
        ((1, 2), [1, 2]),
    ],
)
def test_node_accepts_lists_and_numbers(given: object, expected: object) -> None:
    assert tn.Node(given).tensor.tolist() == expected


def test_node_shares_the_array_it_is_given_and_that_of_another_node() -> None:
    array = np.ones((2, 3))
    node = tn.Node(array, name="a", axis_names=["x", "y"])
    other = tn.Node(node)
    assert node.tensor is array
    assert other.tensor is array
    assert (other.name, other.axis_names) == ("__unnamed_node__", ["0", "1"])


@pytest.mark.parametrize("bad", [None, "text", {"a": 1}, np.array([None])])
def test_node_refuses_what_is_not_numeric(bad: object) -> None:
    with fails(TypeError, "array, a list or a number"):
        tn.Node(bad)


def test_node_checks_names_and_backend() -> None:
    with fails(TypeError, "node name must be a str"):
        tn.Node([1], name=3)
    with fails(ValueError, "1 axis names .* for 2 axes"):
        tn.Node([[1]], axis_names=["x"])
    with fails(ValueError, "'x' is repeated"):
        tn.Node([[1]], axis_names=["x", "x"])
    with fails(TypeError, "axis name must be a str"):
        tn.Node([[1]], axis_names=[0, 1])
    with fails(ValueError, r"plan\.run\(backend=\)"):
        tn.Node([1], backend="jax")
    assert tn.Node([1], backend="numpy").backend == "numpy"


def test_abstract_node_cannot_be_made() -> None:
    with pytest.raises(TypeError):
        tn.AbstractNode()


def test_axes_by_name_and_number() -> None:
    node = make(2, 3, 4, name="a", axis_names=["x", "y", "z"])
    assert node["y"] is node[1] is node.get_edge("y") is node[np.int64(1)]
    assert node[-1] is node[2]
    assert node[1:] == [node[1], node[2]]
    assert names_of(node.edges) == ["x", "y", "z"]
    assert (node.get_dimension("z"), node.get_dimension(0)) == (4, 2)
    assert (node.get_axis_number("z"), node.get_axis_number(1)) == (2, 1)
    assert (node.get_rank(), node.shape, node.sparse_shape) == (3, (2, 3, 4), (2, 3, 4))
    with fails(IndexError, "axis 3 is out of range for node 'a'", node):
        node[3]
    with fails(ValueError, "no axis named 'w'; its axes are", node):
        node["w"]
    with fails(ValueError, "no axis 5", node):
        node.get_dimension(5)
    with fails(ValueError, "no axis -1", node):
        node.get_dimension(-1)


def test_unnamed_axes_are_named_by_number() -> None:
    node = make(2, 3)
    assert node.axis_names == ["0", "1"]
    assert node["1"] is node[1]
    assert names_of(node.edges) == ["__unnamed_edge__"] * 2


def test_names_can_be_changed() -> None:
    node = make(2, 3)
    node.set_name("a")
    node.add_axis_names(["x", "y"])
    assert (node.name, str(node), node.axis_names) == ("a", "a", ["x", "y"])
    node.name = "b"
    node.axis_names = ["u", "v"]
    assert (node.name, node.axis_names) == ("b", ["u", "v"])
    with fails(TypeError, "must be a str", node):
        node.name = 1
    with fails(ValueError, "repeated", node):
        node.axis_names = ["u", "u"]


def test_edges_cannot_be_changed_through_the_list() -> None:
    node = make(2, 3)
    node.edges.clear()
    node.get_all_edges().clear()
    assert len(node.edges) == 2


def test_set_tensor_keeps_edges_and_refuses_another_rank() -> None:
    node = make(2, 3, name="a")
    edges = node.edges
    node.tensor = np.zeros((4, 5))
    assert (node.shape, node.edges, node[0].dimension) == ((4, 5), edges, 4)
    node.set_tensor([[1, 2]])
    assert node.get_tensor().tolist() == [[1, 2]]
    with fails(ValueError, "node 'a' has 2 axes", node):
        node.set_tensor(np.ones(3))


def test_dangling_and_connected_edges_of_a_node() -> None:
    a, b = make(2, 3, 4), make(3, 4)
    edge = a[1] ^ b[0]
    assert a.get_all_dangling() == [a[0], a[2]]
    assert a.get_all_nondangling() == {edge}
    assert a.get_all_edges() == [a[0], edge, a[2]]
    assert (a.has_dangling_edge(), a.has_nondangling_edge()) == (True, True)
    assert make(2).has_nondangling_edge() is False


def test_fresh_edges_are_named_after_axes() -> None:
    node = make(2, 3, axis_names=["x", "y"])
    old = node.edges
    node.fresh_edges()
    assert names_of(node.edges) == ["x", "y"]
    assert not set(node.edges) & set(old)
    node.fresh_edges(["u", "v"])
    assert (names_of(node.edges), node.axis_names) == (["u", "v"], ["x", "y"])
    with fails(ValueError, "1 axis names", node):
        node.fresh_edges(["u"])


def test_add_edge_replaces_only_dangling_edges() -> None:
    a, b = make(2, name="a"), make(2, name="b")
    loose = tn.Edge(a, 0, "loose")
    a.add_edge(loose, 0)
    assert a[0] is loose
    edge = a[0] ^ b[0]
    with fails(ValueError, "already holds", a, b):
        a.add_edge(tn.Edge(a, 0), 0)
    with fails(ValueError, "no axis 1", a, b):
        a.add_edge(tn.Edge(a, 0), 1)
    a.add_edge(tn.Edge(a, 0, "new"), 0, override=True)
    assert a[0].name == "new"
    assert not edge.is_being_used()


def test_reorder_axes_moves_edges_names_and_ends() -> None:
    a, b = make(2, 3, 4, axis_names=["x", "y", "z"]), make(4)
    dense = a.tensor
    edge = a["z"] ^ b[0]
    x, y = a["x"], a["y"]
    assert a.reorder_axes([2, 0, 1]) is a
    np.testing.assert_array_equal(a.tensor, dense.transpose(2, 0, 1))
    assert (a.shape, a.axis_names, a.edges) == ((4, 2, 3), ["z", "x", "y"], [edge, x, y])
    assert [edge.axis1, x.axis1, y.axis1] == [0, 1, 2]
    tn.check_correct([a, b])
    for bad in ([0, 1], [0, 1, 1], [-1, 0, 1]):
        with fails(ValueError, "not a permutation", a, b):
            a.reorder_axes(bad)


def test_reorder_axes_of_a_node_with_a_trace_edge() -> None:
    node = make(2, 2, 3)
    edge = node[0] ^ node[1]
    trace = np.trace(node.tensor)
    node.reorder_axes([1, 2, 0])
    assert {edge.axis1, edge.axis2} == {0, 2}
    tn.check_correct([node])
    np.testing.assert_array_equal(tn.contract(edge).tensor, trace)


def test_reorder_edges_and_tensor_from_edge_order() -> None:
    a = make(2, 3, axis_names=["x", "y"])
    dense, (x, y) = a.tensor, a.edges
    np.testing.assert_array_equal(a.tensor_from_edge_order([y, x]), dense.T)
    assert a.tensor is dense
    assert a.reorder_edges([y, x]).axis_names == ["y", "x"]
    assert a.edges == [y, x]
    with fails(ValueError, "are not the edges of node", a):
        a.reorder_edges([x])
    with fails(ValueError, "are not the edges of node", a):
        a.reorder_edges([x, make(2)[0]])
    with fails(TypeError, "expected an Edge", a):
        a.reorder_edges([0, 1])
    trace = make(2, 2)
    edge = trace[0] ^ trace[1]
    with fails(ValueError, "trace edge", trace):
        trace.reorder_edges([edge, edge])


def test_disabled_node_says_so() -> None:
    node = make(2, name="a")
    node.disable()
    for read in (lambda: node.edges, lambda: node.shape, lambda: node[0]):
        with pytest.raises(ValueError, match="node 'a' has been disabled"):
            read()
    assert "disabled" in repr(node)


def test_arithmetic_with_numbers_on_both_sides() -> None:
    node = tn.Node([2.0, 4.0], name="a", axis_names=["x"])
    for result, expected in [
        (node + 1, [3, 5]),
        (1 + node, [3, 5]),
        (node - 1, [1, 3]),
        (1 - node, [-1, -3]),
        (node * 2, [4, 8]),
        (2 * node, [4, 8]),
        (np.float64(2) * node, [4, 8]),
        (node / 2, [1, 2]),
        (8 / node, [4, 2]),
        (node * 1j, [2j, 4j]),
    ]:
        assert type(result) is tn.Node
        assert result.tensor.tolist() == expected
        assert result.name == "a"
    assert node.tensor.tolist() == [2, 4]


def test_arithmetic_between_nodes() -> None:
    a, b = tn.Node([[1.0, 2.0], [3.0, 4.0]], name="a"), tn.Node([10.0, 20.0], name="b")
    edge = a[0] ^ b[0]
    assert (a + b).tensor.tolist() == [[11, 22], [13, 24]]
    assert (b - a).name == "b"
    assert (a * a).tensor.tolist() == [[1, 4], [9, 16]]
    assert is_fresh(a / b)
    assert edge.is_being_used()
    assert a.op_protection(b) is b.tensor
    for bad in (np.ones(2), "x", [1, 2]):
        with fails(TypeError, "arithmetic on a node takes a number or another node", a, b):
            a * bad
        with fails(TypeError, "arithmetic on a node takes a number or another node", a, b):
            bad + a
    with pytest.raises(ValueError, match="broadcast"):
        a + tn.Node([1.0, 2.0, 3.0])


def test_nodes_are_ordered_by_when_they_were_made() -> None:
    a, b, c = make(1), make(1), make(1)
    assert sorted({c, a, b}) == [a, b, c]
    with fails(ValueError, "cannot order"):
        a < 3  # noqa: B015


def test_repr_shows_axes_and_connections() -> None:
    a, b = make(2, 3, name="a", axis_names=["x", "y"]), make(3, name="b")
    assert repr(a["y"] ^ b[0]) == "Edge('y': 'a'[1] -- 'b'[0], dimension=3)"
    assert repr(a) == "Node('a', [x: 2, y: 3 -> 'b'[0]], float64)"
    assert repr(b) == "Node('b', [0: 3 -> 'a'[1]], float64)"
    assert repr(a["x"]) == "Edge('x': 'a'[0] -- dangling, dimension=2)"
    assert "... 92 more" in repr(tn.CopyNode(100, 2))


def test_node_copy() -> None:
    node = tn.Node([1j, 2], name="a", axis_names=["x"])
    twin = node.copy(conjugate=True)
    assert (twin.name, twin.axis_names, names_of(twin.edges)) == ("a", ["x"], ["x"])
    assert twin.tensor.tolist() == [-1j, 2]
    assert twin[0] is not node[0]
    assert node.copy().tensor is node.tensor


def test_serial_dict_survives_json_and_keeps_the_dtype() -> None:
    node = tn.Node(np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)), name="a")
    node.add_axis_names(["x", "y"])
    twin = tn.Node.from_serial_dict(json.loads(json.dumps(node.to_serial_dict())))
    assert (twin.name, twin.axis_names, twin.dtype) == ("a", ["x", "y"], np.float32)
    np.testing.assert_array_equal(twin.tensor, node.tensor)
    copy_node = tn.CopyNode(3, 2, name="c", dtype=np.complex64)
    again = tn.CopyNode.from_serial_dict(json.loads(json.dumps(copy_node.to_serial_dict())))
    assert (again.shape, again.name, again.dtype) == ((2, 2, 2), "c", np.complex64)


def test_serial_dict_of_untrusted_length_is_refused() -> None:
    data = make(2).to_serial_dict()
    data["tensor"]["shape"] = [9]
    with pytest.raises(ValueError, match="take 72 bytes, which 24 letters of base64 do not hold"):
        tn.Node.from_serial_dict(data)


def test_copy_node_is_a_diagonal_of_ones_made_only_when_asked_for() -> None:
    node = tn.CopyNode(3, 2, name="c", axis_names=["x", "y", "z"], dtype=np.int64)
    assert (node.rank, node.dimension, node.shape, node.get_rank()) == (3, 2, (2, 2, 2), 3)
    assert node._tensor is None
    assert node.tensor.tolist() == [[[1, 0], [0, 0]], [[0, 0], [0, 1]]]
    assert node.dtype == node.copy_node_dtype == node.tensor.dtype == np.int64
    assert node._tensor is None
    assert tn.CopyNode(40, 100).shape == (100,) * 40
    assert tn.CopyNode(0, 5).tensor == 1
    assert tn.CopyNode.make_copy_tensor(2, 3, np.float32).tolist() == np.eye(3).tolist()
    twin = node.copy(conjugate=True)
    assert (twin.name, twin.shape, twin.axis_names) == (node.name, node.shape, node.axis_names)


def test_copy_node_refuses_bad_arguments_and_another_tensor() -> None:
    with fails(ValueError, "must not be negative"):
        tn.CopyNode(-1, 2)
    with fails(TypeError, "must be integers"):
        tn.CopyNode(2, 2.0)
    with fails(ValueError, r"plan\.run\(backend=\)"):
        tn.CopyNode(2, 2, backend="tensorflow")
    node = tn.CopyNode(2, 2, name="c")
    node.set_tensor(np.eye(2))
    with fails(ValueError, "tensor of CopyNode 'c' is fixed", node):
        node.tensor = np.ones((2, 2))


def test_a_copy_node_too_large_to_be_dense_says_so_when_asked() -> None:
    node, vector = tn.CopyNode(20, 50), make(50)
    message = f"takes {8 * 50**20} bytes"
    with fails(MemoryError, message, node):
        node.get_tensor()
    edge = tn.CopyNode(21, 50)[0] ^ vector[0]
    with fails(MemoryError, "20 axes", edge.node1, vector):
        tn.contract(edge)


def test_copy_node_arithmetic_gives_a_node() -> None:
    assert (2 * tn.CopyNode(2, 2)).tensor.tolist() == [[2, 0], [0, 2]]


def test_copy_node_partners() -> None:
    a, b = make(2, name="a"), make(2, 2, 3, name="b")
    hub = tn.CopyNode(5, 2, name="hub")
    for left, right in [(hub[0], b[1]), (hub[1], a[0]), (hub[2], b[0]), (hub[3], hub[4])]:
        left ^ right
    assert hub.get_partners() == {b: {0, 1}, a: {0}}
    assert list(hub.get_partners()) == [b, a]
    loose = tn.CopyNode(2, 2, name="hub")
    with fails(ValueError, "copy node 'hub' has the dangling", loose):
        loose.get_partners()


def test_compute_contracted_tensor_leaves_the_network() -> None:
    a, b, hub = make(2, 3), make(2), tn.CopyNode(2, 2)
    edges = [hub[0] ^ a[0], hub[1] ^ b[0]]
    np.testing.assert_array_equal(
        hub.compute_contracted_tensor(), np.einsum("ix,i->x", a.tensor, b.tensor)
    )
    assert all(edge.is_being_used() for edge in edges)


def test_node_collection_gathers_what_is_made_inside() -> None:
    outer: list[tn.AbstractNode] = []
    inner: set[tn.AbstractNode] = set()
    with tn.NodeCollection(outer) as collection:
        a, b = make(2, 3), make(3)
        with tn.NodeCollection(inner):
            c = tn.CopyNode(2, 2)
        edge = a[1] ^ b[0]
        result = tn.contract(edge)
        twin = result.copy()
    other = make(2)
    assert outer == [a, b, result, twin]
    assert inner == {c}
    collection.add(other)
    assert outer[-1] is other
    with pytest.raises(ValueError, match="a set or a list"):
        tn.NodeCollection({})


def test_node_collection_ends_with_an_exception_and_stays_in_its_thread() -> None:
    nodes: list[tn.AbstractNode] = []

    def make_and_raise() -> None:
        with tn.NodeCollection(nodes):
            make(1)
            raise KeyError

    with pytest.raises(KeyError):
        make_and_raise()
    make(1)
    with tn.NodeCollection(nodes):
        thread = threading.Thread(target=make, args=(1,))
        thread.start()
        thread.join()
    assert len(nodes) == 1


def test_backend_functions_accept_numpy_only() -> None:
    node = make(2)
    tn.switch_backend([node], "numpy")
    tn.set_default_backend("numpy")
    with tn.DefaultBackend("numpy"):
        assert tn.jit(make, backend="numpy", static_argnums=(0,)) is make
    for call in (
        lambda: tn.switch_backend([node], "jax"),
        lambda: tn.set_default_backend("pytorch"),
        lambda: tn.DefaultBackend("symmetric"),
        lambda: tn.jit(make, backend="jax"),
    ):
        with fails(ValueError, r"plan\.run\(backend=\)", node):
            call()
