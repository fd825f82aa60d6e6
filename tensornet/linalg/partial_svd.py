"""The largest singular values of a large matrix, by a randomised block Krylov method.

A block of random vectors is multiplied by ``A^H A`` again and again; the best approximations
within everything found so far come from a small singular value decomposition (Halko, Martinsson &
Tropp 2011; block Krylov: Musco & Musco 2015). What comes out is checked against the matrix, so a
spectrum that is too flat for the method is noticed and left to the full decomposition.
"""

from __future__ import annotations

from math import log
from typing import NamedTuple

import numpy as np

from ..arrays import Array
from .matrices import adjoint
from .sampling import normal

__all__ = ["Partial", "is_worthwhile", "partial_svd"]

# A wanted triplet (u, s, v) is accepted when ``|A^H u - s v|`` is at most this part of the largest
# singular value. Errors of the values are then of second order, about its square.
TOLERANCE = {"f": 2e-5, "F": 2e-5, "d": 1e-9, "D": 1e-9}

# More random vectors than wanted values: the surplus speeds up the last of them, and lets a value
# of any multiplicity that matters here be found as often as it occurs.
OVERSAMPLING = 10
SEED = 20110217

SMALLEST = 400  # extents below this are decomposed in full about as quickly
LARGEST_PART = 0.06  # of all singular values that are worth computing in this way
LARGEST_BASIS = 0.35  # of the smaller extent: beyond it, the full decomposition is cheaper
GROWTH = 1.3  # of the basis from check to check, each of which costs as much as two blocks
EARLY = 0.4  # of the vectors that seem to be missing, which must fit for the search to go on


class Partial(NamedTuple):
    """The largest singular triplets; `rest` is the Frobenius norm of what they leave out."""

    u: Array
    s: Array
    vh: Array
    rest: float


def is_worthwhile(shape: tuple[int, ...], count: int) -> bool:
    """Whether `count` singular values are few enough of a large enough matrix."""
    return min(shape) >= SMALLEST and 0 < count <= LARGEST_PART * min(shape)


def partial_svd(matrix: Array, count: int) -> Partial | None:
    """The `count` largest singular values of a finite matrix with their vectors.

    The result is the same for the same matrix. Values agree with those of the full decomposition
    to 1e-9 (single precision: 2e-5) of the largest one, usually to rounding; `rest` is computed
    from the matrix that is left and is exact.

    Returns:
        The triplets, or None when the checks fail within the size of basis that is cheaper than
        a full decomposition: the spectrum is too flat, or the entries too large or too small.

    Cost: ``O(m n count)`` per multiplication, some 6 of them for spectra that fall quickly.
    """
    largest = float(abs(matrix).max(initial=0.0))
    limits = np.finfo(matrix.dtype)
    if not float(limits.tiny) ** 0.25 < largest < float(limits.max) ** 0.25:
        return None
    if matrix.shape[0] < matrix.shape[1]:
        found = _triplets(adjoint(matrix), count)
        found = found and (adjoint(found[2]), found[1], adjoint(found[0]))
    else:
        found = _triplets(matrix, count)
    return found and Partial(*found, _norm_of_rest(matrix, *found))


def _triplets(matrix: Array, count: int) -> tuple[Array, Array, Array] | None:
    """`partial_svd` of a matrix with at least as many rows as columns, without the rest."""
    width = count + OVERSAMPLING
    most = min(int(LARGEST_BASIS * matrix.shape[1]), matrix.shape[1] - width)
    target = log(TOLERANCE[matrix.dtype.char])
    block = np.linalg.qr(normal((matrix.shape[1], width), matrix.dtype, SEED))[0]
    basis, images = block, matrix @ block
    checked, error = 0, 0.0
    while basis.shape[1] + width <= most:
        block = _orthonormal_to(basis, adjoint(adjoint(images[:, -width:]) @ matrix))
        basis = np.concatenate([basis, block], axis=1)
        images = np.concatenate([images, matrix @ block], axis=1)
        size = basis.shape[1]
        if size < GROWTH * checked:
            continue
        u, s, vh = _best_within(basis, images, count)
        residuals = np.linalg.norm(adjoint(u) @ matrix - s[:, None] * vh, axis=1)
        before, error = error, log(max(float(residuals.max() / s[0]), 1e-300))
        if error <= target:
            return u, s, vh
        # Convergence gets faster as it goes, hence the factor; but a basis that needs far more
        # vectors than it may have is given up early.
        needed = (size - checked) * (error - target) / max(before - error, 1e-3)
        if checked and size + EARLY * needed > most:
            return None
        checked = size
    return None


def _orthonormal_to(basis: Array, block: Array) -> Array:
    """Orthonormal vectors for the part of `block` that is orthogonal to `basis`.

    Twice, since what little is left of nearly dependent vectors is mostly rounding.
    """
    for _ in range(2):
        block = np.linalg.qr(block - basis @ (adjoint(basis) @ block))[0]
    return block


def _best_within(basis: Array, images: Array, count: int) -> tuple[Array, Array, Array]:
    """The `count` largest triplets of the matrix restricted to `basis`, whose image is `images`."""
    q, r = np.linalg.qr(images)
    u, s, vh = np.linalg.svd(r)
    return q @ u[:, :count], s[:count], vh[:count] @ adjoint(basis)


def _norm_of_rest(matrix: Array, u: Array, s: Array, vh: Array) -> float:
    """The Frobenius norm of ``matrix - u s vh``, summed in double precision, by bands of rows.

    The difference of the squared norms would be cheaper and loses half of the digits.
    """
    total, band = 0.0, max(1, 2**20 // max(1, matrix.shape[1]))
    weighted = s[:, None] * vh
    for start in range(0, matrix.shape[0], band):
        rest = matrix[start : start + band] - u[start : start + band] @ weighted
        total += float(np.sum(rest.real.astype(np.float64) ** 2))
        if rest.dtype.kind == "c":
            total += float(np.sum(rest.imag.astype(np.float64) ** 2))
    return float(np.sqrt(total))
