"""Networks of nodes are differentiable with respect to the tensor of any node."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensornet as tn
from tensornet import CopyNode, GradientTape, Node, Tensor, contractors, grad
from tensornet.ops import real
from tensornet.ops import sum as sum_of

rng = np.random.default_rng(3)
A, B, C = rng.normal(size=(3, 4)), rng.normal(size=(4, 5)), rng.normal(size=(5, 3))


def test_a_loop_contracted_at_once() -> None:
    def loop(*tensors: Any) -> Any:
        a, b, c = map(Node, tensors)
        a[1] ^ b[0], b[1] ^ c[0], c[1] ^ a[0]
        return contractors.auto([a, b, c]).tensor

    gradients = grad(loop, (0, 1, 2))(A, B, C)
    for found, want in zip(gradients, (B @ C, C @ A, A @ B)):
        np.testing.assert_allclose(found, want.T)


def test_pair_by_pair_with_arithmetic_and_a_trace() -> None:
    def steps(x: Any) -> Any:
        a, b, c = Node(x), Node(B), Node(C)
        a[1] ^ b[0]
        ab = 2 * (a @ b) + 1
        ab = (ab - 1) / 2
        ab[1] ^ c[0]
        abc = tn.contract_between(ab, c)
        abc[0] ^ abc[1]
        return tn.contract_trace_edges(abc).tensor

    np.testing.assert_allclose(grad(steps)(A), (B @ C).T)


def test_copy_nodes_and_diagonal_results() -> None:
    def squares(x: Any) -> Any:
        hub, a, b, ones = CopyNode(3, 3), Node(x), Node(x), Node(np.ones(3))
        hub[0] ^ a[0], hub[1] ^ b[0], hub[2] ^ ones[0], a[1] ^ b[1]
        return contractors.auto([hub, a, b, ones]).tensor

    np.testing.assert_allclose(grad(squares)(A), 2 * A)
    weights = rng.normal(size=(3, 3, 4))

    def diagonal(x: Any) -> Any:
        a, hub = Node(x), CopyNode(3, 3)
        a[0] ^ hub[0]
        spread = contractors.auto([a, hub], output_edge_order=[hub[1], hub[2], a[1]])
        return sum_of(spread.tensor * spread.tensor * weights)

    np.testing.assert_allclose(grad(diagonal)(A), 2 * A * np.einsum("iij->ij", weights))


def test_conjugated_copies() -> None:
    def norm(z: Any) -> Any:
        a = Node(z)
        b = a.copy(conjugate=True)
        a[0] ^ b[0], a[1] ^ b[1]
        return real((a @ b).tensor)

    z = A + 1j * A[::-1]
    np.testing.assert_allclose(grad(norm)(z), 2 * z)


def test_reshaped_reordered_and_sliced_nodes() -> None:
    def entries(x: Any) -> Any:
        a, b = Node(x), Node(B)
        edge = a[1] ^ b[0]
        edges = tn.split_edge(edge, (2, 2))
        a.reorder_axes([1, 2, 0])
        tn.flatten_edges(edges)
        return sum_of((a @ b).tensor)

    np.testing.assert_allclose(grad(entries)(A), np.ones((3, 5)) @ B.T)


def test_a_tape_gives_the_gradient_of_the_tensor_of_a_node() -> None:
    x = Tensor(A)
    with GradientTape() as tape:
        tape.watch(x)
        a, b = Node(x), Node(B)
        a[1] ^ b[0]
        value = sum_of((a @ b).tensor)
    assert a.tensor is x
    np.testing.assert_allclose(tape.gradient(value, a.tensor).array, np.ones((3, 5)) @ B.T)


def test_compiled_networks() -> None:
    a, b, c = Node(A), Node(B), Node(C)
    a[1] ^ b[0], b[1] ^ c[0], c[1] ^ a[0]
    network = tn.compile_network([a, b, c], constants=[b])
    gradients = grad(lambda x, y: network([x, y]), (0, 1))(A, C)
    np.testing.assert_allclose(gradients[0], (B @ C).T)
    np.testing.assert_allclose(gradients[1], (A @ B).T)


def test_what_numpy_does_to_a_tensor_on_a_tape_is_refused_not_lost() -> None:
    with pytest.raises(TypeError, match="only operations of tensornet"):
        grad(lambda x: np.sum(np.asarray(x)))(A)
    assert grad(lambda x: sum_of(x) * float(np.sum(x.array)))(np.ones(2)).tolist() == [2, 2]
