"""Hyperedges: one index on any number of axes, in every part of the graph."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from graph_state import fails, is_fresh, make, picture

import tensornet.graph as tn
from tensornet.graph import contractors


def three(dangling: bool = False) -> tuple[tn.Node, tn.Node, tn.Node, tn.HyperEdge]:
    """Nodes ix, yi, i that share i."""
    a, b, c = make(2, 3, name="a"), make(4, 2, name="b"), make(2, name="c")
    return a, b, c, tn.hyperedge([a[0], b[1], c[0]], name="i", dangling=dangling)


def values(nodes: Sequence[tn.AbstractNode], equation: str) -> Any:
    return np.einsum(equation, *[node.tensor for node in nodes])


def test_a_hyperedge_joins_axes_as_one_small_node() -> None:
    a, b, c, hub = three()
    assert hub.name == "i"
    assert (hub.shape, hub.dimension, hub.rank) == ((2, 2, 2), 2, 3)
    assert repr(hub).startswith("HyperEdge('i'")
    assert tn.get_all_nodes([a[0]]) == {a, hub}
    assert tn.reachable(a) == {a, b, c, hub}
    assert tn.get_neighbors(hub) == [a, b, c]
    assert hub.get_partners() == {a: {0}, b: {1}, c: {0}}
    tn.check_correct([a, b, c, hub])


def test_contractors_sum_it_without_its_being_named() -> None:
    for search in (contractors.auto, contractors.greedy, contractors.optimal, contractors.branch):
        a, b, c, hub = three()
        expected, order = values([a, b, c], "ix,yi,i->yx"), [b[0], a[1]]
        result = search([a, b, c], output_edge_order=order)
        np.testing.assert_array_equal(result.tensor, expected)
        assert result.edges == order
        assert all(is_fresh(node) for node in (a, b, c, hub))
        tn.check_correct([result])


def test_it_may_be_named_among_the_nodes() -> None:
    a, b, c, hub = three()
    expected = values([a, b, c], "ix,yi,i->xy")
    result = contractors.auto(tn.reachable(a), output_edge_order=[a[1], b[0]])
    np.testing.assert_array_equal(result.tensor, expected)
    assert is_fresh(hub)


def test_a_dangling_end_keeps_the_index_open() -> None:
    a, b, c, hub = three(dangling=True)
    expected, batch = values([a, b, c], "ix,yi,i->iyx"), hub[-1]
    result = contractors.auto([a, b, c], output_edge_order=[batch, b[0], a[1]])
    np.testing.assert_array_equal(result.tensor, expected)
    assert result[0] is batch
    assert batch.is_dangling()
    tn.check_correct([result])


def test_any_edge_of_it_names_the_axis_of_an_open_one() -> None:
    a, b, c, _ = three(dangling=True)
    expected = values([a, b, c], "ix,yi,i->xiy")
    result = contractors.auto([a, b, c], output_edge_order=[a[1], c[0], b[0]])
    np.testing.assert_array_equal(result.tensor, expected)


def test_pairs_keep_it_as_one_axis_until_the_last_node() -> None:
    a, b, c, hub = three()
    expected = values([a, b, c], "ix,yi,i->xy")
    batched = values([a, b], "ix,yi->ixy")
    ab = tn.contract_between(a, b)
    np.testing.assert_array_equal(ab.tensor, batched)
    tn.check_correct([ab, c])  # two are left: the hyperedge has become an edge
    assert tn.get_shared_edges(ab, c) == {ab[0]}
    assert is_fresh(hub)
    np.testing.assert_array_equal((ab @ c).tensor, expected)


def test_it_stays_while_two_others_hold_it() -> None:
    nodes = [make(2, name=name) for name in "abcd"]
    expected = values(nodes, "i,i,i,i->")
    a, b, c, d = nodes
    hub = tn.hyperedge([node[0] for node in nodes])
    ab = a @ b
    assert ab.shape == (2,)
    assert hub.rank == 3
    tn.check_correct([ab, c, d, hub])
    assert tn.get_neighbors(hub) == [ab, c, d]
    cd = c @ d
    assert float((ab @ cd).tensor) == expected


def test_axis_names_of_it_stay_with_their_axes() -> None:
    nodes = [make(2, name=name) for name in "abcd"]
    hub = tn.hyperedge([node[0] for node in nodes])
    hub.add_axis_names(["a", "b", "c", "d"])
    nodes[0] @ nodes[2]
    assert hub.axis_names == ["a", "b", "d"]


def test_an_edge_order_of_a_pair_may_name_it() -> None:
    a, b, _, _ = three()
    batched = values([a, b], "ix,yi->yix")
    order = [b[0], b[1], a[1]]
    result = tn.contract_between(a, b, output_edge_order=order)
    np.testing.assert_array_equal(result.tensor, batched)


def test_contracting_an_edge_of_it_contracts_all_nodes_on_it() -> None:
    for way in (tn.contract, tn.contract_parallel):
        a, b, c, hub = three()
        expected = values([a, b, c], "ix,yi,i->xy")
        np.testing.assert_array_equal(way(b[1]).tensor, expected)
        assert is_fresh(hub)
    a, b, c, hub = three(dangling=True)
    expected = values([a, b, c], "ix,yi,i->ixy")
    result = tn.contract_copy_node(hub, name="all")
    assert result.name == "all"
    np.testing.assert_array_equal(result.tensor, expected)


def test_nodes_that_share_nothing_are_still_refused() -> None:
    a, b, _, _ = three()
    lone = make(3, name="lone")
    with fails(ValueError, "no edges between", a, lone):
        tn.contract_between(a, lone)
    with fails(ValueError, "no edges between", b, lone):
        lone @ b


def test_two_axes_of_one_node_on_it_are_a_diagonal() -> None:
    a, b = make(3, 3, name="a"), make(3, name="b")
    expected = np.einsum("ii,i->", a.tensor, b.tensor)
    tn.hyperedge([a[0], a[1], b[0]])
    assert float(contractors.auto([a, b]).tensor) == expected


def test_edges_between_nodes_can_be_widened() -> None:
    a, b, c = make(2, name="a"), make(2, name="b"), make(2, name="c")
    expected = values([a, b, c], "i,i,i->")
    edge = a[0] ^ b[0]
    hub = tn.hyperedge([edge, c[0]])
    assert hub.rank == 3
    assert float(contractors.auto([a, b, c]).tensor) == expected


def test_hyperedges_that_are_connected_are_one_index() -> None:
    one, two = ([make(2, name=name) for name in names] for names in ("ab", "cd"))
    hubs = [tn.hyperedge([node[0] for node in nodes], dangling=True) for nodes in (one, two)]
    expected = values([*one, *two], "i,i,i,i->")
    hubs[0][-1] ^ hubs[1][-1]
    ab = one[0] @ one[1]
    assert ab.shape == (2,)
    tn.check_correct(tn.reachable(ab))
    assert float(contractors.auto([ab, *two]).tensor) == expected


def test_copies_keep_what_two_of_the_nodes_share() -> None:
    a, b, c, hub = three()
    nodes, edges = tn.copy([a, b, c])
    assert type(nodes[hub]) is tn.HyperEdge
    assert edges[a[0]].node2 is nodes[hub] or edges[a[0]].node1 is nodes[hub]
    expected = values([a, b, c], "ix,yi,i->xy")
    twins = tn.replicate_nodes([a, b, c])
    assert len(twins) == 3
    result = contractors.auto(twins, output_edge_order=[twins[0][1], twins[1][0]])
    np.testing.assert_array_equal(result.tensor, expected)
    tn.check_correct([a, b, c, hub])


def test_copies_keep_what_nodes_share_by_several_hyperedges() -> None:
    a, b, c = make(2, name="a"), make(2, name="b"), make(2, name="c")
    expected = values([a, b, c], "i,i,i->")
    first = tn.hyperedge([a[0], b[0]], dangling=True)
    second = tn.hyperedge([first[-1], c[0]], dangling=True)
    third = tn.hyperedge([second[-1]], dangling=True)  # leads to nobody
    nodes, _ = tn.copy([a, b, c])
    assert list(nodes) == [a, b, c, first, second]
    assert float(contractors.auto(tn.replicate_nodes([a, b, c])).tensor.sum()) == expected
    nodes, _ = tn.copy([a, c])
    assert list(nodes) == [a, c, first, second]
    nodes, _ = tn.copy([a, b])
    assert list(nodes) == [a, b, first]
    nodes, _ = tn.copy([a])
    assert list(nodes) == [a]
    tn.check_correct([a, b, c, first, second, third])


def test_a_copy_without_one_of_the_nodes_has_a_dangling_end() -> None:
    a, b, _, hub = three()
    nodes, _ = tn.copy([a, b])
    assert [edge.is_dangling() for edge in nodes[hub].edges] == [False, False, True]
    alone, _ = tn.copy([a])
    assert list(alone) == [a]
    assert alone[a][0].is_dangling()


def test_reduced_density_of_a_state_with_a_hyperedge() -> None:
    a, b, c = make(2, 3, name="a"), make(2, 4, name="b"), make(2, 5, name="c")
    state = np.einsum("ix,iy,iz->xyz", a.tensor, b.tensor, c.tensor)
    tn.hyperedge([node[0] for node in (a, b, c)])
    kept, (_, edges) = a[1], tn.reduced_density([b[1], c[1]])
    density = contractors.auto(tn.reachable(a), output_edge_order=[kept, edges[kept]]).tensor
    np.testing.assert_allclose(density, np.einsum("xyz,wyz->xw", state, state))


def test_the_open_index_of_a_state_can_be_traced_out() -> None:
    a, b, _, hub = three(dangling=True)
    c = tn.get_neighbors(hub)[2]
    state = values([a, b, c], "ix,yi,i->ixy")
    kept, (_, edges) = [a[1], b[0]], tn.reduced_density([hub[-1]])
    order = [*kept, *[edges[edge] for edge in kept]]
    density = contractors.auto(tn.reachable(a), output_edge_order=order).tensor
    np.testing.assert_allclose(density, np.einsum("ixy,izw->xyzw", state, state))


def test_pickling_keeps_it() -> None:
    a, b, c, _ = three()
    expected = values([a, b, c], "ix,yi,i->xy")
    x, y, z = pickle.loads(pickle.dumps([a, b, c]))
    assert type(x[0].node1 if x[0].node2 is x else x[0].node2) is tn.HyperEdge
    result = contractors.auto([x, y, z], output_edge_order=[x[1], y[0]])
    np.testing.assert_array_equal(result.tensor, expected)


def test_breaking_it_leaves_open_ends() -> None:
    a, b, c, hub = three()
    expected = values([a, b], "ix,yi->ixy")
    _, ends = tn.remove_node(c)
    assert ends[0].is_dangling()
    assert ends[0].node1 is hub
    result = contractors.auto([a, b], output_edge_order=[ends[0], a[1], b[0]])
    np.testing.assert_array_equal(result.tensor, expected)


def test_it_is_never_dense() -> None:
    size = 10**6
    nodes = [tn.Node(np.full(size, value)) for value in (1.0, 2.0, 3.0, 0.5)]
    tn.hyperedge([node[0] for node in nodes])
    assert float(contractors.auto(nodes).tensor) == 3.0 * size
    nodes = [tn.Node(np.full(size, value)) for value in (1.0, 2.0, 3.0, 0.5)]
    hub = tn.hyperedge([node[0] for node in nodes], dangling=True)
    result = contractors.auto(nodes, output_edge_order=[hub[-1]])
    assert result.shape == (size,)


def test_random_networks_agree_with_einsum() -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        count, letters = int(rng.integers(2, 6)), 5
        terms = [sorted(rng.choice(letters, int(rng.integers(1, 4)), False)) for _ in range(count)]
        nodes = [tn.Node(rng.integers(-3, 4, [2] * len(term)).astype(float)) for term in terms]
        output, order = [], []
        for letter in range(letters):
            edges = [node[t.index(letter)] for node, t in zip(nodes, terms) if letter in t]
            opened = bool(edges) and rng.random() < 0.3
            if len(edges) == 2 and not opened:
                tn.connect(*edges)
            elif len(edges) > 1:
                hub = tn.hyperedge(edges, dangling=opened)
                edges = [hub[-1]] if opened else []
            if len(edges) == 1:
                output.append(letter)
                order += edges
        operands: list[Any] = []
        for node, term in zip(nodes, terms):
            operands += [node.tensor, list(map(int, term))]
        expected = np.einsum(*operands, output)
        if rng.random() < 0.5 and count > 2:  # some pairs first
            joined = tn.contract_between(nodes[0], nodes[1], allow_outer_product=True)
            tn.check_correct(tn.reachable([joined, *nodes[2:]]), check_connections=False)
            nodes = [joined, *nodes[2:]]
        result = contractors.auto(nodes, output_edge_order=order)
        np.testing.assert_array_equal(result.tensor, expected)


@pytest.mark.parametrize(
    ("pick", "kind", "match"),
    [
        (lambda a, b: [], ValueError, "at least two ends, not 0"),
        (lambda a, b: [a[0]], ValueError, "at least two ends, not 1"),
        (lambda a, b: [a[0], a[0]], ValueError, "to itself"),
        (lambda a, b: [a[0], b[0]], ValueError, "node 'a'.*has 2 and axis 0 of node 'b'.*has 4"),
        (lambda a, b: [a[0], b], TypeError, "expected an Edge"),
    ],
)
def test_what_cannot_be_joined_changes_nothing(pick: Any, kind: Any, match: str) -> None:
    a, b = make(2, 3, name="a"), make(4, 2, name="b")
    with fails(kind, match, a, b):
        tn.hyperedge(pick(a, b))


def test_a_failed_contraction_leaves_it_as_it_was() -> None:
    a, b, c, hub = three()
    with fails(ValueError, "output_edge_order", a, b, c, hub):
        contractors.auto([a, b, c], output_edge_order=[a[1]])
    with fails(ValueError, "output_edge_order", a, b, c, hub):
        tn.contract_between(a, b, output_edge_order=[a[1], b[0]])
    with fails(ValueError, "axis names", a, b, c, hub):
        tn.contract_between(a, b, axis_names=["x"])
    c.set_tensor(np.ones(5))
    before = picture([a, b, hub])
    with pytest.raises(ValueError, match=r"'c'.*extents differ"):
        contractors.auto([a, b, c], ignore_edge_order=True)
    assert picture([a, b, hub]) == before


def test_paths_count_only_the_nodes_given() -> None:
    a, b, c, _ = three()
    expected = values([a, b, c], "ix,yi,i->xy")
    path = contractors.path_solver("optimal", [a, b, c])
    assert len(path) == 2
    result = contractors.contract_path(path, [a, b, c], [a[1], b[0]])
    np.testing.assert_array_equal(result.tensor, expected)


def test_slicing_it_slices_all_nodes_on_it() -> None:
    a, b, c, hub = three()
    expected = np.einsum("ix,yi,i->xy", a.tensor[1:], b.tensor[:, 1:], c.tensor[1:])
    assert tn.slice_edge(b[1], 1, 1).dimension == 1
    assert (a.shape, b.shape, c.shape, hub.shape) == ((1, 3), (4, 1), (1,), (1, 1, 1))
    tn.check_correct([a, b, c, hub])
    result = contractors.auto([a, b, c], output_edge_order=[a[1], b[0]])
    np.testing.assert_array_equal(result.tensor, expected)


def test_flattening_and_splitting_it_is_refused() -> None:
    a, b, c, hub = three()
    with fails(ValueError, "copy node", a, b, c, hub):
        tn.split_edge(a[0], (2, 1))
