"""ncon_solver: orders of summation, their cost, and whether any is cheaper."""

from __future__ import annotations

from itertools import permutations
from math import inf, isclose, log10
from typing import Any

import numpy as np
import pytest

import tensornet as tn
from tensornet.expr import parse_ncon
from tensornet.graph.contractors import ncon_solver
from tensornet.planner import Tree

MERA = [
    *([1, 3, 10, 11], [4, 7, 12, 13], [8, 10, -4], [11, 12, -5], [13, 14, -6]),
    *([2, 5, 6, 3, 4, 7], [1, 2, 9, 17], [5, 6, 16, 15], [8, 9, -1], [17, 16, -2], [15, 14, -3]),
]


def random_network(seed: int, n: int, degree: int = 3) -> tuple[list[Any], list[list[int]]]:
    rng = np.random.default_rng(seed)
    stubs = rng.permutation(np.repeat(np.arange(n), degree))
    sizes = rng.integers(2, 6, len(stubs) // 2)
    labels: list[list[int]] = [[] for _ in range(n)]
    for edge, (a, b) in enumerate(stubs.reshape(-1, 2)):
        labels[a].append(edge + 1)
        labels[b].append(edge + 1)
    tensors = [rng.standard_normal([sizes[x - 1] for x in term]) for term in labels]
    return tensors, labels


def macs_of(tensors: Any, labels: Any, order: Any) -> int:
    """Multiply-adds of `ncon` with this order."""
    expr, path = parse_ncon([t.shape for t in tensors], labels, con_order=order)
    assert path is not None
    return Tree.from_ssa_path(expr, path).macs


@pytest.mark.parametrize("chi", [2, 3, 5])
def test_the_known_cost_of_a_binary_mera_is_found(chi: int) -> None:
    tensors = [np.empty((chi,) * len(term)) for term in MERA]
    order, cost, is_optimal = ncon_solver(tensors, MERA)
    assert isclose(cost, log10(2 * chi**9 + 4 * chi**8 + 2 * chi**6 + 2 * chi**5))
    assert is_optimal
    assert sorted(order) == list(range(1, 18))


@pytest.mark.parametrize("seed", range(5))
def test_no_order_is_cheaper_and_contracting_in_it_takes_what_it_says(seed: int) -> None:
    tensors, labels = random_network(seed, 4)
    order, cost, is_optimal = ncon_solver(tensors, labels)
    best = min(macs_of(tensors, labels, each) for each in permutations(order))
    assert is_optimal
    assert isclose(10**cost, macs_of(tensors, labels, order))
    assert isclose(10**cost, best)
    np.testing.assert_allclose(tn.ncon(tensors, labels, order), tn.ncon(tensors, labels))


@pytest.mark.parametrize(("n", "max_branch"), [(8, 1), (24, None), (24, 100)])
def test_any_search_gives_an_order_for_ncon(n: int, max_branch: int | None) -> None:
    tensors, labels = random_network(n, n)
    order, cost, is_optimal = ncon_solver(tensors, labels, max_branch=max_branch)
    assert sorted(order) == sorted({x for term in labels for x in term})
    assert isclose(10**cost, macs_of(tensors, labels, order))
    assert is_optimal == (n == 8)


@pytest.mark.parametrize(
    ("shapes", "labels", "want"),
    [
        ([(2, 2), (2,)], [[1, 1], [-1]], ([1], 2, True)),
        ([(2, 2), (2,)], [[-2, -3], [-1]], ([], 8, True)),
        ([(2, 3, 4)], [["b", -1, "a"]], (["b", "a"], 0, True)),
        ([(2, 3), (3, 4), (4, 5)], [["-i", "k"], ["k", "l"], ["l", "-j"]], (["k", "l"], 64, True)),
        ([(), (2,)], [[], [1]], ([1], 1, True)),
        ([(0, 2), (2, 0)], [[1, 2], [2, 1]], ([1, 2], 0, True)),
    ],
)
def test_traces_lone_labels_strings_and_outer_products(
    shapes: Any, labels: Any, want: tuple[list[Any], int, bool]
) -> None:
    order, cost, is_optimal = ncon_solver([np.ones(shape) for shape in shapes], labels)
    assert (order, is_optimal) == (want[0], want[2])
    assert cost == -inf if want[1] == 0 else isclose(10**cost, want[1])


def test_orders_that_sums_cannot_express_are_not_called_optimal() -> None:
    # a label on three tensors: pairing two of them first sums nothing
    tensors = [np.ones((9, 2)), np.ones((9, 2)), np.ones((9, 5))]
    order, cost, is_optimal = ncon_solver(tensors, [[1, -1], [1, -2], [1, -3]])
    assert order == [1]
    assert isclose(10**cost, macs_of(tensors, [[1, -1], [1, -2], [1, -3]], order))
    turned = [tensors[2], tensors[0], tensors[1]]
    _, more, is_optimal = ncon_solver(turned, [[1, -3], [1, -1], [1, -2]])
    assert more > cost
    assert not is_optimal


def test_tensors_and_lists_are_taken_and_mistakes_named() -> None:
    order, _, _ = ncon_solver([tn.ones((2, 3)), [[1.0], [2.0], [3.0]]], [[-1, 1], [1, -2]])
    assert order == [1]
    with pytest.raises(tn.ShapeError, match="index 1 has extent 3"):
        ncon_solver([np.ones((2, 3)), np.ones((2, 4))], [[-1, 1], [1, -2]])
    with pytest.raises(tn.ShapeError, match="at least one tensor"):
        ncon_solver([], [])


@pytest.mark.parametrize("seed", range(4))
def test_costs_are_those_of_tensornetwork(seed: int) -> None:
    solvers = pytest.importorskip("tensornetwork.contractors.custom_path_solvers.nconinterface")
    tensors, labels = random_network(seed, 6)
    _, want, optimal = solvers.ncon_solver(tensors, labels)
    _, cost, is_optimal = ncon_solver(tensors, labels)
    assert optimal
    assert is_optimal
    assert isclose(cost, want)
