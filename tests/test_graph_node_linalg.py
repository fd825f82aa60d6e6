"""Linear algebra on nodes: results, names, edges, and calls that fail."""

from __future__ import annotations

import importlib
import pickle
from typing import Any

import numpy as np
import pytest
from graph_state import fails, is_fresh, make, names_of

import tensornet as tn
from tensornet.graph import CopyNode, Node
from tensornet.linalg import node_linalg
from tensornet.linalg.sampling import normal, uniform


def test_the_module_is_found_under_linalg_in_every_way() -> None:
    import tensornet.linalg.node_linalg as by_import

    assert by_import is node_linalg
    assert tn.linalg.node_linalg is node_linalg
    assert importlib.import_module("tensornet.linalg.node_linalg") is node_linalg
    assert pickle.loads(pickle.dumps(node_linalg.norm)) is node_linalg.norm


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128", "int64"])
def test_norm_is_that_of_all_entries(dtype: str) -> None:
    tensor = (3 * normal((2, 3, 4), "complex128" if "c" in dtype else None, 1)).astype(dtype)
    expected = np.sqrt((abs(tensor.astype("complex128")) ** 2).sum())
    assert float(node_linalg.norm(Node(tensor))) == pytest.approx(float(expected), rel=1e-5)
    assert float(node_linalg.norm(CopyNode(3, 4))) == 2.0
    assert float(node_linalg.norm(Node(-3.0))) == 3.0


def test_conj_makes_a_new_node_and_leaves_the_old_one() -> None:
    node = Node(normal((2, 3), "complex128", 1), name="n", axis_names=["a", "b"])
    other = make(3)
    edge = node[1] ^ other[0]
    result = node_linalg.conj(node)
    np.testing.assert_array_equal(result.tensor, node.tensor.conj())
    assert result.name == Node([1]).name
    assert result.axis_names == names_of(result.edges) == ["a", "b"]
    assert is_fresh(result)
    assert node[1] is edge
    result = node_linalg.conj(node, name="x", axis_names=["p", "q"])
    assert (result.name, result.axis_names) == ("x", ["p", "q"])
    real = make(2)
    assert node_linalg.conj(real).tensor is real.tensor


def test_transpose_takes_axes_by_number_or_name() -> None:
    node = make(2, 3, 4, name="n", axis_names=["a", "b", "c"])
    for permutation in ([2, 0, 1], ["c", "a", "b"], ["c", 0, "b"]):
        result = node_linalg.transpose(node, permutation)
        np.testing.assert_array_equal(result.tensor, node.tensor.transpose(2, 0, 1))
        assert result.axis_names == names_of(result.edges) == ["c", "a", "b"]
        assert is_fresh(result)
    result = node_linalg.transpose(node, [1, 0, 2], name="x", axis_names=["p", "q", "r"])
    assert (result.name, result.axis_names, result.shape) == ("x", ["p", "q", "r"], (3, 2, 4))
    assert node.shape == (2, 3, 4)
    trace = make(2, 2)
    trace[0] ^ trace[1]
    assert is_fresh(node_linalg.transpose(trace, [1, 0]))


def test_kron_puts_inputs_before_outputs_and_moves_the_edges() -> None:
    a = make(2, 3, axis_names=["a", "b"])
    b = make(4, 5, 6, 7, axis_names=["c", "d", "e", "f"])
    edges = [a[0], b[0], b[1], a[1], b[2], b[3]]
    tensors = [a.tensor, b.tensor]
    result = node_linalg.kron([a, b])
    assert result.edges == edges
    assert result.shape == (2, 4, 5, 3, 6, 7)
    assert {edge.node1 for edge in edges} == {result}
    np.testing.assert_array_equal(result.tensor, np.einsum("ab,cdef->acdbef", *tensors))
    for node, tensor in zip((a, b), tensors):
        assert node.tensor is tensor
        assert is_fresh(node)
    assert names_of(a.edges) == ["a", "b"]


def test_kron_of_matrices_is_that_of_numpy() -> None:
    matrices = [normal((2, 2), "complex128", seed) for seed in range(3)]
    result = node_linalg.kron([Node(matrix) for matrix in matrices])
    expected = np.kron(np.kron(*matrices[:2]), matrices[2])
    np.testing.assert_allclose(result.tensor.reshape(8, 8), expected)
    single = Node(matrices[0])
    np.testing.assert_array_equal(node_linalg.kron([single]).tensor, matrices[0])
    hub = node_linalg.kron([CopyNode(2, 2), make(2, 2)])
    np.testing.assert_array_equal(
        hub.tensor.reshape(4, 4), np.kron(np.eye(2), [[1.0, 2.0], [3.0, 4.0]])
    )
    scalar = node_linalg.kron([Node(2.0), Node(3.0)])
    assert float(scalar.tensor) == 6.0


def test_initialised_nodes_hold_what_their_names_say() -> None:
    names: dict[str, Any] = {"name": "n", "axis_names": ["a", "b"], "backend": "numpy"}
    made = {
        "eye": (node_linalg.eye(2, "float32", 3, **names), np.eye(2, 3, dtype="float32")),
        "zeros": (node_linalg.zeros((2, 3), int, **names), np.zeros((2, 3), int)),
        "ones": (node_linalg.ones((2, 3), "complex64", **names), np.ones((2, 3), "complex64")),
        "randn": (node_linalg.randn((2, 3), "complex128", 5, **names), normal((2, 3), complex, 5)),
        "random_uniform": (
            node_linalg.random_uniform((2, 3), "float32", 5, (-2, 7), **names),
            uniform((2, 3), "float32", 5, (-2, 7)),
        ),
    }
    for node, expected in made.values():
        assert node.dtype == expected.dtype
        np.testing.assert_array_equal(node.tensor, expected)
        assert node.name == "n"
        assert node.axis_names == names_of(node.edges) == ["a", "b"]
        assert is_fresh(node)


def test_initialised_nodes_are_of_float64_by_default() -> None:
    nodes = [node_linalg.eye(2), node_linalg.zeros((2, 0)), node_linalg.ones(())]
    nodes += [node_linalg.randn((2,)), node_linalg.random_uniform((3,))]
    for node in nodes:
        assert node.dtype == np.float64
        assert node.axis_names == [str(k) for k in range(len(node.shape))]
    assert ((nodes[-1].tensor >= 0) & (nodes[-1].tensor < 1)).all()


def test_calls_that_fail_name_the_node_and_change_nothing() -> None:
    a, b = make(2, 2, name="a"), make(2, 2, name="b")
    odd = make(3, name="odd")
    nodes = (a, b, odd)
    with fails(ValueError, r"'odd' \(shape \(3,\)\) is no operator", *nodes):
        node_linalg.kron([a, odd])
    with fails(ValueError, "comes twice", *nodes):
        node_linalg.kron([a, a])
    with fails(ValueError, "at least one node", *nodes):
        node_linalg.kron([])
    with fails(TypeError, "expected a node, not ndarray", *nodes):
        node_linalg.kron([a, b.tensor])
    with fails(ValueError, "not a permutation", *nodes):
        node_linalg.transpose(a, [1, 1])
    with fails(ValueError, "no axis named 'x'", *nodes):
        node_linalg.transpose(a, ["x", 0])
    with fails(ValueError, "repeated", *nodes):
        node_linalg.conj(a, axis_names=["p", "p"])
    a[0] ^ b[0]
    with fails(ValueError, "'a' has an edge that is not dangling", *nodes):
        node_linalg.kron([a, b])
    for function in (node_linalg.norm, node_linalg.conj):
        with pytest.raises(TypeError, match="expected a node"):
            function(np.ones(2))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="expected a node"):
        node_linalg.transpose([1], [0])  # type: ignore[arg-type]


def test_initialisers_refuse_another_backend() -> None:
    for make_node in (node_linalg.zeros, node_linalg.ones, node_linalg.randn):
        with pytest.raises(ValueError, match="'jax' is not supported"):
            make_node((2,), backend="jax")
    with pytest.raises(ValueError, match="'jax' is not supported"):
        node_linalg.eye(2, backend="jax")
    with pytest.raises(ValueError, match="one name per axis"):
        node_linalg.random_uniform((2,), axis_names=["a", "b"])
