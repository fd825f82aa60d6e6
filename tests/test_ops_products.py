"""matmul, outer, kron and trace against NumPy, on arrays and Tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensornet as tn
from tensornet import Tensor, ops

rng = np.random.default_rng(1)


def random(shape: tuple[int, ...], dtype: str = "complex128") -> Any:
    made = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    return (made if "complex" in dtype else 4 * made.real).astype(dtype)


def agree(got: Any, want: Any, rtol: float = 1e-5) -> None:
    np.testing.assert_allclose(got, want, rtol=rtol, atol=1e-5)
    assert (got.dtype, got.shape) == (want.dtype, want.shape)


SHAPES = [
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 4)),
    ((2, 3), (3, 4)),
    ((5, 2, 3), (3, 4)),
    ((5, 2, 3), (3,)),
    ((3,), (5, 3, 4)),
    ((2, 3), (5, 3, 4)),
    ((5, 2, 3), (5, 3, 4)),
    ((5, 1, 2, 3), (6, 3, 4)),
    ((0, 3), (3, 4)),
    ((2, 0), (0, 4)),
    ((0, 2, 3), (0, 3, 4)),
]


@pytest.mark.parametrize(("left", "right"), SHAPES)
@pytest.mark.parametrize("dtype", ["bool", "int8", "float32", "complex64", "complex128"])
def test_matrix_products_are_numpys(left: Any, right: Any, dtype: str) -> None:
    a, b = random(left, dtype), random(right, dtype)
    want = np.asarray(a @ b)
    agree(ops.matmul(a, b), want)
    assert type(ops.matmul(a, b)) is np.ndarray
    for x, y in ((Tensor(a), b), (a, Tensor(b)), (Tensor(a), Tensor(b))):
        assert type(ops.matmul(x, y)) is Tensor
        agree(x @ y, want)


def test_matrix_products_promote_dtypes_and_read_lists() -> None:
    a, b = random((2, 2), "float32"), random((2, 2), "complex64")
    agree(ops.matmul(a, b), a @ b)
    assert ops.matmul([[1, 2]], [3, 4]).tolist() == [11]


@pytest.mark.parametrize(
    ("left", "right"),
    [((2, 3), (2, 3)), ((3,), (2,)), ((), (2,)), ((2, 1), (3, 2)), ((2, 2, 3), (3, 3, 4))],
)
def test_matrices_that_do_not_fit_are_refused(left: Any, right: Any) -> None:
    with pytest.raises(tn.ShapeError):
        ops.matmul(np.ones(left), np.ones(right))


@pytest.mark.parametrize(("left", "right"), [((2, 3), (4,)), ((), (2,)), ((), ()), ((0, 2), (3,))])
def test_outer_products_have_the_axes_of_both(left: Any, right: Any) -> None:
    a, b = random(left), random(right, "float64")
    want = np.asarray(np.multiply.outer(a, b))
    agree(tn.outer(a, b), want)
    assert type(tn.outer(a, b)) is np.ndarray
    assert type(tn.outer(a, Tensor(b))) is Tensor
    agree(tn.outer(Tensor(a), b), want)
    assert tn.outer([1, 2], [3]).tolist() == [[3], [6]]


@pytest.mark.parametrize(
    ("left", "right"), [((2, 3), (4, 5)), ((2, 3, 4, 5), (3, 2)), ((), (2, 2)), ((2, 0), (3, 2))]
)
def test_kron_is_that_of_the_matrices_in_the_middle_of_the_axes(left: Any, right: Any) -> None:
    a, b = random(left), random(right)
    got = tn.kron(a, b)
    p, q = len(left) // 2, len(right) // 2
    assert got.shape == left[:p] + right[:q] + left[p:] + right[q:]
    matrix = np.kron(tn.pivot(a, p), tn.pivot(b, q))
    np.testing.assert_allclose(tn.pivot(got, p + q), matrix)
    assert type(tn.kron(Tensor(a), b)) is Tensor
    np.testing.assert_allclose(tn.kron(a, Tensor(b)), got)


@pytest.mark.parametrize("dtype", ["int8", "float32", "complex64"])
def test_kron_keeps_the_dtype(dtype: str) -> None:
    assert tn.kron(random((2, 2), dtype), random((2, 2), dtype)).dtype == dtype


def test_kron_refuses_odd_ranks() -> None:
    with pytest.raises(tn.ShapeError, match="tensorB has 1 axes"):
        tn.kron(np.ones((2, 2)), np.ones(2))
    with pytest.raises(tn.ShapeError, match="tensorA has 3 axes"):
        tn.kron(np.ones((2, 2, 2)), np.ones((2, 2)))


@pytest.mark.parametrize("dtype", ["bool", "int8", "float32", "complex64", "complex128"])
def test_traces_are_of_the_last_two_axes_by_default(dtype: str) -> None:
    a = random((2, 3, 4), dtype)
    agree(tn.trace(a), np.trace(a, axis1=1, axis2=2))
    agree(tn.trace(a, 1, 0, 2), np.trace(a, 1, 0, 2))
    agree(tn.trace(a[0]), np.trace(a[0]))
    assert type(tn.trace(Tensor(a[0]))) is Tensor
    agree(tn.trace(Tensor(a), offset=-1), np.trace(a, -1, 1, 2))


def test_traces_of_nothing_are_zero_and_of_vectors_an_error() -> None:
    assert tn.trace(np.ones((0, 0))) == 0
    assert tn.trace(np.ones((2, 2)), offset=5) == 0
    with pytest.raises(ValueError, match="two dimensions"):
        tn.trace(np.ones(2))
