"""Sums, means, products and extremes: NumPy's results, whatever the axes and dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensornet as tn
from tensornet import Tensor, ops

rng = np.random.default_rng(0)
ENTRIES = rng.standard_normal((2, 3, 4))
DTYPES = ["float16", "float32", "float64", "complex64", "complex128", "int32", "bool"]


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "max", "min", "var", "std"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [None, 1, -1, (0, 2), [0, 1], np.int64(1), ()])
def test_reductions_are_numpys(name: str, dtype: str, axis: Any) -> None:
    array = (3 * ENTRIES).astype(dtype)
    over = tuple(axis) if isinstance(axis, list) else axis
    for keepdims in (False, True):
        got = getattr(ops, name)(array, axis=axis, keepdims=keepdims)
        want = getattr(np, name)(array, axis=over, keepdims=keepdims)
        assert (got.dtype, got.shape) == (want.dtype, want.shape)
        np.testing.assert_allclose(got, want, rtol=1e-2 if dtype == "float16" else 1e-5)
        tensor = getattr(ops, name)(Tensor(array), axis=axis, keepdims=keepdims)
        assert type(tensor) is Tensor
        np.testing.assert_array_equal(tensor.array, got)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_positions_of_extremes_are_numpys(name: str) -> None:
    for axis in (None, 0, -1):
        got = getattr(tn, name)(ENTRIES, axis, keepdims=True)
        assert got.tolist() == getattr(np, name)(ENTRIES, axis, keepdims=True).tolist()


def test_cumulative_sums_are_numpys() -> None:
    for axis in (None, 0, -1):
        np.testing.assert_array_equal(tn.cumsum(ENTRIES, axis), np.cumsum(ENTRIES, axis))


def test_the_variance_is_of_what_ddof_leaves() -> None:
    assert tn.var([1.0, 3.0], ddof=1) == 2
    np.testing.assert_allclose(tn.std(ENTRIES, 1, ddof=1), np.std(ENTRIES, 1, ddof=1))


def test_sums_of_nothing() -> None:
    empty = np.zeros((0, 2))
    assert tn.sum(empty, 0).tolist() == [0, 0]
    assert tn.prod(empty) == 1
    assert tn.sum(5.0) == 5
    with pytest.raises(ValueError, match="zero-size"):
        tn.max(empty)


def test_an_axis_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ValueError, match="out of bounds"):
        tn.sum(ENTRIES, 3)


def test_methods_do_what_the_functions_do() -> None:
    t = Tensor(ENTRIES)
    assert float(t.sum()) == float(tn.sum(ENTRIES))
    assert t.mean(0, keepdims=True).shape == (1, 3, 4)
    assert t.max(axis=(0, 1)).array.tolist() == ENTRIES.max((0, 1)).tolist()
    assert float(t.min()) == ENTRIES.min()
    assert t.astype("float32").dtype == np.float32
    assert (t + 2j).real.array.tolist() == ENTRIES.tolist()
    assert (t + 2j).imag.array.tolist() == np.full((2, 3, 4), 2.0).tolist()
    assert t.numpy() is t.array
    assert t.tolist() == ENTRIES.tolist()
    assert Tensor([[3]]).item() == 3
    with pytest.raises(ValueError, match="24 entries"):
        t.item()
