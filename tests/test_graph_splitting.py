"""Splitting nodes: tensors, edges and names of the parts, truncation, and calls that fail."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from graph_state import fails, is_fresh, make, names_of

import tensornet as tn
from tensornet.graph import Edge, Node
from tensornet.linalg.sampling import normal

SPLITS: dict[str, Callable[..., Any]] = {
    "svd": tn.split_node,
    "qr": tn.split_node_qr,
    "rq": tn.split_node_rq,
    "full": tn.split_node_full_svd,
}


def parts_of(result: Any) -> list[Node]:
    return [part for part in result if isinstance(part, tn.AbstractNode)]


def network(dtype: str = "float64") -> tuple[Node, Node, Node]:
    """A node of four named axes with a neighbour on its second and on its last."""
    node = Node(normal((2, 3, 4, 5), dtype, 0), name="a", axis_names=list("wxyz"))
    first, last = make(3, name="b"), make(5, name="c")
    tn.connect(first[0], node[1], name="first")
    tn.connect(node[3], last[0], name="last")
    return node, first, last


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_the_parts_multiply_to_the_node(split: str, dtype: str) -> None:
    tensor = normal((2, 3, 4, 5), dtype, 1)
    for left, right in (([1, 0], [3, 2]), ([0, 1, 2], [3]), ([], [0, 1, 2, 3]), ([3, 2, 1, 0], [])):
        node = Node(tensor)
        edges = node.edges
        parts = parts_of(SPLITS[split](node, [edges[k] for k in left], [edges[k] for k in right]))
        assert {part.dtype for part in parts} == {np.dtype(dtype)}
        result = tn.contractors.auto(parts, output_edge_order=edges)
        single = dtype in ("float32", "complex64")
        np.testing.assert_allclose(result.tensor, tensor, atol=1e-5 if single else 1e-12)


@pytest.mark.parametrize("split", SPLITS)
def test_edges_move_to_the_parts_in_the_order_given(split: str) -> None:
    node, first, last = network()
    left, right = [node[1], node[0]], [node[3], node[2]]
    parts = parts_of(SPLITS[split](node, left, right))
    assert parts[0].edges[:-1] == left
    assert parts[-1].edges[1:] == right
    assert parts[0].shape == (3, 2, 6)
    assert parts[-1].shape == (6, 5, 4)
    assert first[0] is left[0]
    assert first[0].get_nodes() == [first, parts[0]]
    assert (first[0].axis1, first[0].axis2) == (0, 0)
    assert last[0].get_nodes() == [parts[-1], last]
    assert (last[0].axis1, last[0].axis2) == (1, 0)
    assert left[1].get_nodes() == [parts[0], None]
    for before, after in pairwise(parts):
        bond = before[-1]
        assert bond is after[0]
        assert bond.get_nodes() == [before, after]
    tn.check_correct({*parts, first, last})


@pytest.mark.parametrize("split", SPLITS)
def test_the_split_node_keeps_its_tensor_and_gets_fresh_edges(split: str) -> None:
    node, _, _ = network()
    tensor, old = node.tensor, node.edges
    SPLITS[split](node, [node[1], node[0]], [node[3], node[2]])
    assert node.tensor is tensor
    assert node.name == "a"
    assert is_fresh(node)
    assert names_of(node.edges) == list("wxyz")
    assert not set(old) & set(node.edges)


def test_parts_have_default_names_unless_named() -> None:
    node, _, _ = network()
    left, right, _ = tn.split_node(node, [node[0], node[1]], [node[2], node[3]])
    assert left.name == right.name == Node([1]).name
    assert left.axis_names == ["0", "1", "2"]
    assert right.axis_names == ["0", "1", "2"]
    assert names_of(left.edges[:2]) == ["w", "first"]


@pytest.mark.parametrize("split", ["svd", "qr", "rq"])
def test_names_are_given_to_nodes_edge_and_axes(split: str) -> None:
    node, _, _ = network()
    names = {"left_name": "L", "right_name": "R", "edge_name": "bond"}
    left, right = SPLITS[split](node, [node[1], node[0]], [node[2], node[3]], **names)[:2]
    assert (left.name, right.name, left["bond"].name) == ("L", "R", "bond")
    assert left["bond"] is right["bond"]
    assert left.axis_names == ["x", "w", "bond"]
    assert right.axis_names == ["bond", "y", "z"]


def test_names_of_a_full_svd() -> None:
    node, _, _ = network()
    left, middle, right, _ = tn.split_node_full_svd(
        node,
        node[:2],
        node[2:],
        left_name="L",
        middle_name="M",
        right_name="R",
        left_edge_name="l",
        right_edge_name="r",
    )
    assert [part.name for part in (left, middle, right)] == ["L", "M", "R"]
    assert left.axis_names == ["w", "x", "l"]
    assert middle.axis_names == ["l", "r"]
    assert right.axis_names == ["r", "y", "z"]
    assert names_of(middle.edges) == ["l", "r"]
    node, _, _ = network()
    left, middle, right, _ = tn.split_node_full_svd(node, node[:2], node[2:], left_edge_name="l")
    assert left[-1].name == middle[0].name == "l"
    assert [part.axis_names for part in (left, middle)] == [["0", "1", "2"], ["0", "1"]]


def test_unnamed_axes_keep_their_numbers_beside_a_named_edge() -> None:
    node = make(2, 3, 4)
    left, right = tn.split_node_qr(node, node[:2], node[2:], edge_name="bond")
    assert left.axis_names == ["0", "1", "bond"]
    assert right.axis_names == ["bond", "2"]


def test_split_node_gives_each_side_the_root_of_the_singular_values() -> None:
    tensor = normal((6, 5), "complex128", 2)
    s = np.linalg.svd(tensor, compute_uv=False)
    node = Node(tensor)
    left, right, dropped = tn.split_node(node, node[:1], node[1:])
    np.testing.assert_allclose(left.tensor.conj().T @ left.tensor, np.diag(s), atol=1e-12)
    np.testing.assert_allclose(right.tensor @ right.tensor.conj().T, np.diag(s), atol=1e-12)
    assert dropped.shape == (0,)
    node = Node(tensor)
    left, middle, right, dropped = tn.split_node_full_svd(node, node[:1], node[1:], 3)
    np.testing.assert_allclose(middle.tensor, np.diag(s[:3]), atol=1e-12)
    np.testing.assert_allclose(dropped, s[3:], atol=1e-12)
    np.testing.assert_allclose(left.tensor.conj().T @ left.tensor, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(right.tensor @ right.tensor.conj().T, np.eye(3), atol=1e-12)


@pytest.mark.parametrize("split", [tn.split_node, tn.split_node_full_svd])
def test_truncation_keeps_to_its_limits(split: Any) -> None:
    def kept(**limits: Any) -> tuple[int, list[float]]:
        node = Node(np.diag([4.0, 3.0, 2.0, 1.0]))
        result = split(node, node[:1], node[1:], **limits)
        return result[0].shape[-1], result[-1].tolist()

    assert kept() == (4, [])
    assert kept(max_singular_values=3) == (3, [1])
    assert kept(max_singular_values=9) == (4, [])
    assert kept(max_singular_values=0) == (0, [4, 3, 2, 1])
    assert kept(max_truncation_err=1) == (3, [1])
    assert kept(max_truncation_err=0.99) == (4, [])
    assert kept(max_truncation_err=2.3) == (2, [2, 1])
    assert kept(max_truncation_err=0.25, relative=True) == (3, [1])
    assert kept(max_truncation_err=1.0, max_singular_values=2) == (2, [2, 1])


def test_the_norm_of_what_is_dropped_is_the_error_made() -> None:
    tensor = normal((4, 5, 6), seed=3)
    node = Node(tensor)
    edges = node.edges
    left, right, dropped = tn.split_node(node, edges[:2], edges[2:], max_singular_values=2)
    error = np.linalg.norm(tn.contract_between(left, right).tensor - tensor)
    assert error == pytest.approx(float(np.linalg.norm(dropped)))


def test_few_values_of_a_large_matrix_are_computed_alone() -> None:
    q = np.linalg.qr(normal((500, 500), seed=4))[0]
    s = 0.7 ** np.arange(500)
    tensor = ((q * s) @ q).reshape(20, 25, 500)
    results = []
    for method in ("auto", "full"):
        node = Node(tensor)
        left, right, dropped = tn.split_node(
            node, node[:2], node[2:], max_singular_values=10, method=method
        )
        assert float(np.linalg.norm(dropped)) == pytest.approx(float(np.linalg.norm(s[10:])))
        results.append(np.tensordot(left.tensor, right.tensor, 1))
        assert len(dropped) == (1 if method == "auto" else 490)
    np.testing.assert_allclose(*results, atol=1e-9)


def test_integers_become_floating_point_numbers() -> None:
    node = Node([[1, 2], [3, 4]])
    left, right, dropped = tn.split_node(node, node[:1], node[1:], max_singular_values=1)
    assert left.dtype == right.dtype == dropped.dtype == np.float64
    assert dropped[0] == pytest.approx(0.36596619)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("shape", [(), (1,), (0, 3), (3, 0), (1, 1, 1)])
def test_empty_and_single_entries_split_too(split: str, shape: tuple[int, ...]) -> None:
    node = Node(np.full(shape, -2.0))
    edges = node.edges
    parts = parts_of(SPLITS[split](node, edges[:1], edges[1:]))
    result = tn.contractors.auto(parts, output_edge_order=edges)
    np.testing.assert_allclose(result.tensor, np.full(shape, -2.0))


@pytest.mark.parametrize("split", SPLITS)
def test_a_copy_node_splits_as_its_dense_tensor(split: str) -> None:
    hub, neighbour = tn.CopyNode(3, 2, name="hub"), make(2, name="n")
    edge = hub[0] ^ neighbour[0]
    edges = hub.edges
    parts = parts_of(SPLITS[split](hub, edges[:1], edges[1:]))
    assert edge.node1 is parts[0]
    assert is_fresh(hub)
    assert isinstance(hub, tn.CopyNode)
    result = tn.contractors.auto({*parts, neighbour}, output_edge_order=edges[1:])
    np.testing.assert_allclose(result.tensor, np.diag([1.0, 2.0]), atol=1e-14)


@pytest.mark.parametrize("split", SPLITS)
def test_a_call_that_fails_changes_nothing(split: str) -> None:
    function = SPLITS[split]
    node, first, last = network()
    nodes = (node, first, last)
    w, x, y, z = node.edges
    with fails(ValueError, "'a' .*must be all of its edges", *nodes):
        function(node, [w], [y, z])
    with fails(ValueError, "must be all of its edges", *nodes):
        function(node, [w, x], [x, y, z])
    with fails(ValueError, "must be all of its edges", *nodes):
        function(node, [w, x], [y, z, make(2)[0]])
    with fails(TypeError, "expected an Edge", *nodes):
        function(node, ["w", "x"], [y, z])
    with fails(TypeError, "expected a node", *nodes):
        function(node.tensor, [w, x], [y, z])
    with fails(TypeError, "node name", *nodes):
        function(node, [w, x], [y, z], left_name=3)
    bonds = ["left_edge_name", "right_edge_name"] if split == "full" else ["edge_name"]
    with fails(TypeError, "edge name", *nodes):
        function(node, [w, x], [y, z], **dict.fromkeys(bonds, 5))
    with fails(ValueError, "'w' is repeated", *nodes):
        function(node, [w, x], [y, z], **dict(zip(bonds, ["w", "other"])))
    old = make(2)[0]
    old.node1.fresh_edges()
    with fails(ValueError, "no longer on axis 0", *nodes):
        function(node, [old, x], [y, z])
    if split in ("svd", "full"):
        with fails(ValueError, "must not be negative", *nodes):
            function(node, [w, x], [y, z], max_singular_values=-1)
        with fails(ValueError, "not known", *nodes):
            function(node, [w, x], [y, z], method="quick")
    node.tensor[1, 2, 3, 4] = np.nan
    with fails(ValueError, "cannot split node 'a': .*NaN or infinity", *nodes):
        function(node, [w, x], [y, z])


@pytest.mark.parametrize("split", SPLITS)
def test_trace_edges_are_refused(split: str) -> None:
    node = make(2, 2, 3, name="t")
    node[0] ^ node[1]
    with fails(ValueError, "cannot split node 't': .*trace edge; contract it first", node):
        SPLITS[split](node, [node[0]], [node[1], node[2]])


def test_a_contracted_edge_is_refused_by_its_name() -> None:
    node, other = make(2, 3, name="a"), make(2, name="b")
    edge = tn.connect(node[0], other[0], name="bond")
    result = edge.node1 @ other
    with fails(ValueError, "edge 'bond' has already been contracted", node, result):
        tn.split_node(node, [edge], [node[1]])


def test_parts_are_collected_and_pickled() -> None:
    node = make(2, 3)
    with tn.NodeCollection(collected := set()):
        left, right, _ = tn.split_node(node, node[:1], node[1:], edge_name="bond")
    assert collected == {left, right}
    twins = pickle.loads(pickle.dumps((left, right)))
    assert twins[0]["bond"] is twins[1]["bond"]
    assert isinstance(twins[0]["bond"], Edge)
