"""Products and sums of tensors: matrix, outer and Kronecker products, traces."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..api import einsum, tensordot
from ..arrays import as_numeric
from ..errors import ShapeError
from ..tape import operation
from .elementwise import conj, multiply
from .shaping import reshape, shape

__all__ = ["dot", "kron", "matmul", "outer", "trace", "vdot"]


@operation
def matmul(a: Any, b: Any) -> Any:
    """The product of matrices ``a @ b``, by our kernels, with NumPy's rules.

    The last two axes are the matrices, those before are broadcast; an operand with one axis is a
    row on the left, a column on the right, and that axis is summed away.

    Raises:
        ShapeError: an operand without axes, or extents that do not fit.

    >>> matmul(np.ones((5, 2, 3)), np.ones((3, 4))).shape
    (5, 2, 4)
    """
    a, b = as_numeric(a, "a"), as_numeric(b, "b")
    if a.ndim == b.ndim == 2 and a.shape[1] == b.shape[0]:
        return tensordot(a, b, 1)
    if not a.ndim or not b.ndim:
        raise ShapeError(f"@ needs axes on both tensors, but the shapes are {a.shape}, {b.shape}")
    rows = max(b.ndim - 2, 0)  # the axis of b that is summed
    if a.shape[-1] != b.shape[rows]:
        raise ShapeError(
            f"@ sums the last axis of shape {a.shape} with axis {rows} of shape {b.shape}, but "
            f"they have extents {a.shape[-1]} and {b.shape[rows]}"
        )
    if b.ndim <= 2:
        return tensordot(a, b, 1)
    if a.ndim == 1:
        return tensordot(a, b, ((0,), (rows,)))
    return einsum("...ij,...jk->...ik", a, b)


@operation
def outer(tensor1: Any, tensor2: Any) -> Any:
    """Every entry of one times every entry of the other, with the axes of both.

    >>> outer(np.ones((2, 3)), np.ones(4)).shape
    (2, 3, 4)
    """
    return tensordot(tensor1, tensor2, 0)


@operation
def kron(tensorA: Any, tensorB: Any) -> Any:
    """The Kronecker product of two operators, tensors whose first half of axes are the rows.

    The result has the row axes of `tensorA`, those of `tensorB`, then the column axes of both. As
    matrices (`pivot` in the middle) it is ``np.kron`` of the two matrices.

    Raises:
        ShapeError: a tensor with an odd number of axes.

    >>> kron(np.ones((2, 3, 4, 5)), np.ones((6, 7))).shape
    (2, 3, 6, 4, 5, 7)
    """
    a, b = as_numeric(tensorA), as_numeric(tensorB)
    for name, array in (("tensorA", a), ("tensorB", b)):
        if array.ndim % 2:
            raise ShapeError(
                f"kron needs as many row axes as column axes, but {name} has {array.ndim} axes "
                f"(shape {array.shape})"
            )
    ours, theirs = list(range(a.ndim)), list(range(a.ndim, a.ndim + b.ndim))
    rows, columns = a.ndim // 2, b.ndim // 2
    wanted = ours[:rows] + theirs[:columns] + ours[rows:] + theirs[columns:]
    return einsum(a, ours, b, theirs, wanted)


@operation
def trace(tensor: Any, offset: int = 0, axis1: int = -2, axis2: int = -1) -> Any:
    """The sum along the diagonal of two axes, by default the last two.

    Args:
        offset: how far right of the main diagonal, or left of it if negative.

    Returns:
        a tensor without the two axes; small integers and bool are summed as int64, as in NumPy.

    Raises:
        ValueError: an axis that the tensor does not have, or twice the same.

    >>> trace(np.ones((2, 3, 3)))
    array([3., 3.])
    """
    return np.trace(as_numeric(tensor), offset, axis1, axis2)


def dot(a: Any, b: Any) -> Any:
    """The sum over the last axis of a and the last but one of b, or its only one.

    A number times a tensor is their product.

    Raises:
        ShapeError: the two axes have unequal extents.

    >>> float(dot([1.0, 2.0], [3.0, 4.0]))
    11.0
    """
    ranks = len(shape(a)), len(shape(b))
    if not all(ranks):
        return multiply(a, b)
    return matmul(a, b) if ranks[1] <= 2 else tensordot(a, b, ((ranks[0] - 1,), (ranks[1] - 2,)))


def vdot(a: Any, b: Any) -> Any:
    """The inner product of all entries, those of a conjugated.

    Raises:
        ShapeError: unequal numbers of entries.

    >>> complex(vdot([1j, 2.0], [1j, 3.0]))
    (7+0j)
    """
    return matmul(conj(reshape(a, (-1,))), reshape(b, (-1,)))
