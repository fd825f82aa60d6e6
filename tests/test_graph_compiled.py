"""Networks described once: they are not touched, and contracted with tensors that fit."""

from __future__ import annotations

import gc
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any
from weakref import ref

import numpy as np
import pytest
from graph_state import make, picture

import tensornet
import tensornet.graph as tn
from tensornet import MemoryLimitError, PlanError
from tensornet.graph import contractors


def chain(*extents: int) -> list[tn.Node]:
    pairs = pairwise(extents)
    nodes = [make(*shape, name=f"n{k}", axis_names=["l", "r"]) for k, shape in enumerate(pairs)]
    for k in range(len(nodes) - 1):
        tn.connect(nodes[k]["r"], nodes[k + 1]["l"], f"bond{k}")
    return nodes


def others(nodes: list[tn.Node], seed: int = 0, dtype: Any = float) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(node.shape).astype(dtype) for node in nodes]


def test_a_network_is_contracted_again_with_other_tensors() -> None:
    nodes = chain(2, 3, 4, 5)
    before = picture(nodes)
    compiled = tn.compile_network(nodes, [nodes[2][1], nodes[0][0]])
    assert compiled.names == ["n0", "n1", "n2"]
    assert compiled.shapes == [(2, 3), (3, 4), (4, 5)]
    for dtype in (float, complex, np.float32):
        for seed in range(2):
            tensors = others(nodes, seed, dtype)
            expected = np.linalg.multi_dot(tensors).T
            for given in (tensors, tuple(tensors), dict(zip(nodes, tensors)), iter(tensors)):
                result = compiled(given)
                np.testing.assert_allclose(result, expected, rtol=1e-4)
                assert result.dtype == dtype
    assert picture(nodes) == before
    assert repr(compiled) == "CompiledNetwork(['n0', 'n1', 'n2'], result of shape (5, 2))"


def test_names_and_nodes_may_be_mixed_as_keys() -> None:
    nodes = chain(2, 3, 2)
    compiled = tn.compile_network(nodes, ignore_edge_order=True)
    x, y = others(nodes)
    np.testing.assert_allclose(compiled({"n1": y, nodes[0]: x}), x @ y)


def test_a_number_comes_back_as_a_number() -> None:
    a, b = make(3, name="a"), make(3, name="b")
    a[0] ^ b[0]
    value = tn.compile_network([a, b])([np.ones(3), np.ones(3)])
    assert isinstance(value, np.floating)
    assert value == 3


def test_lists_are_tensors() -> None:
    a, b = make(2, name="a"), make(2, name="b")
    a[0] ^ b[0]
    assert tn.compile_network([a, b])([[1, 2], [3, 4]]) == 11


def test_constants_keep_the_arrays_they_had() -> None:
    nodes = chain(2, 3, 4, 5)
    fixed = nodes[1].tensor.copy()
    compiled = tn.compile_network(nodes, constants=nodes[1:2], ignore_edge_order=True)
    assert compiled.names == ["n0", "n2"]
    assert "1 constant" in repr(compiled)
    nodes[1].tensor[...] = 0
    x, _, y = others(nodes)
    np.testing.assert_allclose(compiled([x, y]), x @ fixed @ y)
    with pytest.raises(ValueError, match=r"'n1'.* is none of the nodes"):
        compiled({nodes[0]: x, nodes[1]: fixed, nodes[2]: y})
    with pytest.raises(ValueError, match="not among the nodes"):
        tn.compile_network(nodes[:2], constants=[nodes[2]], ignore_edge_order=True)


def test_everything_may_be_constant() -> None:
    nodes = chain(2, 3, 2)
    compiled = tn.compile_network(nodes, constants=nodes, ignore_edge_order=True)
    np.testing.assert_allclose(compiled(), nodes[0].tensor @ nodes[1].tensor)


def test_out_takes_the_result_even_if_it_is_an_operand() -> None:
    nodes = chain(3, 3, 3)
    compiled = tn.compile_network(nodes, ignore_edge_order=True)
    x, y = others(nodes)
    expected = x @ y
    out = np.empty((3, 3))
    assert compiled([x, y], out=out) is out
    np.testing.assert_allclose(out, expected)
    assert compiled([x, y], out=x) is x
    np.testing.assert_allclose(x, expected)


def test_stripped_exponents_reach_beyond_the_dtype() -> None:
    nodes = chain(2, 2, 2, 2)
    compiled = tn.compile_network(nodes, ignore_edge_order=True, strip_exponent=True)
    mantissa, exponent = compiled([np.full((2, 2), 1e200)] * 3)
    expected = np.log2(4) + 3 * 200 * np.log2(10)
    np.testing.assert_allclose(np.log2(mantissa) + exponent, np.full((2, 2), expected))


def test_many_sets_of_tensors_side_by_side() -> None:
    nodes = chain(2, 3, 4)
    compiled = tn.compile_network(nodes, constants=nodes[:1], ignore_edge_order=True)
    batches: list[Any] = [[np.full((3, 4), float(k))] for k in range(5)]
    expected = np.array([nodes[0].tensor @ y for (y,) in batches])
    np.testing.assert_allclose(compiled.map(batches), expected)
    named = [{"n1": y} for (y,) in batches]
    np.testing.assert_allclose(compiled.map(named), expected)
    out = np.empty((5, 2, 4))
    assert compiled.map(iter(named), out=out) is out
    np.testing.assert_allclose(out, expected)
    assert compiled.map([]).shape == (0, 2, 4)


def open_copy() -> tuple[list[tn.AbstractNode], list[tn.Edge]]:
    """Two vectors on a copy node with two open axes: a diagonal matrix."""
    a, b, hub = make(3, name="a"), make(3, name="b"), tn.CopyNode(4, 3)
    hub[0] ^ a[0]
    hub[1] ^ b[0]
    return [a, b, hub], [hub[2], hub[3]]


def test_an_index_that_is_twice_in_the_result_is_a_diagonal() -> None:
    nodes, order = open_copy()
    compiled = tn.compile_network(nodes, order, constants=nodes[:1])
    assert compiled.names == ["b"]
    y = np.array([2.0, 3.0, 5.0])
    expected = np.diag(nodes[0].tensor * y)
    np.testing.assert_array_equal(compiled([y]), expected)
    out = np.ones((3, 3))
    assert compiled([y], out=out) is out
    np.testing.assert_array_equal(out, expected)
    both = np.array([expected, 2 * expected])
    np.testing.assert_array_equal(compiled.map([[y], [2 * y]]), both)
    out = np.ones((2, 3, 3))
    assert compiled.map(iter([[y], [2 * y]]), out=out) is out
    np.testing.assert_array_equal(out, both)
    with pytest.raises(ValueError, match=r"out has shape \(3,\)"):
        compiled([y], out=np.ones(3))


def test_copy_nodes_and_hyperedges_take_no_tensor() -> None:
    nodes = [make(2, name=name) for name in "abc"]
    tn.hyperedge([node[0] for node in nodes])
    compiled = tn.compile_network(nodes)
    assert compiled([[1, 2], [3, 4], [5, 6]]) == 63
    lone = tn.CopyNode(2, 3)
    assert tn.compile_network([lone], lone.edges)().tolist() == np.eye(3).tolist()


def test_networks_in_pieces_are_outer_products() -> None:
    a, b = make(2, name="a"), make(3, name="b")
    compiled = tn.compile_network([a, b], [b[0], a[0]])
    np.testing.assert_array_equal(compiled([a.tensor, b.tensor]), np.outer(b.tensor, a.tensor))


def test_a_pickled_one_goes_by_names() -> None:
    nodes = chain(2, 3, 4)
    compiled = tn.compile_network(nodes, constants=nodes[:1], ignore_edge_order=True)
    twin = pickle.loads(pickle.dumps(compiled))
    y = others(nodes)[1]
    np.testing.assert_array_equal(twin([y]), compiled([y]))
    np.testing.assert_array_equal(twin({"n1": y}), compiled([y]))
    assert twin.plan == compiled.plan
    with pytest.raises(ValueError, match="none of the nodes"):
        twin({nodes[1]: y})


def test_it_keeps_no_node_alive() -> None:
    nodes = chain(2, 3, 4)
    compiled = tn.compile_network(nodes, ignore_edge_order=True)
    last, tensors = ref(nodes[-1]), others(nodes)
    tn.remove_node(nodes[-1])
    nodes[-1].fresh_edges()
    nodes.clear()
    gc.collect()
    assert last() is None
    assert compiled(tensors).shape == (2, 4)


def test_many_threads_may_call_it() -> None:
    nodes = chain(4, 4, 4, 4)
    compiled = tn.compile_network(nodes, ignore_edge_order=True)
    sets = [others(nodes, seed, [float, complex][seed % 2]) for seed in range(40)]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(compiled, sets))
    for tensors, result in zip(sets, results):
        np.testing.assert_allclose(result, np.linalg.multi_dot(tensors))


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ([np.ones((2, 3))], "1 tensors were given for 2 nodes: .'n0', 'n1'."),
        (
            [np.ones((2, 3)), np.ones((3, 5))],
            r"node 'n1' takes a tensor of shape \(3, 4\), not \(3, 5\): axis 1 \('r'\) has 4",
        ),
        ([np.ones((2, 3)), np.ones(3)], r"node 'n1' takes .* not \(3,\)$"),
        ({"n0": np.ones((2, 3))}, "lack that of .'n1'."),
        ({"n0": np.ones((2, 3)), "x": 1}, "'x' is unknown"),
        ({"n0": np.ones((2, 3)), 3: 1}, "3 is none of the nodes"),
    ],
)
def test_tensors_that_do_not_fit_are_named(tensors: Any, message: str) -> None:
    nodes = chain(2, 3, 4)
    compiled = tn.compile_network(nodes, ignore_edge_order=True)
    for _ in range(2):  # also when it has run before
        with pytest.raises(ValueError, match=message) as caught:
            compiled(tensors)
        assert "\n" not in str(caught.value)
        compiled(others(nodes))
    with pytest.raises(ValueError, match=f"(batch 1: )?{message}"):
        compiled.map([others(nodes), tensors])


def test_a_name_of_two_nodes_is_no_key() -> None:
    a, b = make(2, name="same"), make(2, name="same")
    a[0] ^ b[0]
    compiled = tn.compile_network([a, b])
    with pytest.raises(ValueError, match="the name of 2 nodes: use the nodes"):
        compiled({"same": [1, 2], b: [3, 4]})
    assert compiled({a: [1, 2], b: [3, 4]}) == 11


def test_a_node_and_its_name_are_one_too_many() -> None:
    nodes = chain(2, 3, 4)
    compiled = tn.compile_network(nodes, ignore_edge_order=True)
    x, y = others(nodes)
    with pytest.raises(ValueError, match=r"name .'n0'. twice"):
        compiled({nodes[0]: x, "n0": x, nodes[1]: y})


def test_orders_are_asked_for_as_contractors_ask() -> None:
    nodes = chain(2, 3, 4)
    with pytest.raises(ValueError, match="give output_edge_order"):
        tn.compile_network(nodes)
    with pytest.raises(ValueError, match="output_edge_order"):
        tn.compile_network(nodes, [nodes[0][0]])
    with pytest.raises(ValueError, match="at least one node"):
        tn.compile_network([])
    with pytest.raises(PlanError, match="path name"):
        tn.compile_network(nodes, ignore_edge_order=True, optimize="fastest")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Runs take the memory of one thread."""
    tensornet.set_num_threads(1)
    yield
    tensornet.set_num_threads(None)


@pytest.mark.usefixtures("one_thread")
def test_limits_slice_it() -> None:
    nodes = chain(8, 8, 8, 8, 8)
    for limit in (40, "1200B"):
        compiled = tn.compile_network(nodes, ignore_edge_order=True, memory_limit=limit)
        assert compiled.plan.n_slices > 1
        tensors = others(nodes)
        np.testing.assert_allclose(compiled(tensors), np.linalg.multi_dot(tensors))


def test_a_plan_tells_the_cost_and_touches_nothing() -> None:
    nodes = chain(2, 3, 4, 5)
    before = picture(nodes)
    plan = tn.plan_network(nodes)
    assert (plan.macs, plan.max_size, plan.n_tensors) == (24 + 40, 10, 3)
    assert plan.dtype == np.float64
    assert plan.peak_memory >= 80
    assert "bond0" in plan.table()
    assert picture(nodes) == before
    np.testing.assert_allclose(
        plan.run([node.tensor for node in nodes]),
        np.linalg.multi_dot([node.tensor for node in nodes]),
    )


def test_a_plan_is_carried_out_by_custom_and_compile() -> None:
    nodes = chain(2, 3, 4, 5)
    order = [nodes[0][0], nodes[2][1]]
    plan = tn.plan_network(nodes, order, optimize=[(0, 1), (0, 1)])
    compiled = tn.compile_network(nodes, order, optimize=plan)
    assert compiled.plan.path == plan.path
    result = contractors.custom(nodes, plan, output_edge_order=order)
    assert result.shape == (2, 5)


def test_a_plan_keeps_to_limits() -> None:
    nodes = chain(16, 16, 16, 16)
    assert tn.plan_network(nodes, memory_limit=64).max_size <= 64
    assert tn.plan_network(nodes, memory_limit="3KB").peak_memory <= 3000
    with pytest.raises(MemoryLimitError):
        tn.plan_network(nodes, memory_limit="1B")


def test_names_that_repeat_are_numbers_in_a_plan() -> None:
    a, b = make(2, 2, axis_names=["x", "y"]), make(2, 2, axis_names=["x", "z"])
    tn.connect(a["y"], b["z"], "bond")
    assert tn.plan_network([a, b]).labels == (0, "bond", 2)
