"""Nodes and edges from the beginning: connect, contract, name, trace, flatten, copy.

python examples/graph_basics.py
"""

from __future__ import annotations

import numpy as np

import tensornet as tn


def check(what: str, value: object, expected: object) -> None:
    print(f"{what:52} {np.asarray(value).round(6).tolist()}")
    if not np.allclose(np.asarray(value), np.asarray(expected)):
        raise SystemExit(f"{what}: expected {expected}")


def dot_product(x: np.ndarray, y: np.ndarray) -> float:
    """One edge between two vectors."""
    a, b = tn.Node(x, name="x"), tn.Node(y, name="y")
    edge = a[0] ^ b[0]
    return float(tn.contract(edge).tensor)


def matrix_product(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Axes may have names; the result keeps the open edges in the order asked for."""
    a = tn.Node(x, axis_names=["row", "inner"])
    b = tn.Node(y, axis_names=["inner", "column"])
    a["inner"] ^ b["inner"]
    transposed = tn.contract_between(a, b, output_edge_order=[b["column"], a["row"]])
    return transposed.tensor.T


def trace(x: np.ndarray) -> float:
    """An edge from a node to itself."""
    a = tn.Node(x)
    a[0] ^ a[1]
    return float(tn.contract_trace_edges(a).tensor)


def inner_product(x: np.ndarray, y: np.ndarray) -> float:
    """Parallel edges, first flattened into one."""
    a, b = tn.Node(x), tn.Node(y)
    for axis in range(x.ndim):
        a[axis] ^ b[axis]
    tn.flatten_edges_between(a, b)
    return float((a @ b).tensor)


def ring(tensors: list[np.ndarray]) -> float:
    """A ring of matrices, contracted as one network."""
    nodes = [tn.Node(tensor) for tensor in tensors]
    for left, right in zip(nodes, nodes[1:] + nodes[:1]):
        left[1] ^ right[0]
    return float(tn.contractors.auto(nodes).tensor)


def norm(x: np.ndarray, y: np.ndarray) -> float:
    """The squared norm of the state that two nodes describe: a network and its conjugate copy."""
    a, b = tn.Node(x), tn.Node(y)
    a[1] ^ b[0]
    copies, _ = tn.copy([a, b], conjugate=True)
    a[0] ^ copies[a][0]
    b[1] ^ copies[b][1]
    return float(tn.contractors.auto([a, b, *copies.values()]).tensor.real)


def share(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Three vectors on one hyperedge whose index stays open: their product entry by entry."""
    nodes = [tn.Node(vector) for vector in (x, y, z)]
    hyperedge = tn.hyperedge([node[0] for node in nodes], dangling=True)
    return tn.contractors.auto(nodes, output_edge_order=[hyperedge[-1]]).tensor


def main() -> None:
    rng = np.random.default_rng(7)
    x, y, z = rng.standard_normal((3, 4))
    a, b = rng.standard_normal((2, 3)), rng.standard_normal((3, 2))
    check("x . y", dot_product(x, y), x @ y)
    check("A B", matrix_product(a, b), a @ b)
    check("trace of A B", trace(a @ b), np.trace(a @ b))
    check("sum of A * B^T", inner_product(a, b.T), (a * b.T).sum())
    check("trace of a ring of matrices", ring([a, b, a, b]), np.trace(a @ b @ a @ b))
    state = (a + 1j * a) @ b
    check("squared norm of a state", norm(a + 1j * a, b), np.vdot(state, state).real)
    check("x * y * z on a hyperedge", share(x, y, z), x * y * z)
    check("2 * node + 1", (2 * tn.Node(x) + 1).tensor, 2 * x + 1)


if __name__ == "__main__":
    main()
