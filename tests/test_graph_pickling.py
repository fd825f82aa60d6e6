"""All that one can hold of a network can be pickled and copied, and works afterwards."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from typing import Any

import numpy as np
import pytest
from graph_state import make, names_of

import tensornet as tn

PROTOCOLS = range(2, pickle.HIGHEST_PROTOCOL + 1)

A, B = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)


def through_pickle(thing: Any, protocol: int | None = None) -> Any:
    return pickle.loads(pickle.dumps(thing, protocol))


ways = pytest.mark.parametrize(
    "way", [through_pickle, copy.copy, copy.deepcopy], ids=["pickle", "copy", "deepcopy"]
)


def plan() -> tn.Plan:
    return tn.plan(["ab", "bc"], "ac", {"a": 2, "b": 3, "c": 4}, memory_limit="1kB")


@ways
def test_plans_and_networks_are_equal_afterwards(way: Any) -> None:
    assert way(plan()) == plan()
    assert way(plan().tree) == plan().tree
    assert way(plan().expr) == plan().expr


@ways
def test_programs_run_to_the_same_bits(way: Any) -> None:
    program = plan().compile("complex64", threads=1)
    twin = way(program)
    assert (twin.dtype, twin.threads, twin.tree) == (program.dtype, 1, program.tree)
    operands = [(x * (1 + 0.1j)).astype(np.complex64) for x in (A, B)]
    assert twin(*operands).tobytes() == program(*operands).tobytes()
    stripped = way(plan().compile("float64", strip_exponent=True))
    mantissa, exponent = stripped(A, B)
    np.testing.assert_allclose(mantissa * 2.0**exponent, A @ B)


@ways
@pytest.mark.parametrize("called", [False, True])
def test_contract_expressions_keep_constants_and_options(way: Any, called: bool) -> None:
    constant = A.astype(np.float32)
    expression = tn.contract_expression("ab,bc->ac", constant, B.shape, constants=[0], order="F")
    if called:
        expression(B.astype(np.float32))
    twin = way(expression)
    result = twin(B.astype(np.float32))
    assert (result.dtype, repr(twin)) == (np.float32, repr(expression))
    assert result.flags.f_contiguous
    np.testing.assert_array_equal(result, expression(B.astype(np.float32)))
    assert twin.plan == expression.plan


@ways
def test_planners_find_the_same_path(way: Any) -> None:
    planner = tn.Planner(seed=3)
    inputs = [frozenset("ab"), frozenset("bc"), frozenset("cd")]
    sizes = dict.fromkeys("abcd", 4)
    assert way(planner)(inputs, frozenset("ad"), sizes) == planner(inputs, frozenset("ad"), sizes)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_takes_a_network_with_its_edges(protocol: int) -> None:
    a, b = make(2, 3, name="a"), make(3, name="b")
    edge = tn.connect(a[1], b[0], "bond")
    hub = tn.CopyNode(2, 2, name="hub")
    a[0] ^ hub[0]
    twins = through_pickle({"nodes": [a, b, hub], "edge": edge, "open": hub[1]}, protocol)
    assert twins["nodes"][0][1] is twins["edge"] is twins["nodes"][1][0]
    assert twins["nodes"][2][1] is twins["open"]
    tn.check_correct(twins["nodes"])
    assert names_of(twins["nodes"][0].edges) == names_of(a.edges)


def test_collections_pickle_with_what_they_hold() -> None:
    held: list[tn.AbstractNode] = []
    with tn.NodeCollection(held) as collection:
        a, b = make(2), make(2)
        a[0] ^ b[0]
    twin, nodes = through_pickle((collection, held))
    with twin:
        made = make(3)
    assert nodes[2] is made
    assert tn.get_shared_edges(nodes[0], nodes[1])
    assert len(held) == 2


@pytest.mark.parametrize("way", [through_pickle, copy.deepcopy])
def test_ten_thousand_nodes_in_a_chain_do_not_recurse(way: Any) -> None:
    nodes = [tn.Node(np.eye(2)) for _ in range(10_000)]
    for left, right in pairwise(nodes):
        left[1] ^ right[0]
    for start in (nodes[0], nodes[5000], nodes[0][0], nodes[7000][1]):
        assert len(tn.reachable(way(start))) == 10_000


def test_a_shallow_copy_of_a_network_is_one_node_and_of_an_edge_the_edge() -> None:
    a, b = make(2), make(2)
    edge = a[0] ^ b[0]
    assert tn.reachable(copy.copy(a)) != tn.reachable(a)
    assert copy.copy(edge) is edge
    twins = copy.deepcopy([a, b, edge])
    assert twins[2].get_nodes() == twins[:2]


@pytest.mark.parametrize(
    "error",
    [
        tn.TensorNetError("x"),
        tn.ShapeError("x"),
        tn.PlanError("x"),
        tn.FormatError("x"),
        tn.CheckpointError("x"),
        tn.MemoryLimitError("x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_reach_other_processes(error: Exception) -> None:
    twin = through_pickle(error)
    assert (type(twin), str(twin)) == (type(error), str(error))
    assert type(error.__new__(type(error), "x")) is type(error)  # as tblib does for distributed


def contracted(nodes: list[tn.Node], expression: Any, program: Any) -> list[Any]:
    result = tn.contractors.auto(nodes, ignore_edge_order=True).tensor
    return [result, expression(A, B), program(A, B)]


def test_all_of_them_work_in_another_process() -> None:
    a, b = tn.Node(A), tn.Node(B)
    a[1] ^ b[0]
    expression = tn.contract_expression("ab,bc->ac", A.shape, B.shape)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        results = pool.submit(contracted, [a, b], expression, plan().compile()).result()
    for result in results:
        np.testing.assert_allclose(result, A @ B)
