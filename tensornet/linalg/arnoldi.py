"""The Arnoldi process with thick restarts: Ritz pairs of a linear map from few of its products.

The vectors V, as rows, satisfy ``A V^T = V^T H + r e^T``, where r is orthogonal to V. A restart
keeps the part of the space that belongs to the eigenvalues of interest and goes on from r (Stewart
2001; Wu & Simon 2000 for Hermitian maps).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from ..arrays import Array
from .maps import LinearMap, Rows, norm_of

__all__ = ["Arnoldi", "Ritz", "leading_schur"]

# Places the indices of the eigenvalues of interest first.
Order = Callable[[Array], Array]


class Ritz(NamedTuple):
    """Approximate eigenpairs: values, coefficients as columns, and the norms of the residuals.

    `all_values` are the values of the whole space, those of interest first.
    """

    values: Array
    coefficients: Array
    residuals: Array
    all_values: Array


class Arnoldi:
    """A Krylov space of a linear map that can grow, and shrink to the part of interest.

    Args:
        linear_map: the map.
        start: a vector that is not zero.
        order: which eigenvalues are of interest.
        hermitian: whether the map is.
        delta: vectors below this norm (relative, if the map's own norm is below 1) count as zero.
    """

    def __init__(
        self,
        linear_map: LinearMap,
        start: Array,
        order: Order,
        hermitian: bool,
        delta: float = 0.0,
    ) -> None:
        self.map = linear_map
        self.rows = Rows(start / norm_of(start))
        self.order = order
        self.hermitian = hermitian
        self.delta = delta
        self.h = np.zeros((1, 0), self.rows.all.dtype)
        self.scale = 0.0  # the largest norm of an image of a unit vector so far
        self.closed = False  # whether the space is invariant, so that r is zero

    @property
    def size(self) -> int:
        """The dimension of the space."""
        return int(self.h.shape[1])

    @property
    def is_everything(self) -> bool:
        """Whether the space is all there is."""
        return self.size == int(self.rows.all.shape[1])

    def step(self) -> None:
        """Add one dimension, by one product. O(vectors * length) beside that."""
        size = self.size
        if self.closed:
            self.rows.append(self.rows.random_direction())
            self.h[size, :] = 0
            self.closed = False
        image = self.map(self.rows[size])
        if size == 0 and np.finfo(image.dtype).eps < np.finfo(self.rows.all.dtype).eps:
            # Vectors take the precision of the map, in which this one has to be of norm 1.
            start = self.rows[0].astype(image.dtype)
            self.rows = Rows(start / norm_of(start))
            image = self.map(self.rows[0])
        self.scale = max(self.scale, norm_of(image))
        coefficients, rest = self.rows.project_out(image)
        left = norm_of(rest)
        grown = np.zeros((size + 2, size + 1), np.result_type(self.h, coefficients))
        grown[: size + 1, :size] = self.h
        grown[: size + 1, size] = coefficients
        grown[size + 1, size] = left
        self.h = grown
        rounding = 10 * float(np.finfo(grown.dtype).eps) * self.scale
        self.closed = left <= max(self.delta * min(1.0, self.scale), rounding) or self.is_everything
        if not self.closed:
            self.rows.append(rest / left)

    def ritz(self, wanted: int) -> Ritz:
        """The Ritz pairs of interest, at most `wanted`. O(size**3)."""
        square, last = self.h[:-1], self.h[-1]
        if self.hermitian:
            values, vectors = np.linalg.eigh((square + square.conj().T) / 2)
        else:
            values, vectors = np.linalg.eig(square)
        order = self.order(values)
        chosen = order[:wanted]
        theta, y = values[chosen], vectors[:, chosen]
        if not self.hermitian:
            y = _separated(square, theta, y, 10 * float(np.finfo(square.dtype).eps) * self.scale)
        inside = np.linalg.norm(square @ y - y * theta, axis=0)
        return Ritz(theta, y, np.hypot(inside, abs(last @ y)), values[order])

    def vectors(self, coefficients: Array) -> Array:
        """The combinations with these columns of coefficients, as rows of norm 1."""
        rows: Array = coefficients.T @ self.rows.all[: self.size]
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows

    def shrink(self, keep: int) -> None:
        """Keep the `keep` dimensions of most interest (one more to keep a conjugate pair whole)."""
        size, square = self.size, self.h[:-1]
        if self.hermitian:
            values, vectors = np.linalg.eigh((square + square.conj().T) / 2)
            chosen = self.order(values)[:keep]
            q, t = vectors[:, chosen], np.diag(values[chosen])
        else:
            q, t = leading_schur(square, keep, self.order)
        rest = self.rows.all[size:]
        self.rows.replace(np.concatenate([q.T @ self.rows.all[:size], rest]))
        self.h = np.concatenate([t, (self.h[-1] @ q)[None]])

    def probe(self, keep: int, limit: float) -> None:
        """Keep `keep` dimensions, and go on from a random vector instead of r.

        What ties them to r is dropped if it is at most `limit`; r stays if it is more.
        """
        self.shrink(keep)
        if not self.closed and norm_of(self.h[-1]) <= limit:
            self.rows.replace(self.rows.all[: self.size])
            self.closed = True


def _separated(square: Array, values: Array, vectors: Array, rounding: float) -> Array:
    """Eigenvectors, as columns, of which those of a multiple eigenvalue are orthogonal.

    By rounding, LAPACK's may be one and the same. A defective eigenvalue has fewer vectors than
    its multiplicity: those stay as they are. O(n**3) for each multiple eigenvalue.
    """
    square = square.astype(vectors.dtype)  # complex if vectors are: conjugate pairs are apart then
    left = np.ones(len(values), bool)
    for value in values:
        cluster = np.flatnonzero(left & (abs(values - value) <= rounding))
        left[cluster] = False
        if len(cluster) < 2:
            continue
        q, _ = leading_schur(square, len(cluster), partial(_nearest, value))
        q = q[:, : len(cluster)]  # the last may be half of a pair, apart by rounding
        if (np.linalg.norm(square @ q - q * value, axis=0) <= rounding).all():
            vectors[:, cluster] = q
    return vectors


def _nearest(value: complex, values: Array) -> Array:
    """The indices of `values`, those next to `value` first."""
    return np.argsort(abs(values - value))


def leading_schur(matrix: Array, count: int, order: Order) -> tuple[Array, Array]:
    """Orthonormal q and a small t with ``matrix @ q = q @ t`` for the first eigenvalues in `order`.

    A real matrix has real q and t, with conjugate pairs kept whole (count + 1 columns if need be).
    One eigenvector after the other is split off by a unitary rotation, which is stable even where
    eigenvectors are nearly dependent. O(count * n**3) for an (n, n) matrix.

    >>> q, t = leading_schur(np.diag([1.0, 3.0, 2.0]), 2, lambda values: np.argsort(-values.real))
    >>> t.diagonal().tolist()
    [3.0, 2.0]
    """
    t = matrix.copy()
    q = np.eye(len(t), dtype=t.dtype)
    done = 0
    while done < count:
        values, vectors = np.linalg.eig(t[done:, done:])
        best = int(order(values)[0])
        vector = vectors[:, best, None]
        if t.dtype.kind != "c" and vector.dtype.kind == "c":
            pair = values[best].imag != 0
            parts = [vector.real, vector.imag] if pair else [vector.real]
            vector = np.concatenate(parts, axis=1)
        rotation = np.linalg.qr(vector, mode="complete")[0]
        t[:, done:] = t[:, done:] @ rotation
        t[done:] = rotation.conj().T @ t[done:]
        q[:, done:] = q[:, done:] @ rotation
        width = vector.shape[1]
        t[done + width :, done : done + width] = 0
        done += width
    return q[:, :done], t[:done, :done]
