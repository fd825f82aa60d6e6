"""The functions of linear algebra as operations: Tensors in, Tensors out; and the norm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tensornet as tn
from tensornet import Tensor

rng = np.random.default_rng(1)
DTYPES = ["float32", "float64", "complex64", "complex128"]


def random(shape: tuple[int, ...], dtype: str = "complex128") -> Any:
    made = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    return (made if "complex" in dtype else 4 * made.real).astype(dtype)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "svd": tn.svd,
    "svd at an axis": lambda x: tn.svd(x, 1, max_singular_values=2),
    "svd by error": lambda x: tn.svd(tensor=x, max_truncation_error=0.5, relative=True),
    "qr": tn.qr,
    "qr without phases": lambda x: tn.qr(x, non_negative_diagonal=True),
    "rq": lambda x: tn.rq(x, pivot_axis=1),
    "eigh": lambda x: tn.eigh(x + tn.hconj(x)),
    "expm": tn.expm,
    "inv": tn.inv,
    "norm": tn.norm,
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_results_are_tensors_if_the_operand_is_one(
    function: Callable[..., Any], dtype: str
) -> None:
    matrix = random((4, 4), dtype)
    plain, wrapped = function(matrix), function(Tensor(matrix))
    if type(plain) is not tuple:
        plain, wrapped = (plain,), (wrapped,)
    assert type(wrapped) is tuple
    assert len(wrapped) == len(plain)
    for array, tensor in zip(plain, wrapped):
        assert not isinstance(array, Tensor)
        assert type(tensor) is Tensor
        np.testing.assert_array_equal(tensor.array, array)
        assert tensor.dtype == array.dtype


@pytest.mark.parametrize("dtype", DTYPES)
def test_factors_of_tensors_multiply_to_the_tensor(dtype: str) -> None:
    t = Tensor(random((2, 3, 4), dtype))
    near = {"rtol": 1e-4, "atol": 1e-4}
    u, s, vh, dropped = tn.svd(t, 1)
    np.testing.assert_allclose(tn.tensordot(u * s, vh, 1), t, **near)
    assert dropped.shape == (0,)
    np.testing.assert_allclose(tn.tensordot(*tn.qr(t), 1), t, **near)
    np.testing.assert_allclose(tn.tensordot(*tn.rq(t, 1), 1), t, **near)
    square = t.reshape((6, 4))[:4]
    np.testing.assert_allclose(tn.inv(square) @ square, np.eye(4), rtol=1e-2, atol=1e-2)
    hermitian = square + square.H
    values, vectors = tn.eigh(hermitian)
    np.testing.assert_allclose(vectors * values @ vectors.H, hermitian, **near)


def test_mistakes_are_those_of_arrays() -> None:
    for function in (tn.eigh, tn.expm, tn.inv):
        with pytest.raises(ValueError, match=r"square matrix, not an array of shape \(2, 3\)"):
            function(Tensor(np.ones((2, 3))))
    with pytest.raises(ValueError, match="NaN or infinity"):
        tn.svd(Tensor([[np.nan, 1.0]]))
    with pytest.raises(TypeError, match="missing a required argument"):
        tn.svd(pivot_axis=Tensor(1))


@pytest.mark.parametrize(
    ("dtype", "result"),
    [
        *[(name, name) for name in ("float16", "float32", "float64")],
        *[("complex64", "float32"), ("complex128", "float64")],
        *[("int8", "float64"), ("bool", "float64")],
    ],
)
@pytest.mark.parametrize("shape", [(2, 3, 4), (5,), (), (0, 2)])
def test_the_norm_is_over_all_entries(dtype: str, result: str, shape: tuple[int, ...]) -> None:
    a = random(shape, dtype)
    got = tn.norm(a)
    np.testing.assert_allclose(got, np.sqrt((np.abs(a.astype("complex128")) ** 2).sum()), rtol=1e-3)
    assert (got.dtype, got.shape) == (result, ())
    wrapped = tn.norm(Tensor(a))
    assert type(wrapped) is Tensor
    assert float(wrapped) == float(got)


def test_the_norm_neither_overflows_nor_underflows_on_the_way() -> None:
    np.testing.assert_allclose(tn.norm(np.full(4, 1e200)), 2e200)
    np.testing.assert_allclose(tn.norm(np.full((2, 2), 1e-200j)), 2e-200)
    np.testing.assert_allclose(tn.norm(np.full(10000, 200, np.float16)), np.float16(20000))
    np.testing.assert_allclose(tn.norm(np.full(4, 1e30, np.float32)), np.float32(2e30))
    for dtype, size in (("float64", 1e-162), ("float32", 1e-23), ("complex64", 1e-22)):
        small = np.asarray([3 * size, 4 * size], dtype)
        np.testing.assert_allclose(tn.norm(small), np.float64(5 * size), rtol=1e-6)
    np.testing.assert_allclose(tn.norm([3e-310j, 4e-310]), 5e-310)
    assert tn.norm([np.inf, 1.0]) == np.inf
    assert np.isnan(tn.norm([np.nan, 1.0]))
    assert tn.norm(np.zeros(3)) == 0


# Krylov solvers


def test_maps_of_tensors_are_called_with_tensors_and_give_tensors() -> None:
    hermitian = random((6, 6))
    hermitian = hermitian + hermitian.conj().T + 20 * np.eye(6)
    kinds = set()

    def apply(x: Any, matrix: Any) -> Any:
        kinds.add(type(x))
        return tn.tensordot(matrix, x, ([1], [0]))

    matrix, b = Tensor(hermitian), random((6,))
    lowest = np.linalg.eigvalsh(hermitian)[0]
    krylov = tn.linalg.krylov
    for options in ({"args": [matrix], "shape": (6,), "dtype": complex}, {"x0": Tensor(b)}):
        given: dict[str, Any] = {"args": [hermitian], **options}
        values, vectors = krylov.eigsh_lanczos(apply, **given)
        assert type(values) is np.ndarray
        assert type(vectors[0]) is Tensor
        np.testing.assert_allclose(values, lowest)
        np.testing.assert_allclose(matrix @ vectors[0], lowest * vectors[0], atol=1e-6)
        values, vectors = krylov.eigs(apply, which="SR", num_krylov_vecs=6, **given)
        assert type(vectors[0]) is Tensor
        np.testing.assert_allclose(values, lowest)
    x, info = krylov.gmres(apply, Tensor(b), [hermitian], tol=1e-10, M=lambda y: y / 20)
    assert type(x) is Tensor
    assert info == 0
    np.testing.assert_allclose(matrix @ x, b)
    assert kinds == {Tensor}


def test_maps_of_arrays_may_make_tensors_of_them() -> None:
    matrix = Tensor(np.diag([3.0, 1.0, 2.0]))
    values, vectors = tn.linalg.krylov.eigsh_lanczos(lambda x: matrix @ x, shape=(3,))
    assert type(vectors[0]) is np.ndarray
    np.testing.assert_allclose(values, [1.0])
