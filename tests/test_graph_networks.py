"""Whole networks: who is connected to whom, copies, density matrices, pickling."""

from __future__ import annotations

import copy
import pickle
import threading
from itertools import pairwise

import numpy as np
import pytest
from graph_state import fails, make, names_of, picture

import tensornet
import tensornet.graph as tn


def triangle() -> tuple[tn.Node, tn.Node, tn.Node]:
    """Nodes a, b and c; two edges between a and b, one between b and c; dangling ends of each."""
    a = make(2, 3, 4, name="a", axis_names=["a0", "a1", "a2"])
    b = make(3, 4, 5, 2, name="b", axis_names=["b0", "b1", "b2", "b3"])
    c = make(5, 2, name="c", axis_names=["c0", "c1"])
    a[1] ^ b[0]
    a[2] ^ b[1]
    b[2] ^ c[0]
    return a, b, c


def test_every_name_of_the_graph_is_there_at_the_top() -> None:
    for name in tn.__all__:
        assert getattr(tensornet, name) is getattr(tn, name)


def test_reachable_from_nodes_and_edges() -> None:
    a, b, c = triangle()
    alone = make(2)
    for start in (a, [c], {b}, b[2], {a[0]}, [c, a[1]]):
        assert tn.reachable(start) == {a, b, c}
    assert tn.reachable([a, alone]) == {a, b, c, alone}
    with pytest.raises(TypeError):
        tn.reachable(3)
    with fails(TypeError, "nodes and edges, not int", a, b, c):
        tn.reachable([a, 3])
    with fails(ValueError, "at least one", a, b, c):
        tn.reachable([])


def test_reachable_is_not_recursive() -> None:
    nodes = [tn.CopyNode(2, 2) for _ in range(20_000)]
    for left, right in pairwise(nodes):
        left[1] ^ right[0]
    assert len(tn.reachable(nodes[0])) == 20_000
    tn.check_correct(nodes)


def test_check_connected() -> None:
    a, b, c = triangle()
    tn.check_connected([a, b, c])
    tn.check_connected([a, c])
    tn.check_connected([])
    with fails(ValueError, "1 of 2 nodes, such as 'far', cannot be reached from 'a'", a):
        tn.check_connected([a, make(2, name="far")])


def test_check_correct() -> None:
    a, b, c = triangle()
    tn.check_correct([a, b, c])
    tn.check_correct({a, make(2)}, check_connections=False)
    with fails(ValueError, "not connected", a):
        tn.check_correct([a, make(2)])
    with fails(TypeError, "expected nodes", a):
        tn.check_correct([a, 4])
    b.tensor = np.ones((3, 4, 6, 2))
    with fails(ValueError, "unequal dimension", a, b, c):
        tn.check_correct([a, b, c])
    b.tensor = np.ones((3, 4, 5, 2))
    c.add_edge(tn.Edge(a, 0), "c1")
    with fails(ValueError, "does not end there"):
        tn.check_correct([c])
    a.fresh_edges()
    with fails(ValueError, "is not the edge on axis"):
        tn.check_correct([b])


def test_sets_of_edges_and_nodes() -> None:
    a, b, c = triangle()
    assert tn.get_all_nodes([a[1], b[2]]) == {a, b, c}
    assert tn.get_all_nodes([a[0]]) == {a}
    assert tn.get_all_edges([a, c]) == {*a.edges, *c.edges}
    assert tn.get_all_nondangling({a, c}) == {a[1], a[2], c[0]}
    assert names_of(tn.get_all_dangling([c, b, a])) == ["c1", "b3", "a0"]
    assert names_of(tn.get_all_dangling({c, b, a})) == ["a0", "b3", "c1"]
    assert tn.get_subgraph_dangling([a, b]) == {a[0], b[2], b[3]}
    assert tn.get_subgraph_dangling({c}) == {c[0], c[1]}


def test_shared_and_parallel_edges_and_neighbours() -> None:
    a, b, c = triangle()
    assert tn.get_shared_edges(a, b) == tn.get_shared_edges(b, a) == {a[1], a[2]}
    assert tn.get_shared_edges(a, c) == set()
    assert tn.get_shared_edges(a, a) == set()
    assert tn.get_parallel_edges(a[2]) == {a[1], a[2]}
    assert tn.get_parallel_edges(c[1]) == {c[1]}
    assert tn.get_neighbors(b) == [a, c]
    trace = make(2, 2, 3)
    edge = trace[0] ^ trace[1]
    assert tn.get_shared_edges(trace, trace) == tn.get_parallel_edges(edge) == {edge}
    assert tn.get_neighbors(trace) == []


def test_copy_copies_nodes_and_the_edges_among_them() -> None:
    a, b, c = triangle()
    node_dict, edge_dict = tn.copy([a, b, c], conjugate=True)
    assert list(node_dict) == [a, b, c]
    assert set(edge_dict) == tn.get_all_edges([a, b, c])
    for node, twin in node_dict.items():
        assert (twin.name, twin.axis_names) == (node.name, node.axis_names)
        assert twin.edges == [edge_dict[edge] for edge in node.edges]
    for edge, twin_edge in edge_dict.items():
        assert twin_edge.name == edge.name
        assert twin_edge.node1 is node_dict[edge.node1]
        assert twin_edge.axis1 == edge.axis1
    tn.check_correct(node_dict.values())
    assert tn.reachable(a) == {a, b, c}


def test_copy_of_part_of_a_network_has_dangling_edges() -> None:
    _, b, _ = triangle()
    node_dict, edge_dict = tn.copy([b])
    assert all(edge.is_dangling() for edge in node_dict[b].edges)
    assert edge_dict[b[2]] is node_dict[b][2]
    assert node_dict[b].tensor is b.tensor


def test_copy_with_trace_edges_copy_nodes_and_complex_tensors() -> None:
    a = tn.Node(np.ones((2, 2, 3)) * 1j)
    hub = tn.CopyNode(2, 3, name="hub")
    trace = a[0] ^ a[1]
    a[2] ^ hub[0]
    node_dict, edge_dict = tn.copy({a, hub}, conjugate=True)
    assert edge_dict[trace].is_trace()
    assert node_dict[a].tensor[0, 0, 0] == -1j
    assert type(node_dict[hub]) is tn.CopyNode
    tn.check_correct(node_dict.values())


def test_replicate_nodes_keeps_the_order() -> None:
    a, b, c = triangle()
    twins = tn.replicate_nodes([c, a, b], conjugate=True)
    assert [twin.name for twin in twins] == ["c", "a", "b"]
    assert twins[0][0] is twins[2][2]


def test_reduced_density_of_a_state() -> None:
    rng = np.random.default_rng(1)
    a = tn.Node(rng.normal(size=(2, 3)) + 1j * rng.normal(size=(2, 3)))
    b = tn.Node(rng.normal(size=(3, 4)) + 1j * rng.normal(size=(3, 4)))
    state = a.tensor @ b.tensor
    a[1] ^ b[0]
    kept, traced = a[0], b[1]
    node_dict, edge_dict = tn.reduced_density([traced])
    assert edge_dict[traced] is b[1]
    assert not edge_dict[traced].is_dangling()
    order = [kept, edge_dict[kept]]
    result = tn.contractors.auto([a, b, *node_dict.values()], output_edge_order=order)
    np.testing.assert_allclose(result.tensor, state @ state.conj().T, rtol=1e-12)


def test_reduced_density_traces_out_dangling_edges_only() -> None:
    a, b, c = triangle()
    with fails(ValueError, "only dangling edges can be traced out", a, b, c):
        tn.reduced_density([a[0], a[1]])


def test_pickle_keeps_one_network_one() -> None:
    a, b, c = triangle()
    hub = tn.CopyNode(2, 2, name="hub", dtype=np.complex64)
    hub[0] ^ c[1]
    trace = make(2, 2)
    trace[0] ^ trace[1]
    nodes = [a, b, c, hub, trace]
    edges = [a[1], c[1], trace[0], a[0]]
    twins, twin_edges = pickle.loads(pickle.dumps((nodes, edges)))
    assert [type(node) for node in twins] == [type(node) for node in nodes]
    for node, twin in zip(nodes, twins):
        assert (twin.name, twin.axis_names, twin.dtype) == (node.name, node.axis_names, node.dtype)
        assert names_of(twin.edges) == names_of(node.edges)
        np.testing.assert_array_equal(twin.tensor, node.tensor)
    tn.check_correct(twins[:4])
    tn.check_correct(twins[4:])
    assert twin_edges == [twins[0][1], twins[2][1], twins[4][0], twins[0][0]]
    assert sorted(twins) == twins


def test_pickled_networks_contract_to_the_same_number() -> None:
    a, b, _ = triangle()
    twin = pickle.loads(pickle.dumps(b))
    results = [
        tn.contractors.auto(nodes, ignore_edge_order=True).tensor
        for nodes in (tn.reachable(twin), tn.reachable(a))
    ]
    np.testing.assert_array_equal(*results)


def test_pickle_of_every_state_of_nodes_and_edges() -> None:
    a, b = make(2, name="a"), make(2, name="b")
    stale = a[0]
    edge = tn.connect(a[0], b[0], "bond")
    assert pickle.loads(pickle.dumps(stale)).node1.name == "a"
    result = a @ b
    gone, fresh, scalar = pickle.loads(pickle.dumps((edge, a, result)))
    with pytest.raises(ValueError, match="edge 'bond' has already been contracted"):
        gone.node1  # noqa: B018
    assert names_of(fresh.edges) == ["0"]
    assert scalar.tensor == result.tensor
    a.disable()
    with pytest.raises(ValueError, match="has been disabled"):
        pickle.loads(pickle.dumps(a)).edges  # noqa: B018


def test_deepcopy_copies_the_network_and_copy_one_node() -> None:
    a, b, c = triangle()
    twin = copy.deepcopy(a)
    assert len(tn.reachable(twin)) == 3
    assert not tn.reachable(twin) & {a, b, c}
    assert twin.tensor is not a.tensor
    lone = copy.copy(a)
    assert tn.reachable(lone) == {lone}
    assert names_of(lone.edges) == names_of(a.edges)


def test_pickle_sees_changes_between_dumps() -> None:
    a, b, c = triangle()
    memo: dict[int, object] = {}  # keeps what the first copy took of the network alive
    copy.deepcopy(a, memo)
    b[2].disconnect()
    assert {node.name for node in tn.reachable(copy.deepcopy(a))} == {"a", "b"}
    assert {node.name for node in tn.reachable(copy.deepcopy(c))} == {"c"}


def test_long_networks_pickle_without_recursion() -> None:
    nodes = [tn.CopyNode(2, 2) for _ in range(20_000)]
    for left, right in pairwise(nodes):
        left[1] ^ right[0]
    twins = pickle.loads(pickle.dumps(nodes))
    assert tn.reachable(twins[0]) == set(twins)


def test_networks_pickle_in_several_threads_at_once() -> None:
    nodes = [tn.CopyNode(2, 2) for _ in range(300)]
    for left, right in pairwise(nodes):
        left[1] ^ right[0]
    sizes = []

    def dump() -> None:
        twins = pickle.loads(pickle.dumps(nodes))
        sizes.append(len(tn.reachable(twins[0]) & set(twins)))

    threads = [threading.Thread(target=dump) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sizes == [300] * 4


def test_subclasses_of_node_keep_their_own_fields() -> None:
    node = pickle.loads(pickle.dumps(Tagged([1, 2], tag="t")))
    assert (type(node), node.tag, node.tensor.tolist()) == (Tagged, "t", [1, 2])
    other = make(2)
    value = node.tensor @ other.tensor
    node[0] ^ other[0]
    assert (node @ other).tensor == value


class Tagged(tn.Node):
    def __init__(self, tensor: object, tag: str) -> None:
        super().__init__(tensor)
        self.tag = tag


def test_pictures_see_changes() -> None:
    a, b, c = triangle()
    before = picture([a, b, c])
    assert picture([a, b, c]) == before
    a[0].set_name("other")
    assert picture([a, b, c]) != before
