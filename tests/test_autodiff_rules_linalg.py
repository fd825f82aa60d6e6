"""Gradients of decompositions and matrix functions, by losses that see no phases and no bases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tensornet as tn
from tensornet import grad, linalg
from tensornet.ops import conj, real, transpose
from tensornet.ops import sum as sum_of

SHAPES = [(4, 4), (5, 3), (3, 5), (1, 3), (3, 1), (0, 2)]
DTYPES = ["float64", "complex128"]
rng = np.random.default_rng(11)


def random(shape: Any, dtype: str) -> Any:
    x = rng.normal(size=shape)
    return x + 1j * rng.normal(size=shape) if dtype == "complex128" else x


def hermitian(n: int, dtype: str) -> Any:
    x = random((n, n), dtype)
    return x + x.conj().T


def along(f: Callable[[Any], Any], x: Any, direction: Any, step: float = 1e-5) -> float:
    return float(f(x + step * direction) - f(x - step * direction)) / (2 * step)


def check(f: Callable[[Any], Any], x: Any, direction: Any = None, orders: int = 2) -> None:
    """Gradients of the first orders along a direction, against differences."""
    t = random(x.shape, x.dtype.name) if direction is None else direction
    gradient = grad(f)(x)
    assert (gradient.shape, gradient.dtype) == (x.shape, x.dtype)
    np.testing.assert_allclose(np.vdot(gradient, t).real, along(f, x, t), rtol=1e-6, atol=1e-6)
    if orders > 1:
        check(lambda x: real(sum_of(grad(f)(x) * conj(t))), x, direction, orders - 1)


def product(*factors: Any) -> Any:
    left = factors[0]
    for right in factors[1:]:
        left = tn.tensordot(left, right, 1)
    return left


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_svd(shape: Any, dtype: str) -> None:
    w, c = random(shape, dtype), rng.normal(size=min(shape))

    def polar(x: Any) -> Any:
        u, s, vh, _ = tn.svd(x)
        return sum_of(real(product(u, vh) * w)) + sum_of(real(s * s * s) * c)

    check(polar, random(shape, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_svd_truncated_of_a_tensor(dtype: str) -> None:
    x, w = random((2, 3, 4), dtype), random((2, 3, 4), dtype)

    def best(x: Any) -> Any:
        u, s, vh, dropped = tn.svd(x, 2, max_singular_values=2)
        return sum_of(real(product(u * s, vh) * w)) + sum_of(real(dropped) * np.arange(1.0, 3))

    check(best, x)


@pytest.mark.parametrize("dtype", DTYPES)
def test_svd_and_eigh_of_equal_values_are_finite(dtype: str) -> None:
    w = random((4, 4), dtype)

    def polar(x: Any) -> Any:
        u, _, vh, _ = tn.svd(x)
        return sum_of(real(product(u, vh) * w))

    check(polar, np.eye(4).astype(dtype), orders=1)
    gradient = grad(lambda x: sum_of(tn.eigh(x)[0]))(np.eye(4).astype(dtype))
    np.testing.assert_allclose(gradient, np.eye(4), atol=1e-12)
    for zeros in (np.zeros((3, 3), dtype), np.diag([1.0, 0, 0]).astype(dtype)):
        assert np.isfinite(grad(lambda x: sum_of(real(tn.svd(x)[1])))(zeros)).all()


def test_the_dropped_rest_of_a_partial_svd_says_that_it_has_no_gradient() -> None:
    x = random((600, 600), "float64") * np.geomspace(1, 1e-9, 600)
    f = lambda x: sum_of(tn.svd(x, max_singular_values=2)[3])  # noqa: E731
    assert len(tn.svd(x, max_singular_values=2)[3]) < 598
    with pytest.raises(TypeError, match="use method='full'"):
        grad(f)(x)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES[:-1])
@pytest.mark.parametrize("kind", ["qr", "rq"])
def test_qr_and_rq(kind: str, shape: Any, dtype: str) -> None:
    k = min(shape)
    wq, wr = random((shape[0], k), dtype), random((k, shape[1]), dtype)

    def f(x: Any) -> Any:
        left, right = getattr(tn, kind)(x, non_negative_diagonal=True)
        return sum_of(real(left * wq)) + sum_of(real(right * wr))

    check(f, random(shape, dtype))


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0), (2, 0, 3), (0, 2, 0)])
@pytest.mark.parametrize("kind", ["svd", "qr", "rq"])
def test_decompositions_of_nothing_have_gradients_of_its_shape(kind: str, shape: Any) -> None:
    def f(x: Any) -> Any:
        return sum([sum_of(factor) for factor in getattr(tn, kind)(x)])

    assert grad(f)(np.ones(shape)).shape == shape


@pytest.mark.parametrize("dtype", DTYPES)
def test_eigh_along_hermitian_changes(dtype: str) -> None:
    w, c = rng.normal(size=(4, 4)), rng.normal(size=4)

    def f(x: Any) -> Any:
        values, vectors = tn.eigh(x)
        return sum_of(real(vectors * conj(vectors)) * w) + sum_of(values * values * c)

    x = hermitian(4, dtype)
    gradient = grad(f)(x)
    np.testing.assert_allclose(gradient, gradient.conj().T)
    check(lambda x: f(0.5 * (x + conj(transpose(x)))), random((4, 4), dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_matrix_functions(dtype: str) -> None:
    w, b = random((4, 4), dtype), random((4, 2), dtype)
    x = random((4, 4), dtype)
    check(lambda x: sum_of(real(tn.inv(x) * w)), x)
    check(lambda x: sum_of(real(tn.expm(x) * w)), x)
    check(lambda x: tn.norm(x), x)
    check(lambda x: sum_of(real(linalg.solve(x, b) * w[:, :2])), x)
    check(lambda b: sum_of(real(linalg.solve(x, b) * w[:, 0])), b[:, 0])
    of_x, of_b = grad(lambda x, b: sum_of(real(linalg.solve(x, b))), (0, 1))(x[:0, :0], b[:0])
    assert (of_x.shape, of_b.shape) == ((0, 0), (0, 2))


def test_the_norm_of_zero_has_gradient_zero() -> None:
    assert grad(tn.norm)(np.zeros(3)).tolist() == [0, 0, 0]


def test_float32_stays_float32() -> None:
    x = random((3, 3), "float64").astype("float32")
    assert grad(lambda x: sum_of(tn.svd(x)[1]))(x).dtype == np.float32


def test_split_nodes_are_differentiated() -> None:
    w = random((4, 6), "float64")

    def truncated(x: Any) -> Any:
        node = tn.Node(x)
        left, right, _ = tn.split_node(node, [node[0]], [node[1]], max_singular_values=2)
        return sum_of((left @ right).tensor * w)

    check(truncated, random((4, 6), "float64"), orders=1)
