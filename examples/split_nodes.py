"""Splitting nodes: a tensor becomes a chain of small ones, and loses no more than it is told to.

A smooth function on a grid of 2**n points is a tensor of n axes of extent 2, one for each binary
digit of the position. Splitting off one axis after the other turns it into a matrix product state,
whose bonds stay small because the function is smooth.

    python examples/split_nodes.py
"""

from __future__ import annotations

import numpy as np

import tensornet as tn

DIGITS = 12


def matrix_product_state(tensor: np.ndarray, error: float) -> tuple[list[tn.AbstractNode], float]:
    """Nodes in a row, and the norm of all that was dropped; `error` bounds it per split."""
    rest: tn.AbstractNode = tn.Node(tensor, name="rest")
    digits = rest.edges
    nodes, dropped = [], 0.0
    for digit in digits[:-1]:
        left = [edge for edge in rest.edges if edge is digit or edge.node2 is not None]
        right = [edge for edge in rest.edges if edge not in left]
        node, values, rest, lost = tn.split_node_full_svd(
            rest, left, right, max_truncation_err=error
        )
        rest = values @ rest  # the nodes so far are isometries, so that errors just add up
        dropped += float(np.sum(np.square(np.abs(lost))))
        nodes.append(node)
    return [*nodes, rest], dropped**0.5


def main() -> None:
    x = np.arange(2**DIGITS) / 2**DIGITS
    values = np.exp(-3 * x) * np.cos(40 * x) + x**2
    tensor = values.reshape((2,) * DIGITS)
    for error in (1e-1, 1e-4, 1e-10):
        nodes, dropped = matrix_product_state(tensor, error)
        entries = sum(node.tensor.size for node in nodes)
        order = [edge for node in nodes for edge in node.get_all_dangling()]
        again = tn.contractors.auto(nodes, output_edge_order=order).tensor
        distance = float(np.linalg.norm(again - tensor))
        print(f"error {error:g}: {entries} entries for {2**DIGITS}, distance {distance:.3e}")
        if not distance <= dropped * (1 + 1e-6) + 1e-12:
            raise SystemExit(f"more was lost than the {dropped:.3e} that splitting reports")

    matrix = tn.Node(values.reshape(64, 64), name="m")
    left, right = tn.split_node_qr(matrix, [matrix[0]], [matrix[1]])
    q, r = left.tensor, right.tensor
    print(f"QR: distance of Q^T Q from 1 is {np.linalg.norm(q.T @ q - np.eye(q.shape[1])):.1e}")
    if not np.allclose(q @ r, values.reshape(64, 64)):
        raise SystemExit("Q R is not the matrix")

    matrix = tn.Node(values.reshape(64, 64), name="m")
    u, s, v, lost = tn.split_node_full_svd(matrix, [matrix[0]], [matrix[1]], max_singular_values=3)
    print(f"SVD: kept {np.diag(s.tensor).round(3).tolist()}, dropped {np.linalg.norm(lost):.3e}")
    approximation = tn.contractors.auto([u, s, v], output_edge_order=[u[0], v[1]]).tensor
    matrix = tn.Node(values.reshape(64, 64), name="m")
    left, right, _ = tn.split_node(matrix, [matrix[0]], [matrix[1]], max_singular_values=3)
    if not np.allclose((left @ right).tensor, approximation):
        raise SystemExit("split in two, the node is another than split in three")
    distance = np.linalg.norm(approximation - values.reshape(64, 64))
    if not np.isclose(distance, np.linalg.norm(lost), rtol=1e-6, atol=1e-10):
        raise SystemExit("the distance is not that of the values dropped")


if __name__ == "__main__":
    main()
