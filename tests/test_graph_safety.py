"""Calls that fail change nothing, whatever is called on whatever network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from graph_state import make, picture

import tensornet.graph as tn
from tensornet.graph import contractors

Rng = np.random.Generator


def network(rng: Rng) -> list[tn.AbstractNode]:
    """A few nodes, copy nodes among them, connected at random; some axes stay open."""
    nodes: list[tn.AbstractNode] = [
        make(*[int(x) for x in rng.choice([2, 3], int(rng.integers(1, 4)))], name=f"n{k}")
        for k in range(int(rng.integers(2, 6)))
    ]
    if rng.random() < 0.5:
        nodes.append(tn.CopyNode(int(rng.integers(2, 4)), 2, name="copy"))
    for _ in range(int(rng.integers(1, 6))):
        free = [edge for node in nodes for edge in node.get_all_dangling()]
        if len(free) < 3:
            break
        one, other, third = [free[int(k)] for k in rng.choice(len(free), 3, replace=False)]
        if one.dimension == other.dimension:
            if one.dimension == third.dimension and rng.random() < 0.3:
                tn.hyperedge([one, other, third])
            else:
                tn.connect(one, other)
    return sorted(tn.reachable(nodes))


class Calls:
    """Calls with arguments that often do not fit."""

    def __init__(self, rng: Rng, nodes: list[tn.AbstractNode]) -> None:
        self.rng = rng
        self.nodes = nodes

    def node(self) -> Any:
        return self.nodes[int(self.rng.integers(len(self.nodes)))]

    def edge(self) -> Any:
        edges = [edge for node in self.nodes for edge in node.edges]
        return edges[int(self.rng.integers(len(edges)))] if edges else None

    def edges(self) -> list[Any]:
        return [self.edge() for _ in range(int(self.rng.integers(1, 4)))]

    def some(self) -> list[Any]:
        return [node for node in self.nodes if self.rng.random() < 0.8]

    def name(self) -> Any:
        return [None, "name", 7][int(self.rng.choice(3, p=[0.6, 0.3, 0.1]))]

    def calls(self) -> list[Callable[[], Any]]:
        node, edge, edges, some, name = self.node, self.edge, self.edges, self.some, self.name
        return [
            lambda: tn.connect(edge(), edge(), name()),
            lambda: tn.hyperedge(edges(), name()),
            lambda: tn.disconnect(edge(), name(), name()),
            lambda: tn.contract(edge(), name()),
            lambda: tn.contract_parallel(edge()),
            lambda: tn.contract_between(node(), node(), name()),
            lambda: tn.contract_between(node(), node(), output_edge_order=edges()),
            lambda: tn.contract_between(node(), node(), axis_names=["x", "x"]),
            lambda: tn.contract_copy_node(node(), name()),
            lambda: tn.outer_product(node(), node(), name()),
            lambda: tn.outer_product_final_nodes(some(), edges()),
            lambda: tn.flatten_edges(edges(), name()),
            lambda: tn.flatten_edges_between(node(), node()),
            lambda: tn.split_edge(edge(), (2, 1), ["a", "b"]),
            lambda: tn.slice_edge(edge(), 0, int(self.rng.integers(0, 4))),
            lambda: tn.redirect_edge(edge(), node(), node()),
            lambda: node().reorder_edges(edges()),
            lambda: node().reorder_axes([1, 0]),
            lambda: contractors.auto(some()),
            lambda: contractors.auto(some(), edges()),
            lambda: contractors.greedy(some(), edges(), memory_limit="10B"),
            lambda: contractors.auto(some(), memory_limit=1),
            lambda: contractors.custom(some(), "no such search", ignore_edge_order=True),
            lambda: contractors.contract_path([(0, 9)], some(), None),
            lambda: contractors.bucket(some(), [node()]),
            lambda: tn.compile_network(some()),
            lambda: tn.plan_network(some(), edges()),
            lambda: tn.reduced_density(edges()),
            lambda: tn.remove_node("no node"),  # type: ignore[arg-type]
        ]


def test_failed_calls_change_nothing_and_others_leave_a_correct_network() -> None:
    failed, done = 0, 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        nodes = network(rng)
        for _ in range(6):
            calls = Calls(rng, nodes).calls()
            call = calls[int(rng.integers(len(calls)))]
            before, problem = picture(nodes), None
            try:
                result = call()
            except (ValueError, TypeError, AttributeError, MemoryError) as error:
                problem = str(error)
            if problem is not None:
                failed += 1
                assert picture(nodes) == before, problem
                assert "\n" not in problem
            else:
                done += 1
                made = [result] if isinstance(result, tn.AbstractNode) else []
                nodes = sorted(tn.reachable([*nodes, *made]))
                tn.check_correct(nodes, check_connections=False)
    assert failed > 300
    assert done > 300


LIMITED: list[Callable[..., tn.AbstractNode]] = [
    contractors.auto,
    contractors.greedy,
    contractors.branch,
    contractors.optimal,
    lambda nodes, **options: contractors.custom(nodes, "greedy", **options),
    lambda nodes, **options: contractors.custom(nodes, [(0, 1), (0, 1)], **options),
]


@pytest.mark.parametrize("search", LIMITED)
@pytest.mark.parametrize("limit", [20, "900B"])
def test_every_contractor_slices_to_its_limit(search: Any, limit: Any) -> None:
    nodes = [make(8, 8, name=name) for name in "abc"]
    nodes[0][1] ^ nodes[1][0]
    nodes[1][1] ^ nodes[2][0]
    expected = np.linalg.multi_dot([node.tensor for node in nodes])
    result = search(nodes, output_edge_order=[nodes[0][0], nodes[2][1]], memory_limit=limit)
    np.testing.assert_allclose(result.tensor, expected)


def test_a_path_may_be_limited_too() -> None:
    nodes = [make(8, 8, name=name) for name in "abc"]
    nodes[0][1] ^ nodes[1][0]
    nodes[1][1] ^ nodes[2][0]
    assert len(contractors.path_solver("greedy", nodes, memory_limit=20)) == 2


@pytest.mark.parametrize("search", LIMITED[:5])
def test_every_contractor_takes_networks_in_pieces(search: Any) -> None:
    a, b, c, d = make(2, 3), make(3), make(4), make(4, 2)
    a[1] ^ b[0]
    c[0] ^ d[0]
    expected = np.outer(a.tensor @ b.tensor, c.tensor @ d.tensor)
    result = search([a, b, c, d], output_edge_order=[a[0], d[1]])
    np.testing.assert_allclose(result.tensor, expected)


def test_copy_nodes_of_a_million_entries_are_never_dense() -> None:
    size = 10**6
    for way in (
        lambda nodes, hub: contractors.auto([*nodes, hub]),
        lambda nodes, hub: contractors.greedy([hub, *nodes]),
        lambda nodes, hub: tn.contract_copy_node(hub),
        lambda nodes, hub: next(iter(contractors.bucket([*nodes, hub], [hub]))),
    ):
        hub = tn.CopyNode(4, size)
        nodes = [tn.Node(np.full(size, value)) for value in (1.0, 2.0, 3.0, 0.5)]
        for axis, node in enumerate(nodes):
            hub[axis] ^ node[0]
        assert float(way(nodes, hub).tensor) == 3.0 * size
    pair, vector = tn.CopyNode(2, size), tn.Node(np.ones(size))
    pair[0] ^ vector[0]
    assert tn.contract_between(pair, vector).shape == (size,)


def test_repeated_pairs_of_other_dtypes_and_shapes_are_told_apart() -> None:
    rng = np.random.default_rng(0)
    for _ in range(3):
        for dtype in (float, np.float32, complex, int):
            for rows, inner, columns in [(2, 3, 4), (2, 3, 2), (3, 2, 2)]:
                x = (5 * rng.random((rows, inner))).astype(dtype)
                y = (5 * rng.random((inner, columns))).astype(dtype)
                for transposed in (False, True):
                    a, b = tn.Node(x), tn.Node(np.asfortranarray(y) if transposed else y)
                    b[0] ^ a[1]
                    result = a @ b
                    np.testing.assert_allclose(result.tensor, x @ y, rtol=1e-5)
                    assert result.dtype == np.dtype(dtype)
                    a, b = tn.Node(x), tn.Node(x)
                    a[0] ^ b[0]
                    a[1] ^ b[1]
                    np.testing.assert_allclose((a @ b).tensor, (x * x).sum(), rtol=1e-5)


def test_traces_and_edges_elsewhere_survive_a_pair() -> None:
    a, b, c = make(2, 3, 3), make(2, 4), make(4)
    a[1] ^ a[2]
    a[0] ^ b[0]
    outside = b[1] ^ c[0]
    expected = np.einsum("ijk,il->jkl", a.tensor, b.tensor)
    result = tn.contract_between(a, b, name="ab")
    np.testing.assert_allclose(result.tensor, expected)
    assert result.name == "ab"
    assert result[2] is outside
    assert result[0] is result[1]
    tn.check_correct([result, c])
