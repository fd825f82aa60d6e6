"""Linear algebra on nodes, known as `tensornet.linalg.node_linalg`.

Names and results follow google/TensorNetwork 0.4.6. Each function makes a new node with dangling
edges named after the axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import linalg
from ..linalg.sampling import normal, uniform
from .abstract import AbstractNode
from .checks import check_backend
from .labels import label_all
from .lowering import run
from .node import Node
from .reordering import check_permutation

__all__ = [
    "conj",
    "eye",
    "kron",
    "norm",
    "ones",
    "randn",
    "random_uniform",
    "transpose",
    "zeros",
]


def norm(node: AbstractNode) -> Any:
    """The 2-norm of all entries of a node, as a NumPy number.

    Raises:
        TypeError: not a node.

    >>> float(norm(Node([[3.0, 0.0], [0.0, 4.0j]])))
    5.0
    """
    _check_node(node)
    return linalg.norm(node.get_tensor())


def conj(
    node: AbstractNode, name: str | None = None, axis_names: Sequence[str] | None = None
) -> AbstractNode:
    """The complex conjugate of a node; `node` stays as it is.

    Args:
        node: the node. The array of a real one is shared.
        name: the name of the result.
        axis_names: names of its axes, by default those of `node`.

    Raises:
        TypeError: not a node, or names that are not text.
        ValueError: repeated axis names, or not one per axis.

    >>> conj(Node([1j, 2], axis_names=["x"])).tensor.tolist()
    [-1j, (2-0j)]
    """
    _check_node(node)
    tensor = node.get_tensor()
    if tensor.dtype.kind == "c":
        tensor = tensor.conj()
    return Node(tensor, name, node.axis_names if axis_names is None else axis_names)


def transpose(
    node: AbstractNode,
    permutation: Sequence[int | str],
    name: str | None = None,
    axis_names: Sequence[str] | None = None,
) -> AbstractNode:
    """A node with its axes in another order; `node` stays as it is, and so does its array.

    Args:
        node: the node. Its edges have no part in the result.
        permutation: all axes of `node`, by number or name, in the order wanted.
        name: the name of the result.
        axis_names: names of its axes, by default those of the axes of `node`.

    Returns:
        A node whose array is a transposed view.

    Raises:
        ValueError: `permutation` is not one of the axes, or bad axis names.
        TypeError: not a node, or names that are not text.

    >>> node = Node([[1, 2, 3]], axis_names=["row", "column"])
    >>> transpose(node, ["column", "row"])
    Node('__unnamed_node__', [column: 3, row: 1], int64)
    """
    _check_node(node)
    order = check_permutation(node, [node.get_axis_number(axis) for axis in permutation])
    if axis_names is None:
        names = node.axis_names
        axis_names = [names[axis] for axis in order]
    return Node(node.get_tensor().transpose(order), name, axis_names)


def kron(nodes: Sequence[AbstractNode]) -> AbstractNode:
    """The Kronecker product of operators: an outer product with all inputs before all outputs.

    Of nodes with axes ``ab``, ``cdef`` and ``gh`` it is a node with axes ``acdgbefh``.

    Args:
        nodes: nodes of an even number of axes, all dangling: the first half of the axes of each
            are its inputs, the second half its outputs. They keep their arrays and get fresh
            dangling edges.

    Returns:
        A node with all their edges.

    Raises:
        ValueError: no nodes, one twice, an odd number of axes, or an edge that is not dangling.
        TypeError: not nodes. After an error everything is as it was.

    >>> x, z = Node([[0, 1], [1, 0]]), Node([[1, 0], [0, -1]])
    >>> kron([x, z]).tensor.reshape(4, 4).tolist()
    [[0, 0, 1, 0], [0, 0, 0, -1], [1, 0, 0, 0], [0, -1, 0, 0]]
    """
    factors = list(nodes)
    if not factors:
        raise ValueError("kron needs at least one node")
    for node in factors:
        _check_node(node)
        if len(node.shape) % 2:
            raise ValueError(
                f"node {node.name!r} (shape {node.shape}) is no operator: kron takes nodes of an "
                "even number of axes"
            )
        if node.has_nondangling_edge():
            raise ValueError(f"node {node.name!r} has an edge that is not dangling: {node!r}")
    if len(set(factors)) != len(factors):
        raise ValueError("a node comes twice in kron; use node.copy() for a second one")
    labels = label_all(dict.fromkeys(factors))
    inputs: list[int] = []
    outputs: list[int] = []
    start = 0
    for node in factors:
        middle, stop = start + len(node.shape) // 2, start + len(node.shape)
        inputs += range(start, middle)
        outputs += range(middle, stop)
        start = stop
    order = inputs + outputs
    ends, ids = [labels.ends[k] for k in order], [labels.ids[k] for k in order]
    return run(factors, labels._replace(ends=ends, ids=ids)).commit()


def eye(
    N: int,
    dtype: Any = None,
    M: int | None = None,
    name: str | None = None,
    axis_names: Sequence[str] | None = None,
    backend: str | None = None,
) -> Node:
    """A node of an (N, M) matrix with ones on the diagonal and zeros elsewhere.

    Args:
        N: the extent of the first axis.
        dtype: the dtype, float64 by default.
        M: the extent of the second axis, by default N.
        name: the name of the node.
        axis_names: names of its axes.
        backend: None or ``"numpy"``.

    Raises:
        ValueError: bad extents or axis names, another backend.
        TypeError: names that are not text.

    >>> eye(2, M=3).tensor.tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    check_backend(backend)
    return Node(np.eye(N, M, dtype=dtype), name, axis_names)


def zeros(
    shape: Sequence[int],
    dtype: Any = None,
    name: str | None = None,
    axis_names: Sequence[str] | None = None,
    backend: str | None = None,
) -> Node:
    """A node of zeros; arguments and errors are those of `eye`.

    >>> zeros((2,)).tensor.tolist()
    [0.0, 0.0]
    """
    check_backend(backend)
    return Node(np.zeros(shape, dtype), name, axis_names)


def ones(
    shape: Sequence[int],
    dtype: Any = None,
    name: str | None = None,
    axis_names: Sequence[str] | None = None,
    backend: str | None = None,
) -> Node:
    """A node of ones; arguments and errors are those of `eye`.

    >>> ones((2,), dtype="int64").tensor.tolist()
    [1, 1]
    """
    check_backend(backend)
    return Node(np.ones(shape, dtype), name, axis_names)


def randn(
    shape: Sequence[int],
    dtype: Any = None,
    seed: int | None = None,
    name: str | None = None,
    axis_names: Sequence[str] | None = None,
    backend: str | None = None,
) -> Node:
    """A node of numbers of the standard normal distribution; complex ones have two such parts.

    Args:
        shape: the extents.
        dtype: the dtype, float64 by default. Numbers of an integer dtype are rounded towards 0.
        seed: makes the numbers repeatable, and the same as google/TensorNetwork's. Without it they
            follow ``numpy.random.seed``.
        name: the name of the node.
        axis_names: names of its axes.
        backend: None or ``"numpy"``.

    Raises:
        ValueError: bad extents or axis names, another backend.
        TypeError: a dtype without kernels, or names that are not text.

    >>> randn((2,), seed=1).tensor.round(3).tolist()
    [1.624, -0.612]
    """
    check_backend(backend)
    return Node(normal(shape, dtype, seed), name, axis_names)


def random_uniform(
    shape: Sequence[int],
    dtype: Any = None,
    seed: int | None = None,
    boundaries: tuple[float, float] | None = (0.0, 1.0),
    name: str | None = None,
    axis_names: Sequence[str] | None = None,
    backend: str | None = None,
) -> Node:
    """A node of numbers spread evenly between `boundaries`; both parts of complex ones are.

    The other arguments, and errors, are those of `randn`.

    >>> random_uniform((2,), seed=1, boundaries=(-1, 1)).tensor.round(3).tolist()
    [-0.166, 0.441]
    """
    check_backend(backend)
    return Node(uniform(shape, dtype, seed, boundaries), name, axis_names)


def _check_node(node: object) -> None:
    if not isinstance(node, AbstractNode):
        raise TypeError(f"expected a node, not {type(node).__name__}")
