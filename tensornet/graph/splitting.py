"""Splitting a node in two or three by a decomposition of its tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import linalg
from ..ops import diagflat, sqrt
from .abstract import CONSUMED, AbstractNode
from .checks import Array, check_axis_names, check_name, join_limited
from .edge import Edge, check_in_use
from .node import Node

__all__ = ["split_node", "split_node_full_svd", "split_node_qr", "split_node_rq"]


class Cut(NamedTuple):
    """Where a node is split: `perm` holds its axes, those of `left` before those of `right`."""

    node: AbstractNode
    left: list[Edge]
    right: list[Edge]
    perm: list[int]


def split_node(
    node: AbstractNode,
    left_edges: Iterable[Edge],
    right_edges: Iterable[Edge],
    max_singular_values: int | None = None,
    max_truncation_err: float | None = None,
    relative: bool | None = False,
    left_name: str | None = None,
    right_name: str | None = None,
    edge_name: str | None = None,
    method: str = "auto",
) -> tuple[AbstractNode, AbstractNode, Array]:
    """Split a node in two by a singular value decomposition, ``U sqrt(S)`` and ``sqrt(S) V^H``.

    The smallest singular values are dropped, as many as possible while the 2-norm of those dropped
    stays within `max_truncation_err`; and in any case all but `max_singular_values`.

    Args:
        node: the node. It keeps its array and gets fresh dangling edges.
        left_edges: edges of `node` for the left node, in the order of its axes.
        right_edges: all other edges of `node`, for the right node.
        max_singular_values: the most values to keep, the dimension of the new edge.
        max_truncation_err: the largest error, in the Frobenius norm, that dropping may cause.
        relative: `max_truncation_err` is a part of the largest singular value.
        left_name: the name of the left node.
        right_name: the name of the right node.
        edge_name: the name of the new edge and of its axes; the other axes then keep their names,
            which they lose otherwise.
        method: "auto", or "full" to compute all singular values whatever `max_singular_values` is.

    Returns:
        The left node with the edges `left_edges` and the new edge, the right node with the new
        edge and `right_edges`, and the singular values that were dropped, whose 2-norm is the
        truncation error. Where few values of a large matrix are wanted, only those are computed
        and the last of the dropped values stands for all others: see `tensornet.linalg.svd`.

    Raises:
        ValueError: `left_edges` and `right_edges` are not exactly the edges of the node; a trace
            edge; NaN or infinity in the tensor; repeated axis names; a negative or NaN limit.
        TypeError: not a node, not edges, names that are not text, or a dtype without kernels.
            After an error everything is as it was.

    Cost: O(m n min(m, n)) for left edges of m entries and right edges of n; O(m n k) if few values
    are computed.

    >>> node = Node(np.diag([4.0, 3.0, 2.0, 1.0]))
    >>> left, right, dropped = split_node(node, [node[0]], [node[1]], max_singular_values=2)
    >>> left.shape, right.shape, dropped.tolist()
    ((4, 2), (2, 4), [2.0, 1.0])
    >>> (left @ right).tensor.round(12).diagonal().tolist()
    [4.0, 3.0, 0.0, 0.0]
    """
    cut = _cut(node, left_edges, right_edges)
    axis_names = _check_names(cut, [left_name, right_name], [edge_name])
    limits = (max_singular_values, max_truncation_err, relative, method)
    u, s, vh, dropped = _decompose(cut, linalg.svd, *limits)
    root = sqrt(s)
    weighted = root.reshape((-1, *[1] * len(cut.right))) * vh
    left, right = _commit(
        cut, [u * root, weighted], [left_name, right_name], axis_names, [edge_name]
    )
    return left, right, dropped


def split_node_qr(
    node: AbstractNode,
    left_edges: Iterable[Edge],
    right_edges: Iterable[Edge],
    left_name: str | None = None,
    right_name: str | None = None,
    edge_name: str | None = None,
) -> tuple[AbstractNode, AbstractNode]:
    """Split a node in two by a QR decomposition: left an isometry, right upper triangular.

    Arguments and errors are those of `split_node`.

    Returns:
        The left node with the edges `left_edges` and the new edge, and the right node with the
        new edge and `right_edges`.

    >>> node = Node(np.ones((2, 3, 4)), axis_names=["a", "b", "c"])
    >>> left, right = split_node_qr(node, [node["a"], node["c"]], [node["b"]], edge_name="bond")
    >>> left, right
    (Node('__unnamed_node__', [a: 2, c: 4, bond: 3 -> '__unnamed_node__'[0]], float64), \
Node('__unnamed_node__', [bond: 3 -> '__unnamed_node__'[2], b: 3], float64))
    """
    return _split_in_two(
        linalg.qr, node, left_edges, right_edges, [left_name, right_name], edge_name
    )


def split_node_rq(
    node: AbstractNode,
    left_edges: Iterable[Edge],
    right_edges: Iterable[Edge],
    left_name: str | None = None,
    right_name: str | None = None,
    edge_name: str | None = None,
) -> tuple[AbstractNode, AbstractNode]:
    """Split a node in two by an RQ decomposition: left lower triangular, right an isometry.

    Arguments and errors are those of `split_node`.

    Returns:
        The left node with the edges `left_edges` and the new edge, and the right node with the
        new edge and `right_edges`; the rows of the right node are orthonormal.

    >>> node = Node(np.ones((2, 3, 4)))
    >>> left, right = split_node_rq(node, node[:2], node[2:])
    >>> left.shape, right.shape
    ((2, 3, 4), (4, 4))
    """
    return _split_in_two(
        linalg.rq, node, left_edges, right_edges, [left_name, right_name], edge_name
    )


def split_node_full_svd(
    node: AbstractNode,
    left_edges: Iterable[Edge],
    right_edges: Iterable[Edge],
    max_singular_values: int | None = None,
    max_truncation_err: float | None = None,
    relative: bool | None = False,
    left_name: str | None = None,
    middle_name: str | None = None,
    right_name: str | None = None,
    left_edge_name: str | None = None,
    right_edge_name: str | None = None,
    method: str = "auto",
) -> tuple[AbstractNode, AbstractNode, AbstractNode, Array]:
    """Split a node in three by a singular value decomposition: ``U``, ``S`` and ``V^H``.

    Arguments, errors and cost are those of `split_node`, and:

    Args:
        middle_name: the name of the node of singular values.
        left_edge_name: the name of the edge between the left and the middle node.
        right_edge_name: the name of the edge between the middle and the right node. Only if both
            names are given do axes have names: those of `node`, and these two.

    Returns:
        The left node with the edges `left_edges` and an edge to the middle node, the middle node
        whose tensor is the diagonal matrix of singular values, the right node with an edge to the
        middle node and `right_edges`; and the singular values that were dropped.

    >>> node = Node(np.diag([4.0, 3.0, 2.0, 1.0]))
    >>> left, middle, right, dropped = split_node_full_svd(node, node[:1], node[1:], 2)
    >>> middle.tensor.tolist(), dropped.tolist()
    ([[4.0, 0.0], [0.0, 3.0]], [2.0, 1.0])
    """
    cut = _cut(node, left_edges, right_edges)
    names, edge_names = [left_name, middle_name, right_name], [left_edge_name, right_edge_name]
    axis_names = _check_names(cut, names, edge_names)
    limits = (max_singular_values, max_truncation_err, relative, method)
    u, s, vh, dropped = _decompose(cut, linalg.svd, *limits)
    left, middle, right = _commit(cut, [u, diagflat(s), vh], names, axis_names, edge_names)
    return left, middle, right, dropped


def _split_in_two(
    decomposition: Callable[..., tuple[Array, Array]],
    node: AbstractNode,
    left_edges: Iterable[Edge],
    right_edges: Iterable[Edge],
    names: Sequence[str | None],
    edge_name: str | None,
) -> tuple[AbstractNode, AbstractNode]:
    cut = _cut(node, left_edges, right_edges)
    axis_names = _check_names(cut, names, [edge_name])
    factors = _decompose(cut, decomposition)
    left, right = _commit(cut, factors, names, axis_names, [edge_name])
    return left, right


def _cut(node: AbstractNode, left_edges: Iterable[Edge], right_edges: Iterable[Edge]) -> Cut:
    """The axes of the two sides.

    Raises:
        ValueError: not exactly the edges of `node`, each once, or one of them is a trace edge.
        TypeError: not a node, or not edges.
    """
    if not isinstance(node, AbstractNode):
        raise TypeError(f"expected a node, not {type(node).__name__}")
    left, right = list(left_edges), list(right_edges)
    edges = node._live_edges()
    for edge in left + right:
        check_in_use(edge)
    for edge in edges:
        if edge.is_trace():
            raise ValueError(
                f"cannot split node {node._name!r}: {edge!r} is a trace edge; contract it first, "
                "with contract_trace_edges"
            )
    axis_of = {edge: axis for axis, edge in enumerate(edges)}
    order = left + right
    if len(order) != len(edges) or set(order) != axis_of.keys():
        raise ValueError(
            f"cannot split node {node._name!r} (shape {node._shape}): left edges "
            f"[{join_limited(map(repr, left))}] and right edges [{join_limited(map(repr, right))}] "
            f"must be all of its edges, each once: [{join_limited(map(repr, edges))}]"
        )
    return Cut(node, left, right, [axis_of[edge] for edge in order])


def _check_names(
    cut: Cut, names: Sequence[str | None], edge_names: Sequence[str | None]
) -> list[list[str] | None]:
    """The axis names of each part, before anything is computed; None for the default ones.

    Axes keep their names if all new edges have one.

    Raises:
        TypeError: a name that is not text.
        ValueError: a name of a new edge that one of the axes beside it has already.
    """
    for name in names:
        if name is not None:
            check_name(name, "node")
    bonds = []
    for name in edge_names:
        if name is not None:
            check_name(name, "edge")
            bonds.append(name)
    if len(bonds) != len(edge_names):
        return [None] * len(names)
    old = cut.node.axis_names
    kept = [old[axis] for axis in cut.perm]
    split = len(cut.left)
    parts = [[*kept[:split], bonds[0]], [bonds[-1], *kept[split:]]]
    if len(bonds) == 2:
        parts.insert(1, bonds)
    return [check_axis_names(part, range(len(part))) for part in parts]


def _decompose(cut: Cut, decomposition: Callable[..., Any], *options: Any) -> Any:
    """The decomposition of the tensor at the cut; its errors name the node."""
    tensor = cut.node.get_tensor().transpose(cut.perm)
    try:
        return decomposition(tensor, len(cut.left), *options)
    except np.linalg.LinAlgError as error:
        raise np.linalg.LinAlgError(f"cannot split node {cut.node._name!r}: {error}") from None


def _commit(
    cut: Cut,
    tensors: Sequence[Array],
    names: Sequence[str | None],
    axis_names: Sequence[list[str] | None],
    edge_names: Sequence[str | None],
) -> list[Node]:
    """Make the nodes of the parts, in a row of new edges, and move the old edges to them."""
    parts = [Node(*each) for each in zip(tensors, names, axis_names)]
    left, right = parts[0], parts[-1]
    bonds = [
        Edge(before, len(before._shape) - 1, name, after, 0)
        for before, after, name in zip(parts, parts[1:], edge_names)
    ]
    left._edges = [*cut.left, bonds[0]]
    right._edges = [bonds[-1], *cut.right]
    for middle in parts[1:-1]:
        middle._edges = bonds
    moves = [(edge, left, axis) for axis, edge in enumerate(cut.left)]
    moves += [(edge, right, axis) for axis, edge in enumerate(cut.right, start=1)]
    for edge, part, axis in moves:
        if edge._node1 is cut.node:
            edge._node1, edge._axis1 = part, axis
        else:
            edge._node2, edge._axis2 = part, axis
    cut.node._edges = CONSUMED
    return parts
