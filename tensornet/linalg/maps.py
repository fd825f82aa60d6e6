"""Linear maps given as functions of arrays, and the vectors of a Krylov space."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..arrays import Array
from .matrices import check_finite, enter, work_dtype
from .sampling import normal

__all__ = ["ConvergenceWarning", "LinearMap", "Rows", "leave", "norm_of", "start_vector"]

SEED = 19500101


class ConvergenceWarning(RuntimeWarning):
    """A Krylov solver stopped before the precision asked for; the message says what it reached."""


def leave(array: Array) -> Any:
    """What callers get for an array of a solver: the one place where arrays leave."""
    return array


def norm_of(vector: Array) -> float:
    """The 2-norm of a flat vector, as a Python number."""
    return float(np.linalg.norm(vector))


class LinearMap:
    """A function of arrays as a map of flat vectors, each result of which is checked.

    Args:
        function: called as ``function(array, *args)`` with an array of `shape` of its own, returns
            an array of that shape.
        args: further arguments.
        shape: the shape of the arrays.
        what: names the function in errors.

    Raises:
        TypeError: not callable.
    """

    __slots__ = ("args", "function", "shape", "what")

    def __init__(
        self, function: Any, args: Sequence[Any] | None, shape: tuple[int, ...], what: str = "A"
    ) -> None:
        if not callable(function):
            raise TypeError(
                f"{what} must be a function of an array, such as lambda x: matrix @ x, "
                f"not {type(function).__name__}"
            )
        self.function: Callable[..., Any] = function
        self.args = () if args is None else tuple(args)
        self.shape = shape
        self.what = what

    def __call__(self, vector: Array) -> Array:
        """The image of a flat vector.

        Raises:
            ValueError: the result has another shape, or holds NaN or infinity.
            TypeError: the result is not numeric.
        """
        given = leave(vector.reshape(self.shape).copy())
        what = f"the result of {self.what}"
        result = enter(self.function(given, *self.args), what)
        if result.shape != self.shape:
            raise ValueError(
                f"{what} has shape {result.shape}, but its operand has {self.shape}; a linear map "
                "must keep the shape"
            )
        check_finite(result, what)
        return result.astype(work_dtype(result.dtype)[0], copy=False).ravel()


def start_vector(x0: Any, shape: Sequence[int] | None, dtype: Any) -> tuple[Array, tuple[int, ...]]:
    """(flat vector, shape) to start from: `x0`, or else random numbers, the same each time.

    Raises:
        ValueError: neither `x0` nor `shape`; no entries; `x0` is zero, or holds NaN or infinity.
        TypeError: a dtype without kernels.
    """
    if x0 is not None:
        array = enter(x0, "x0")
        check_finite(array, "x0")
    elif shape is None:
        raise ValueError("give x0 to start from, or the shape and dtype of the operands of A")
    else:
        array = normal(shape, dtype, SEED)
    flat = array.astype(work_dtype(array.dtype)[0], copy=False).ravel()
    if not flat.any():
        raise ValueError(f"the start vector of shape {array.shape} is zero or empty")
    return flat, array.shape


class Rows:
    """Orthonormal vectors, as the rows of an array that grows and widens its dtype on demand."""

    __slots__ = ("_rows", "count")

    def __init__(self, vector: Array) -> None:
        self._rows = np.empty((8, len(vector)), vector.dtype)
        self.count = 0
        self.append(vector)

    def __getitem__(self, index: int) -> Array:
        row: Array = self._rows[: self.count][index]
        return row

    @property
    def all(self) -> Array:
        """All vectors, shape (count, length); not a copy."""
        return self._rows[: self.count]

    def append(self, vector: Array) -> None:
        """Add a vector, of any dtype."""
        dtype = np.result_type(self._rows, vector)
        if self.count == len(self._rows) or dtype != self._rows.dtype:
            grown = np.empty((max(8, 2 * self.count), self._rows.shape[1]), dtype)
            grown[: self.count] = self.all
            self._rows = grown
        self._rows[self.count] = vector
        self.count += 1

    def replace(self, vectors: Array) -> None:
        """Put these in place of all that were there."""
        self._rows = vectors
        self.count = len(vectors)

    def project_out(self, vector: Array) -> tuple[Array, Array]:
        """(coefficients of `vector` along the rows, what is left of it).

        Classical Gram-Schmidt, twice: once is not enough where little is left, twice is
        (Giraud, Langou & Rozloznik 2005).
        """
        rows = self.all
        first = (rows @ vector.conj()).conj()
        rest = vector - first @ rows
        second = (rows @ rest.conj()).conj()
        return first + second, rest - second @ rows

    def random_direction(self) -> Array:
        """A unit vector orthogonal to all of them; the same each time."""
        rows = self.all
        rest = normal(rows.shape[1:], rows.dtype, SEED + self.count)
        for _ in range(2):
            rest = self.project_out(rest)[1]
            rest /= norm_of(rest)
        return rest
