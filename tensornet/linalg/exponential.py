"""The exponential of a matrix, by scaling and squaring with Pade approximants (Higham 2005)."""

from __future__ import annotations

from collections.abc import Sequence
from math import factorial, frexp
from typing import Any

import numpy as np

from ..arrays import Array
from .decompositions import square

__all__ = ["expm"]

# Degree of the approximant, and the largest 1-norm for which its backward error is below the
# rounding of double precision: table 2.3 of Higham, The scaling and squaring method for the
# matrix exponential revisited, SIAM J. Matrix Anal. Appl. 26, 2005.
_REACH = (
    (3, 1.495585217958292e-2),
    (5, 2.539398330063230e-1),
    (7, 9.504178996162932e-1),
    (9, 2.097847961257068e0),
    (13, 5.371920351148152e0),
)


def expm(matrix: Any) -> Array:
    """The exponential of a square matrix, in its dtype (float64 for integers).

    Computed in double precision. Entries beyond the range of the dtype come out as infinity or NaN.

    Args:
        matrix: an (n, n) array.

    Raises:
        ValueError: not a square matrix; NaN or infinity in it.
        TypeError: a dtype without kernels.

    Cost: O(n**3), with about ``6 + log2(norm)`` products of matrices.

    >>> expm([[0.0, 1.0], [0.0, 0.0]]).tolist()
    [[1.0, 1.0], [0.0, 1.0]]
    """
    given, dtype = square(matrix, "expm")
    array = given.astype(np.result_type(given.dtype, np.float64), copy=False)
    size = float(np.linalg.norm(array, 1)) if array.size else 0.0
    degree, reach = next((pair for pair in _REACH if size <= pair[1]), _REACH[-1])
    squarings = max(0, frexp(size / reach)[1])
    with np.errstate(over="ignore", invalid="ignore"):
        result = _pade(array / 2.0**squarings, degree)
        for _ in range(squarings):
            result = result @ result
        return result.astype(dtype, copy=False)


def _pade(array: Array, degree: int) -> Array:
    """The diagonal Pade approximant ``q(-A)^-1 q(A)`` of the exponential."""
    even, odd = _even_and_odd(array @ array, degree)
    odd = array @ odd
    result: Array = np.linalg.solve(even - odd, even + odd)
    return result


def _even_and_odd(squared: Array, degree: int) -> tuple[Array, Array]:
    """The even part of q, and the odd part divided by A, as polynomials of the square of A.

    Degree 13 takes its highest powers out as a factor, which saves half of the products.
    """
    b = _coefficients(degree)
    powers = [np.eye(len(squared), dtype=squared.dtype), squared]
    for _ in range(2, 4 if degree == 13 else degree // 2 + 1):
        powers.append(powers[-1] @ squared)
    if degree < 13:
        return _sum(b[0::2], powers), _sum(b[1::2], powers)
    even, odd = (
        _sum(b[part:8:2], powers) + powers[3] @ _sum(b[8 + part :: 2], powers[1:])
        for part in (0, 1)
    )
    return even, odd


def _sum(factors: Sequence[float], powers: Sequence[Array]) -> Array:
    """The sum of the powers, each times its factor."""
    total = factors[0] * powers[0]
    for factor, power in zip(factors[1:], powers[1:]):
        total += factor * power
    return total


def _coefficients(degree: int) -> list[float]:
    """The coefficients of q, lowest power first, all divided by the first.

    >>> _coefficients(3)
    [1.0, 0.5, 0.1, 0.008333333333333333]
    """
    top = factorial(2 * degree)
    return [
        factorial(2 * degree - k) * factorial(degree) / (top * factorial(k) * factorial(degree - k))
        for k in range(degree + 1)
    ]
