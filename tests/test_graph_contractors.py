"""Contracting whole networks: every search, order of axes, limits, copy nodes, size."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import opt_einsum
import pytest
from graph_state import fails, is_fresh, make

import tensornet.graph as tn
from tensornet.graph import contractors

SEARCHES: list[Callable[..., tn.AbstractNode]] = [
    contractors.auto,
    contractors.greedy,
    contractors.optimal,
    contractors.branch,
]


def chain(*shapes: tuple[int, int]) -> list[tn.Node]:
    nodes = [make(*shape, name=f"n{k}") for k, shape in enumerate(shapes)]
    for left, right in pairwise(nodes):
        left[1] ^ right[0]
    return nodes


@pytest.mark.parametrize("search", SEARCHES)
def test_searches_agree_with_einsum(search: Callable[..., tn.AbstractNode]) -> None:
    a, _, c = nodes = chain((2, 3), (3, 4), (4, 5))
    value = np.linalg.multi_dot([node.tensor for node in nodes])
    edge, order = a[1], [c[1], a[0]]
    result = search(nodes, output_edge_order=order)
    np.testing.assert_array_equal(result.tensor, value.T)
    assert (result.edges, result.name) == (order, "__unnamed_node__")
    assert all(is_fresh(node) for node in nodes)
    with pytest.raises(ValueError, match="contracted"):
        edge.name  # noqa: B018
    tn.check_correct([result])


def test_random_networks_agree_with_einsum() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        count = int(rng.integers(2, 7))
        ends = [(i, j) for i in range(count) for j in range(i, count) if rng.random() < 0.5]
        terms: list[list[int]] = [[] for _ in range(count)]
        for letter, (i, j) in enumerate(ends):
            terms[i].append(letter)
            terms[j].append(letter)
        free = len(ends)
        for term in terms[:3]:
            term.append(free)
            free += 1
        terms = [[int(x) for x in rng.permutation(term)] for term in terms]
        nodes = [tn.Node(rng.integers(-3, 4, [2] * len(term)).astype(float)) for term in terms]
        axes: dict[int, list[tn.Edge]] = {}
        for node, term in zip(nodes, terms):
            for axis, letter in enumerate(term):
                axes.setdefault(letter, []).append(node[axis])
        for pair in axes.values():
            if len(pair) == 2:
                pair[0] ^ pair[1]
        output = [letter for letter, pair in axes.items() if len(pair) == 1]
        operands: list[Any] = [x for node, term in zip(nodes, terms) for x in (node.tensor, term)]
        expected = np.einsum(*operands, output, optimize="greedy")
        result = contractors.auto(nodes, output_edge_order=[axes[x][0] for x in output])
        np.testing.assert_array_equal(result.tensor, expected)


@pytest.mark.parametrize("nbranch", [None, 1, 2, 5])
def test_branch_takes_a_number_of_branches(nbranch: int | None) -> None:
    nodes = chain((2, 3), (3, 4), (4, 5))
    assert contractors.branch(nodes, nbranch=nbranch, ignore_edge_order=True).shape == (2, 5)


def test_custom_takes_an_opt_einsum_optimizer() -> None:
    class LeftToRight(opt_einsum.paths.PathOptimizer):
        def __call__(self, inputs: Any, output: Any, size_dict: Any, memory_limit: Any) -> Any:
            seen.append(memory_limit)
            return [(0, len(inputs) - 1 - k) for k in range(len(inputs) - 1)]

    seen: list[Any] = []
    nodes = chain((2, 3), (3, 4), (4, 5))
    result = contractors.custom(nodes, LeftToRight(), ignore_edge_order=True, memory_limit=1000)
    assert result.shape == (2, 5)
    assert seen == [1000]


def test_the_whole_network_is_one_contraction(monkeypatch: pytest.MonkeyPatch) -> None:
    from tensornet.graph import lowering

    calls: list[Any] = []
    real = lowering.contract_expr

    def counting(*args: Any, **options: Any) -> Any:
        calls.append({name: value for name, value in options.items() if name != "key"})
        return real(*args, **options)

    monkeypatch.setattr(lowering, "contract_expr", counting)
    contractors.auto(chain((2, 2), (2, 2), (2, 2), (2, 2)), ignore_edge_order=True)
    contractors.greedy(chain((2, 2), (2, 2)), ignore_edge_order=True, memory_limit=50)
    contractors.greedy(chain((2, 2), (2, 2)), ignore_edge_order=True, memory_limit="1MB")
    assert calls == [
        {"optimize": "once", "max_entries": None},
        {"optimize": "greedy", "max_entries": 50},
        {"optimize": "greedy", "memory_limit": "1MB"},
    ]


def test_a_memory_limit_slices_instead_of_failing() -> None:
    nodes = chain((8, 8), (8, 8), (8, 8))
    value = np.linalg.multi_dot([node.tensor for node in nodes])
    np.testing.assert_array_equal(
        contractors.auto(nodes, [nodes[0][0], nodes[2][1]], memory_limit=70).tensor, value
    )


def test_two_open_edges_need_an_order() -> None:
    nodes = chain((2, 3), (3, 4))
    with fails(ValueError, r"the result has 2 open edges, \[Edge\('n0'\[0\]", *nodes):
        contractors.auto(nodes)
    with fails(ValueError, "2 open edges", make(2, 3)):
        contractors.auto([make(2, 3)])
    order = [nodes[0][0], nodes[1][1]]
    assert contractors.auto(iter(nodes), ignore_edge_order=True).edges == order


def test_another_order_is_refused() -> None:
    a, b, c = nodes = chain((2, 3), (3, 4), (4, 5))
    stale = make(3)[0]
    for order in ([a[0]], [a[0], a[1]], [a[0], a[0]], [a[0], c[1], stale]):
        with fails(ValueError, "must be exactly the edges that remain", *nodes):
            contractors.auto(nodes, output_edge_order=order)
    old = a[0]
    old.node1.fresh_edges()
    with pytest.raises(ValueError, match="no longer on axis 0 of node 'n0'"):
        contractors.auto([c, b], output_edge_order=[old, c[1]])


def test_an_order_may_come_from_any_iterable_and_nodes_from_a_set() -> None:
    nodes = chain((2, 3), (3, 4))
    value = (nodes[0].tensor @ nodes[1].tensor).T
    order = [nodes[1][1], nodes[0][0]]
    result = contractors.greedy(set(nodes), output_edge_order=iter(order))
    np.testing.assert_array_equal(result.tensor, value)


def test_sets_are_contracted_in_the_order_nodes_were_made() -> None:
    nodes = [make(k + 2, name=str(k)) for k in range(20)][::-1]
    for left, right in zip(nodes[::2], nodes[1::2]):
        tn.slice_edge(left[0], 0, 2)
        tn.slice_edge(right[0], 0, 2)
    first, last = nodes[-1][0], nodes[0][0]
    result = contractors.auto(set(nodes[:2]) | set(nodes[-2:]), ignore_edge_order=True)
    assert (result[0], result[-1]) == (first, last)


def test_nodes_given_twice_count_once() -> None:
    a, b = chain((2, 3), (3, 4))
    value = a.tensor @ b.tensor
    np.testing.assert_array_equal(contractors.auto([a, b, a], [a[0], b[1]]).tensor, value)


def test_empty_networks_and_other_things_are_refused() -> None:
    with fails(ValueError, "empty network"):
        contractors.auto([])
    with fails(ValueError, "empty network"):
        contractors.path_solver("auto", [])
    with fails(TypeError, "expected nodes, not int"):
        contractors.auto([make(1), 3])
    with fails(TypeError, "expected nodes, not str"):
        contractors.auto({"a"})


def test_a_single_node_is_returned_reordered() -> None:
    a = make(2, 3)
    x, y = a.edges
    dense = a.tensor
    assert contractors.auto([a], output_edge_order=[y, x]) is a
    np.testing.assert_array_equal(a.tensor, dense.T)
    assert contractors.auto([a], ignore_edge_order=True) is a
    vector = make(2)
    assert contractors.auto([vector]) is vector


def test_a_single_node_with_trace_edges_is_contracted() -> None:
    a = make(3, 2, 3, name="a")
    value = np.trace(a.tensor, axis1=0, axis2=2)
    a[0] ^ a[2]
    result = contractors.auto([a])
    np.testing.assert_array_equal(result.tensor, value)
    assert (result.name, is_fresh(a)) == ("a", True)


def test_part_of_a_network_keeps_its_edges_to_the_rest() -> None:
    a, b, c = chain((2, 3), (3, 4), (4, 5))
    bond = b[1]
    result = contractors.auto([a, b], output_edge_order=[bond, a[0]])
    assert (bond.node1, bond.axis1, bond.node2) == (result, 0, c)
    assert c[0] is bond
    tn.check_correct([result, c])


def test_edges_to_the_rest_move_whichever_end_they_have_inside() -> None:
    a, b, c = make(2, name="a"), make(2, 2, name="b"), make(2, name="c")
    first, second = c[0] ^ b[0], b[1] ^ a[0]
    result = contractors.auto([b, a])
    assert (first.node1, first.node2, first.axis2) == (c, result, 0)
    assert not second.is_being_used()
    tn.check_correct([result, c])


def test_disconnected_networks_are_multiplied() -> None:
    a, b = make(2), make(3)
    value = np.multiply.outer(b.tensor, a.tensor)
    np.testing.assert_array_equal(contractors.auto([a, b], [b[0], a[0]]).tensor, value)


@pytest.mark.parametrize("search", SEARCHES)
def test_copy_nodes_are_hyperedges(search: Callable[..., tn.AbstractNode]) -> None:
    a, b, c = make(2, 3), make(2, 4), make(2)
    value = np.einsum("ix,iy,i->yx", a.tensor, b.tensor, c.tensor)
    left, right = tn.CopyNode(3, 2), tn.CopyNode(2, 2)
    for edge1, edge2 in [(left[0], a[0]), (left[1], b[0]), (left[2], right[0]), (right[1], c[0])]:
        edge1 ^ edge2
    result = search([left, a, b, right, c], output_edge_order=[b[1], a[1]])
    np.testing.assert_array_equal(result.tensor, value)


def test_copy_nodes_with_dangling_edges() -> None:
    a = make(2, 3)
    hub = tn.CopyNode(4, 2)
    value = np.einsum("ax,abcd->bxcd", a.tensor, hub.tensor)
    hub[0] ^ a[0]
    result = contractors.auto([hub, a], output_edge_order=[hub[1], a[1], hub[2], hub[3]])
    np.testing.assert_array_equal(result.tensor, value)


def test_networks_of_nothing_but_copy_nodes() -> None:
    hub = tn.CopyNode(2, 3)
    hub[0] ^ hub[1]
    assert contractors.auto([hub]).tensor == 3
    assert contractors.auto([tn.CopyNode(0, 3), tn.CopyNode(0, 2)]).tensor == 1
    left, right = tn.CopyNode(3, 2), tn.CopyNode(2, 2)
    left[0] ^ right[0]
    order = [right[1], left[2], left[1]]
    np.testing.assert_array_equal(
        contractors.auto([left, right], order).tensor, tn.CopyNode(3, 2).tensor
    )
    lone = tn.CopyNode(2, 2)
    edges = lone.edges
    assert contractors.auto([lone], [edges[1], edges[0]]) is lone


def test_many_copy_nodes_in_a_row_merge() -> None:
    hubs = [tn.CopyNode(2, 3) for _ in range(2000)]
    for left, right in pairwise(hubs):
        left[1] ^ right[0]
    a, b = make(3), make(3)
    value = a.tensor @ b.tensor
    hubs[0][0] ^ a[0]
    hubs[-1][1] ^ b[0]
    assert contractors.auto([a, *hubs, b]).tensor == value


@pytest.mark.parametrize("algorithm", ["auto", "greedy", "optimal", "branch"])
def test_path_solver_and_contract_path(algorithm: str) -> None:
    nodes = chain((2, 3), (3, 4), (4, 5), (5, 6))
    value = np.linalg.multi_dot([node.tensor for node in nodes])
    path = contractors.path_solver(algorithm, nodes, memory_limit=None, nbranch=None)
    assert [len(step) for step in path] == [2, 2, 2]
    assert all(node[0].is_being_used() for node in nodes)
    order = [nodes[0][0], nodes[-1][1]]
    result = contractors.contract_path(path, nodes, order)
    np.testing.assert_array_equal(result.tensor, value)
    assert result.edges == order


def test_path_solver_finds_the_cheapest_pair_first() -> None:
    assert contractors.path_solver("optimal", chain((9, 9), (9, 9), (9, 1)))[0] == (1, 2)


def test_path_solver_refuses_unknown_algorithms() -> None:
    nodes = chain((2, 3), (3, 4))
    with fails(ValueError, "bogus", *nodes):
        contractors.path_solver("bogus", nodes)


def test_contract_path_follows_traces_and_refuses_other_networks() -> None:
    a, b = make(3, 3, 2), make(2)
    value = np.einsum("aab,b->", a.tensor, b.tensor)
    a[0] ^ a[1]
    a[2] ^ b[0]
    with fails(ValueError, "names position 5", a, b):
        contractors.contract_path([(0, 5)], [a, b], None)
    path = [(0,), (0, 1)]
    assert contractors.contract_path(path, [a, b], None).tensor == value
    with fails(ValueError, "empty network"):
        contractors.contract_path([], [], None)
    for path in ([(0, 99)], [(1,)]):
        with fails(ValueError, "position", b):
            contractors.contract_path(path, [b], None)
        with fails(ValueError, "position", b):
            contractors.custom([b], path)
    assert contractors.contract_path([(0,)], [b], None) is b


def test_paths_count_copy_nodes_as_nodes() -> None:
    a, b, c = make(2, 3), make(2, 4), make(2, 5)
    value = np.einsum("ix,iy,iz->xyz", a.tensor, b.tensor, c.tensor)
    hub, lone = tn.CopyNode(3, 2), tn.CopyNode(2, 7)
    lone[0] ^ lone[1]
    for i, node in enumerate([a, b, c]):
        hub[i] ^ node[0]
    nodes = [a, hub, lone, b, c]
    order = [node[1] for node in (a, b, c)]
    path = contractors.path_solver("greedy", nodes)
    left = len(nodes)
    for step in path:
        assert all(0 <= place < left for place in step)
        left += 1 - len(step)
    assert left == 1
    with fails(ValueError, r"step \(0, 9\) of the path", *nodes):
        contractors.contract_path([(0, 9)], nodes, order)
    twins = tn.replicate_nodes(nodes)
    twin_order = [twins[0][1], twins[3][1], twins[4][1]]
    for some_path, some_nodes, edges in [
        (path, nodes, order),
        ([(0, 1), (0, 1), (0, 2), (0, 1)], twins, twin_order),
    ]:
        result = contractors.contract_path(some_path, some_nodes, edges)
        np.testing.assert_array_equal(result.tensor, 7 * value)


def test_bucket_contracts_copy_nodes_with_their_partners() -> None:
    a, b, d, e = make(2), make(2, 2), make(2), make(2)
    first, second = tn.CopyNode(3, 2), tn.CopyNode(2, 2)
    value = np.einsum("i,ij,i,j->", a.tensor, b.tensor, e.tensor, d.tensor)
    for edge1, edge2 in [(first[0], a[0]), (first[1], b[0]), (first[2], e[0])]:
        edge1 ^ edge2
    second[0] ^ b[1]
    second[1] ^ d[0]
    twins = dict(zip("fsabde", tn.replicate_nodes([first, second, a, b, d, e])))
    (result,) = contractors.bucket([first, second, a, b, d, e], [first, second])
    assert result.tensor == value
    left = contractors.bucket(twins.values(), [twins["f"]])
    assert {twins["s"], twins["d"]} < left
    assert len(left) == 3
    assert contractors.auto(left).tensor == value


def test_bucket_keeps_groups_apart_and_open_edges_open() -> None:
    nodes: list[tn.AbstractNode] = []
    opened = []
    for _ in range(2):
        a, b, hub = make(2, 3), make(2), tn.CopyNode(2, 2)
        hub[0] ^ a[0]
        hub[1] ^ b[0]
        opened.append(a[1])
        nodes += [a, b, hub]
    results = contractors.bucket(nodes, [nodes[2], nodes[5]])
    assert {edge.node1 for edge in opened} == results


def test_bucket_refuses_what_it_cannot_contract_and_changes_nothing() -> None:
    a, b, hub = make(2, name="a"), make(2, name="b"), tn.CopyNode(3, 2, name="hub")
    hub[0] ^ a[0]
    hub[1] ^ b[0]
    everything = (a, b, hub)
    with fails(ValueError, "has the dangling", *everything):
        contractors.bucket(everything, [hub])
    with fails(TypeError, "not Node", *everything):
        contractors.bucket(everything, [a])
    c = make(2, name="c")
    hub[2] ^ c[0]
    with fails(ValueError, "node 'c' at copy node 'hub' is missing", *everything, c):
        contractors.bucket(everything, [hub])


def test_a_hundred_thousand_nodes() -> None:
    matrix = np.array([[0.5, 0.5], [0.5, 0.5]])
    nodes = [tn.Node([1.0, 0.0]), *[tn.Node(matrix) for _ in range(99_998)], tn.Node([1.0, 1.0])]
    for left, right in pairwise(nodes):
        left[-1] ^ right[0]
    assert contractors.auto(nodes).tensor == 1.0
