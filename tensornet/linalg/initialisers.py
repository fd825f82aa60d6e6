"""Tensors made from a shape: constant, and random from an explicit seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..arrays import check_backend, check_dtype
from ..tape import Tensor
from .sampling import normal, uniform

__all__ = ["eye", "ones", "randn", "random_uniform", "zeros"]

Shape = int | Sequence[int]


def _dtype(dtype: DTypeLike | None, backend: str | None) -> np.dtype[Any]:
    """The dtype meant, float64 by default; complains of one without kernels or another backend."""
    check_backend(backend)
    return check_dtype(np.float64 if dtype is None else dtype)


def eye(
    N: int, dtype: DTypeLike | None = None, M: int | None = None, backend: str | None = None
) -> Tensor:
    """The matrix with ones on the main diagonal and zeros elsewhere.

    Args:
        N, M: the numbers of rows and of columns; as many columns as rows by default.
        dtype: float64 by default.
        backend: None or "numpy".

    Raises:
        TypeError: a dtype without kernels.
        ValueError: another backend, a negative number.

    >>> eye(2, M=3)
    Tensor([[1., 0., 0.],
            [0., 1., 0.]], dtype=float64)
    """
    return Tensor(np.eye(N, M, dtype=_dtype(dtype, backend)))


def ones(shape: Shape, dtype: DTypeLike | None = None, backend: str | None = None) -> Tensor:
    """A tensor of ones; arguments and errors as for `zeros`.

    >>> ones((2,), dtype="complex64")
    Tensor([1.+0.j, 1.+0.j], dtype=complex64)
    """
    return Tensor(np.ones(shape, _dtype(dtype, backend)))


def zeros(shape: Shape, dtype: DTypeLike | None = None, backend: str | None = None) -> Tensor:
    """A tensor of zeros.

    Args:
        shape: the extents; a number for a single axis.
        dtype: float64 by default.
        backend: None or "numpy".

    Raises:
        TypeError: a dtype without kernels.
        ValueError: another backend, a negative extent.

    >>> zeros((2, 1)).shape
    (2, 1)
    """
    return Tensor(np.zeros(shape, _dtype(dtype, backend)))


def randn(
    shape: Shape,
    dtype: DTypeLike | None = None,
    seed: int | None = None,
    backend: str | None = None,
) -> Tensor:
    """A tensor of independent entries from the normal distribution of mean 0 and variance 1.

    Args:
        shape: the extents; a number for a single axis.
        dtype: float64 by default. Complex entries have two such parts, and variance 2; values are
            drawn as float64 and cast, so that integers are cut off towards zero.
        seed: names the tensor, the same on all machines and versions, and as
            google/TensorNetwork's NumPy backend draws it. Without it the entries follow
            ``numpy.random.seed``, as they do there.
        backend: None or "numpy".

    Raises:
        TypeError: a dtype without kernels.
        ValueError: another backend, a negative extent or seed.

    >>> randn((2,), seed=10)
    Tensor([1.3315865 , 0.71527897], dtype=float64)
    """
    target = _dtype(dtype, backend)
    return Tensor(normal(_extents(shape), target, seed))


def random_uniform(
    shape: Shape,
    dtype: DTypeLike | None = None,
    seed: int | None = None,
    boundaries: tuple[float, float] | None = (0.0, 1.0),
    backend: str | None = None,
) -> Tensor:
    """A tensor of independent entries, uniform between two boundaries.

    Args:
        boundaries: the lower one, which is included, and the upper one, which is not; None
            is (0, 1). Both parts of a complex entry are drawn between them.
        shape, dtype, seed, backend: as for `randn`.

    Raises:
        TypeError: a dtype without kernels.
        ValueError: another backend, a negative extent or seed.

    >>> random_uniform((2,), seed=10, boundaries=(2, 3))
    Tensor([2.77132064, 2.02075195], dtype=float64)
    """
    target = _dtype(dtype, backend)
    return Tensor(uniform(_extents(shape), target, seed, boundaries))


def _extents(shape: Shape) -> Sequence[int]:
    return shape if isinstance(shape, Sequence) else (*np.atleast_1d(shape).tolist(),)
