"""Functions of every entry, choices, the error function: NumPy's results and torch's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tensornet as tn
from tensornet import Tensor

rng = np.random.default_rng(1)
INSIDE = rng.uniform(-0.9, 0.9, (2, 3))
NAMES = [
    *("arccos", "arcsin", "arcsinh", "arctan", "arctanh", "cosh", "expm1", "log1p", "sinh"),
    *("square", "tan", "tanh", "angle"),
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "complex128"])
def test_functions_are_numpys(name: str, dtype: str) -> None:
    for shape in ((2, 3), (), (0, 2)):
        factor = 1 + 0.5j if "complex" in dtype else 1
        array = np.asarray(np.resize(INSIDE, shape) * factor).astype(dtype)
        got, want = getattr(tn, name)(array), getattr(np, name)(array)
        assert (got.dtype, got.shape) == (want.dtype, want.shape)
        np.testing.assert_allclose(got, want, rtol=1e-6)
        assert type(getattr(tn, name)(Tensor(array))) is Tensor


def test_functions_beyond_one_and_of_two() -> None:
    np.testing.assert_array_equal(tn.arccosh(2 + INSIDE), np.arccosh(2 + INSIDE))
    np.testing.assert_array_equal(tn.reciprocal(INSIDE), 1 / INSIDE)
    np.testing.assert_array_equal(tn.arctan2(INSIDE, [1, 2, 3]), np.arctan2(INSIDE, [1, 2, 3]))
    with pytest.raises(TypeError, match="arctan2 is a function of real numbers, not of complex128"):
        tn.arctan2(INSIDE, 1j)


@pytest.mark.parametrize(("dtype", "error"), [("float64", 4e-16), ("float32", 3e-7)])
def test_the_error_function_is_precise(dtype: str, error: float) -> None:
    x = np.concatenate([np.linspace(-7, 7, 4001), np.geomspace(1e-30, 1, 200)]).astype(dtype)
    want = np.array([math.erf(float(v)) for v in x])
    got = tn.erf(x)
    assert got.dtype == dtype
    np.testing.assert_allclose(got, want, rtol=error)


def test_the_error_function_at_the_edges() -> None:
    assert tn.erf([-np.inf, -0.0, 0.0, np.inf]).tolist() == [-1, 0, 0, 1]
    assert np.signbit(tn.erf(np.array(-0.0)))
    assert np.isnan(tn.erf(np.nan))
    assert tn.erf(np.float16(0.5)).dtype == np.float16
    assert tn.erf(1).dtype == np.float64
    assert tn.erf(np.zeros((0, 3))).shape == (0, 3)
    many = np.linspace(-3, 3, 20_000).reshape(2, -1).T  # more than a block, in Fortran order
    np.testing.assert_array_equal(tn.erf(many)[7], tn.erf(many[7]))
    with pytest.raises(TypeError, match="erf is a function of real numbers, not of complex128"):
        tn.erf([1j])


def choices() -> list[Any]:
    return [
        (np.array([True, False, True]), INSIDE, 0.0),
        (np.array([1, 0, 2]), INSIDE, INSIDE[::-1]),
        (np.array([[True], [False]]), INSIDE.astype("float32"), np.ones(3, "float32")),
        (True, INSIDE, 1),
        (np.array([True, False, False]), 1.0, INSIDE.astype("float32")),
        (np.array([0.0, 2.0]), np.arange(2), np.array([1j, 2])),
        (np.zeros((0, 3), bool), INSIDE[0], 0.0),
        (np.array([True, False, True]), INSIDE[:, ::-1].T[::2].T[:, :1], -0.0),
        (np.array([True, False]), np.float16([1, 2]), 0.0),
        (np.array([True, False]), 1.0, 2.0),
    ]


@pytest.mark.parametrize("args", choices())
def test_what_a_condition_chooses_is_what_numpy_chooses(args: Any) -> None:
    got, want = tn.where(*args), np.where(*args)
    assert (got.dtype, got.shape) == (want.dtype, want.shape)
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(np.signbit(got.real), np.signbit(want.real))  # of -0.0, too


def test_nan_and_infinity_are_chosen_like_anything_else() -> None:
    a, b = np.array([np.nan, 1.0, -np.inf]), np.array([2.0, np.nan, np.inf])
    np.testing.assert_array_equal(tn.where([False, True, True], a, b), [2.0, 1.0, -np.inf])
    np.testing.assert_array_equal(tn.where([False, True, True], a, 0.0), [0.0, 1.0, -np.inf])


def test_extremes_of_two_and_limits_are_numpys() -> None:
    a, b = INSIDE, np.array([0.1, np.nan, -np.inf])
    np.testing.assert_array_equal(tn.maximum(a, b), np.maximum(a, b))
    np.testing.assert_array_equal(tn.minimum(a, b), np.minimum(a, b))
    assert tn.maximum(np.float32([1]), 2.0).dtype == np.float32
    np.testing.assert_array_equal(
        tn.clip(a, -0.2, [0.1, 0.2, 0.3]), np.clip(a, -0.2, [0.1, 0.2, 0.3])
    )
    np.testing.assert_array_equal(tn.clip(a, min=Tensor(0.1)).array, np.maximum(a, 0.1))
    assert tn.clip(np.arange(5), 1, 3).tolist() == [1, 1, 2, 3, 3]
