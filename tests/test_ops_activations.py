"""Activations, softmax and logsumexp: their formulas, and entries of any size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensornet as tn
from tensornet import Tensor, ops

X = np.random.default_rng(2).standard_normal((3, 5)) * 3
FORMULAS: dict[str, Any] = {
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "softplus": lambda x: np.log(1 + np.exp(x)),
    "gelu": lambda x: x * (1 + tn.erf(x / np.sqrt(2))) / 2,
}


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_activations_are_their_formulas_in_the_dtype_given(name: str, dtype: str) -> None:
    function = getattr(ops, name)
    for x in (X, X[0, 0], X[:0], X[::2, ::-1]):
        got = function(x.astype(dtype))
        assert got.dtype == dtype
        tolerance = {"float16": 5e-3, "float32": 1e-5, "float64": 1e-12}[dtype]
        np.testing.assert_allclose(got, FORMULAS[name](x), rtol=tolerance, atol=tolerance)
    assert type(function(Tensor(X))) is Tensor
    assert function(2).dtype == (int if name == "relu" else float)


@pytest.mark.parametrize("name", FORMULAS)
def test_activations_of_complex_entries_are_refused(name: str) -> None:
    with pytest.raises(TypeError, match=f"{name} is a function of real numbers"):
        getattr(ops, name)(np.ones(2, "complex64"))


def test_extreme_entries_neither_overflow_nor_lose_precision() -> None:
    x = np.array([-np.inf, -1000.0, -700.0, 1000.0, np.inf])
    assert ops.sigmoid(x).tolist() == [0, 0, np.exp(-700.0), 1, 1]
    assert ops.softplus(x)[1:].tolist() == [0, np.exp(-700.0), 1000, np.inf]
    assert ops.elu(x).tolist() == [-1, -1, -1, 1000, np.inf]


@pytest.mark.parametrize("slope", [-0.5, 0.0, 2.0])
def test_slopes_are_for_entries_that_are_not_positive_only(slope: float) -> None:
    x = np.array([-1.5, 0.0, 3e38, np.inf, np.nan], "float32")
    with np.errstate(all="raise"):
        got = ops.leaky_relu(x, slope)
    np.testing.assert_array_equal(got, np.float32([-1.5 * slope, 0, 3e38, np.inf, np.nan]))
    assert ops.leaky_relu(-2, slope) == -2 * slope


def test_gelu_by_tanh_is_close_and_nothing_else_is_known() -> None:
    np.testing.assert_allclose(ops.gelu(X, approximate="tanh"), ops.gelu(X), atol=1e-3)
    with pytest.raises(ValueError, match="'none' or 'tanh', not 'fast'"):
        ops.gelu(X, approximate="fast")


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 1)])
def test_sums_of_exponentials_are_their_formulas(axis: Any) -> None:
    for x in (X, X + 1j * X[::-1]):
        total = np.exp(x).sum(axis=axis, keepdims=True)
        np.testing.assert_allclose(tn.logsumexp(x, axis, keepdims=True), np.log(total), rtol=1e-12)
        assert tn.logsumexp(x, axis).shape == np.sum(x, axis=axis).shape
        np.testing.assert_allclose(tn.softmax(x, axis), np.exp(x) / total, rtol=1e-12)
        np.testing.assert_allclose(np.exp(tn.log_softmax(x, axis)), np.exp(x) / total, rtol=1e-12)


def test_sums_of_exponentials_of_huge_entries() -> None:
    x = np.array([1e30, 1e30, -1e30])
    assert tn.logsumexp(x) == 1e30
    assert tn.softmax(x).tolist() == [0.5, 0.5, 0]
    assert tn.log_softmax(np.array([0.0, 2000.0])).tolist() == [-2000, 0]


def test_sums_of_exponentials_of_infinite_entries() -> None:
    low, high = np.full(2, -np.inf), np.array([np.inf, 1.0, np.inf])
    assert tn.logsumexp(low) == -np.inf
    assert tn.logsumexp(high) == np.inf
    assert tn.logsumexp([-np.inf, 0.0]) == 0
    assert tn.softmax(low).tolist() == [0.5, 0.5]
    assert tn.softmax(high).tolist() == [0.5, 0, 0.5]
    assert np.isnan(tn.logsumexp([np.nan, 1.0]))
    rows = np.array([[-np.inf, -np.inf], [0.0, 0.0]])
    assert tn.softmax(rows).tolist() == [[0.5, 0.5], [0.5, 0.5]]
    mixed = np.array([complex(-np.inf, 0), 1 + 1j])
    np.testing.assert_allclose(tn.logsumexp(mixed), 1 + 1j)


def test_sums_of_exponentials_of_nothing_and_of_whole_numbers() -> None:
    assert tn.logsumexp(np.zeros(0)) == -np.inf
    assert tn.softmax(np.zeros((2, 0))).shape == (2, 0)
    assert tn.softmax([1, 1]).tolist() == [0.5, 0.5]
    assert tn.softmax(np.float32([1, 2])).dtype == np.float32
    assert tn.logsumexp(3.0) == 3
