"""Rules of matrix products and traces, which are matrix products of transposed views."""

from __future__ import annotations

from math import prod
from typing import Any

from ...api import tensordot
from ...ops import (
    broadcast_to,
    embed_diagonal,
    expand_dims,
    kron,
    matmul,
    outer,
    reshape,
    swapaxes,
    trace,
    transpose,
)
from .registry import conjugated, like, rule

__all__: list[str] = []


def _of_left(g: Any, _: Any, a: Any, b: Any) -> Any:
    b = conjugated(b)
    if b.ndim == 1:
        return g * b if len(a.shape) == 1 else expand_dims(g, -1) * b
    if len(a.shape) == 1:
        return like(reshape(matmul(b, expand_dims(g, -1)), b.shape[:-1]), a)
    if len(a.shape) == 2 and b.ndim > 2:  # one matrix for all on the right
        axes = (*range(b.ndim - 2), b.ndim - 1)
        return like(tensordot(g, b, (axes, axes)), a)
    return like(matmul(g, b.T if b.ndim == 2 else swapaxes(b, -2, -1)), a)


def _of_right(g: Any, _: Any, a: Any, b: Any) -> Any:
    a = conjugated(a)
    if a.ndim == 1:
        return a * g if len(b.shape) == 1 else like(expand_dims(a, -1) * expand_dims(g, -2), b)
    if len(b.shape) <= 2:
        if a.ndim > 2:  # the rows of all matrices on the left at once
            rows = prod(a.shape[:-1])
            a, g = reshape(a, (rows, a.shape[-1])), reshape(g, (rows, *b.shape[1:]))
        return matmul(a.T, g)
    return like(matmul(swapaxes(a, -2, -1), g), b)


rule(matmul, _of_left, _of_right, keeps=((1,), (0,)))


def _of_outer_left(g: Any, _: Any, a: Any, b: Any) -> Any:
    b = reshape(conjugated(b), (-1,))
    return reshape(matmul(reshape(g, (prod(a.shape), b.shape[0])), b), a.shape)


def _of_outer_right(g: Any, _: Any, a: Any, b: Any) -> Any:
    a = reshape(conjugated(a), (-1,))
    return reshape(matmul(a, reshape(g, (a.shape[0], prod(b.shape)))), b.shape)


def _unravelled(g: Any, ours: int) -> Any:
    """The cotangent of a Kronecker product, of which `ours` axes are the first operand's, as that
    of an outer one."""
    theirs = len(g.shape) - ours
    rows, columns = ours // 2, theirs // 2
    first = [*range(rows), *range(rows + columns, ours + columns)]
    second = [*range(rows, rows + columns), *range(ours + columns, ours + theirs)]
    return transpose(g, first + second)


rule(outer, _of_outer_left, _of_outer_right, keeps=((1,), (0,)))
rule(
    kron,
    lambda g, y, a, b: _of_outer_left(_unravelled(g, len(a.shape)), y, a, b),
    lambda g, y, a, b: _of_outer_right(_unravelled(g, len(g.shape) - len(b.shape)), y, a, b),
    keeps=((1,), (0,)),
)


def _of_trace(g: Any, _: Any, a: Any, offset: int = 0, axis1: int = -2, axis2: int = -1) -> Any:
    rows, columns = a.shape[axis1] + min(offset, 0), a.shape[axis2] - max(offset, 0)
    line = broadcast_to(expand_dims(g, -1), (*g.shape, max(0, min(rows, columns))))
    return embed_diagonal(line, a.shape, offset, axis1, axis2)


rule(trace, _of_trace, keeps=())
