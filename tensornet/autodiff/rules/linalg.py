"""Rules of decompositions and matrix functions.

What a decomposition leaves open (phases of singular vectors, bases of degenerate spaces) must not
matter to the loss; then its gradient exists, and is finite where values coincide: differences of
equal values never divide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from ...linalg import eigh, expm, inv, norm, qr, rq, solve, svd
from ...ops import conj, equal, imag, matmul, multiply, outer, real, reshape, transpose
from .registry import joint_rule, rule

__all__: list[str] = []


def _adjoint(matrix: Any) -> Any:
    return conj(transpose(matrix))


def _inverse(x: Any, scale: Any) -> Any:
    """1 / x for what is not small beside `scale`, and 0 for zero, smoothly."""
    small = np.finfo(x.dtype).eps * scale
    return x / (x * x + small * small + np.finfo(x.dtype).tiny)


def _largest(values: Any) -> float:
    """The largest of some numbers, as a constant."""
    array = getattr(values, "array", values)
    return float(np.abs(array).max()) if array.size else 0.0


def _diagonal(vector: Any) -> Any:
    return multiply(np.eye(vector.shape[0], dtype=vector.dtype), vector)


def _zeros(like: Any) -> Any:
    return np.zeros(like.shape, like.dtype)


# Singular values: Wan and Zhang, Automatic differentiation for complex valued SVD, 2019. With
# P = u^H dA v, X = u^H gu - h.c. and Y = v^H gv - h.c., the cotangent of P is
# (X + Y) / 2 / (s_j - s_i) + (X - Y) / 2 / (s_j + s_i), of which only the first can divide by zero;
# there X + Y vanishes for losses that do not see the basis of a degenerate space.


def _svd_pull(
    g: Any, y: Any, _: list[bool], args: Sequence[Any], options: Mapping[str, Any]
) -> Sequence[Any]:
    tensor = args[0]
    rows, columns = y[0].shape[:-1], y[2].shape[1:]
    m, n, kept = prod(rows), prod(columns), y[1].shape[0]
    u, s, vh = y[0], y[1], y[2]
    rank = min(m, n)
    if kept < rank:  # the vectors that were dropped move those that were kept
        u, s, vh, _dropped = svd(tensor, len(rows), method="full")
    u, vh = reshape(u, (m, rank)), reshape(vh, (rank, n))
    gu = _padded(g[0], (m, kept), (m, rank))
    gv = _adjoint(_padded(g[2], (kept, n), (rank, n)))
    gs = _joined(g[1], g[3], y[1], y[3], rank)
    pulled = _svd_matrix(u, real(s), _adjoint(vh), gu, real(gs), gv)
    return [reshape(pulled, tensor.shape), *[None] * (len(args) - 1)]


def _padded(g: Any, shape: tuple[int, int], full: tuple[int, int]) -> Any:
    """A cotangent as a matrix, with zeros for vectors that were dropped."""
    if g is None:
        return np.zeros(full)
    g = reshape(g, shape)
    if shape[0] < full[0]:
        return matmul(np.eye(full[0], shape[0], dtype=g.dtype), g)
    if shape[1] < full[1]:
        return matmul(g, np.eye(shape[1], full[1], dtype=g.dtype))
    return g


def _joined(g: Any, g_dropped: Any, s: Any, dropped: Any, rank: int) -> Any:
    """The cotangent of all singular values: of those kept, then of those dropped."""
    total = np.zeros(rank)
    kept = s.shape[0]
    if g is not None:
        total = total + matmul(np.eye(rank, kept, dtype=g.dtype), g)
    if g_dropped is not None:
        if dropped.shape[0] != rank - kept:
            raise TypeError(
                "the dropped values of a partial svd have no gradient: use method='full'"
            )
        total = total + matmul(np.eye(rank, rank - kept, -kept, g_dropped.dtype), g_dropped)
    return total


def _svd_matrix(u: Any, s: Any, v: Any, gu: Any, gs: Any, gv: Any) -> Any:
    scale = _largest(s)
    ugu, vgv = matmul(_adjoint(u), gu), matmul(_adjoint(v), gv)
    x, y = ugu - _adjoint(ugu), vgv - _adjoint(vgv)
    row, column = reshape(s, (1, -1)), reshape(s, (-1, 1))
    inner = (x + y) * _inverse(row - column, scale) + (x - y) * _inverse(row + column, scale)
    inner = 0.5 * inner * (1 - np.eye(s.shape[0], dtype=s.dtype)) + _diagonal(gs)
    below = _inverse(s, scale)
    if x.dtype.kind == "c":  # phases of u and v turn against each other
        eye = np.eye(s.shape[0], dtype=s.dtype)
        inner = inner + 0.25j * imag(x - y) * eye * below
    pulled = matmul(matmul(u, inner), _adjoint(v))
    m, n, k = u.shape[0], v.shape[0], s.shape[0]
    if m > k:
        outside = (gu - matmul(u, ugu)) * below
        pulled = pulled + matmul(outside, _adjoint(v))
    if n > k:
        outside = (gv - matmul(v, vgv)) * below
        pulled = pulled + matmul(u, _adjoint(outside))
    return pulled


# QR: Walter and Lehmann, Algorithmic differentiation of linear algebra functions, 2012; columns
# beyond the rows are R's alone.


def _qr_matrix(q: Any, r: Any, gq: Any, gr: Any) -> Any:
    m, n = q.shape[0], r.shape[1]
    if m < n:
        kept = np.eye(n, m, dtype=q.dtype)
        rest = np.eye(n, n - m, -m, q.dtype)
        r_rest, gr_rest = matmul(r, rest), matmul(gr, rest)
        gq = gq + matmul(matmul(q, r_rest), _adjoint(gr_rest))
        square = _qr_square(q, matmul(r, kept), gq, matmul(gr, kept))
        return matmul(square, kept.T) + matmul(matmul(q, gr_rest), rest.T)
    return _qr_square(q, r, gq, gr)


def _qr_square(q: Any, r: Any, gq: Any, gr: Any) -> Any:
    n = r.shape[1]
    inner = matmul(r, _adjoint(gr)) - matmul(_adjoint(gq), q)
    lower = inner * np.tri(n, k=-1)
    hermitian = lower + _adjoint(lower) + real(inner) * np.eye(n)
    return _adjoint(solve(r, _adjoint(gq + matmul(q, hermitian))))


def _factors(y: Sequence[Any]) -> tuple[Any, Any]:
    """The factors of a tensor as matrices."""
    left, right = y
    rows, columns = prod(left.shape[:-1]), prod(right.shape[1:])
    return reshape(left, (rows, left.shape[-1])), reshape(right, (right.shape[0], columns))


def _qr_pull(
    g: Any, y: Any, _: list[bool], args: Sequence[Any], __: Mapping[str, Any]
) -> Sequence[Any]:
    q, r = _factors(y)
    gq, gr = [_zeros(x) if gx is None else reshape(gx, x.shape) for x, gx in zip((q, r), g)]
    return [reshape(_qr_matrix(q, r, gq, gr), args[0].shape), *[None] * (len(args) - 1)]


def _rq_pull(
    g: Any, y: Any, _: list[bool], args: Sequence[Any], __: Mapping[str, Any]
) -> Sequence[Any]:
    r, q = _factors(y)
    gr, gq = [_zeros(x) if gx is None else reshape(gx, x.shape) for x, gx in zip((r, q), g)]
    adjoints = [_adjoint(x) for x in (q, r, gq, gr)]
    pulled = _adjoint(_qr_matrix(*adjoints))
    return [reshape(pulled, args[0].shape), *[None] * (len(args) - 1)]


def _eigh_pull(
    g: Any, y: Any, _: list[bool], __: Sequence[Any], ___: Mapping[str, Any]
) -> Sequence[Any]:
    """The gradient along Hermitian changes of the matrix, itself Hermitian."""
    values, vectors = y
    inner = 0.0 if g[0] is None else _diagonal(g[0])
    if g[1] is not None:
        apart = reshape(values, (1, -1)) - reshape(values, (-1, 1))
        turned = matmul(_adjoint(vectors), g[1])
        inner = inner + 0.5 * (turned - _adjoint(turned)) * _inverse(apart, _largest(values))
    return [matmul(matmul(vectors, inner), _adjoint(vectors))]


def _solve_pull(
    g: Any, x: Any, needed: list[bool], args: Sequence[Any], _: Mapping[str, Any]
) -> Sequence[Any]:
    of_right = solve(_adjoint(args[0]), g)
    if not needed[0]:
        return [None, of_right]
    columns = [reshape(each, (each.shape[0], prod(each.shape[1:]))) for each in (of_right, x)]
    return [-matmul(columns[0], _adjoint(columns[1])), of_right]


def _expm_pull(g: Any, _: Any, matrix: Any) -> Any:
    """The Frechet derivative at the adjoint, a block of an exponential of twice the size.

    Al-Mohy and Higham, Computing the Frechet derivative of the matrix exponential, 2009, eq. 1.4.
    """
    n = matrix.shape[0]
    blocks = outer(np.eye(2), _adjoint(matrix)) + outer(np.eye(2, k=1), g)
    whole = expm(reshape(transpose(blocks, (0, 2, 1, 3)), (2 * n, 2 * n)))
    first, second = np.eye(n, 2 * n), np.eye(2 * n, n, -n)
    return matmul(matmul(first, whole), second)


def _norm_pull(g: Any, y: Any, tensor: Any) -> Any:
    return tensor * (g / (y + equal(y, 0)))  # zero at zero


joint_rule(svd, _svd_pull, keeps_result=True)
joint_rule(qr, _qr_pull, keeps=(), keeps_result=True)
joint_rule(rq, _rq_pull, keeps=(), keeps_result=True)
joint_rule(eigh, _eigh_pull, keeps=(), keeps_result=True)
joint_rule(solve, _solve_pull, keeps_result=True)
rule(
    inv,
    lambda g, y, a: -matmul(matmul(_adjoint(y), g), _adjoint(y)),
    keeps=(),
    keeps_result=True,
)
rule(expm, _expm_pull)
rule(norm, _norm_pull, keeps_result=True)
