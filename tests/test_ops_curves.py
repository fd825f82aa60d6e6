"""Curves against their definitions in more digits, and entries that are special."""

from __future__ import annotations

from math import erf, erfc, inf, nan
from typing import Any

import numpy as np
import pytest

import tensornet as tn
from tensornet import ops
from tensornet._kernels import CURVES, curve
from tensornet.ops.curves import curve_gradient

Long = np.longdouble
FLOATS = ["float32", "float64"]
ERF, ERFC = np.vectorize(erf, otypes=[float]), np.vectorize(erfc, otypes=[float])
LIMITS = {  # at -inf and inf
    "tanh": (-1, 1),
    "sigmoid": (0, 1),
    "silu": (0, inf),
    "softplus": (0, inf),
    "elu": (-1, inf),
    "erf": (-1, 1),
    "gelu": (0, inf),
    "gelu_tanh": (0, inf),
}
ODD_AT_ZERO = {name for name in CURVES if name not in ("sigmoid", "softplus")}
PARAMETERS = {"elu": 1.0}


def complement(x: Any) -> Any:
    """erfc, with what the argument loses in double made good."""
    near = x.astype(float)
    return ERFC(near) - 2 / np.sqrt(Long(np.pi)) * np.exp(-(x**2)) * (x - near)


def exact(name: str, x: Any) -> Any:
    """In longdouble, but for erf, which math has in double."""
    values: dict[str, Any] = {
        "tanh": lambda: np.tanh(x),
        "sigmoid": lambda: 1 / (1 + np.exp(-x)),
        "silu": lambda: x / (1 + np.exp(-x)),
        "softplus": lambda: np.maximum(x, 0) + np.log1p(np.exp(-abs(x))),
        "elu": lambda: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
        "erf": lambda: ERF(x.astype(float)).astype(Long),
        "gelu": lambda: x * complement(-x / np.sqrt(Long(2))) / 2,
        "gelu_tanh": lambda: (
            x * (1 + np.tanh(np.sqrt(2 / Long(np.pi)) * (x + Long("0.044715") * x**3))) / 2
        ),
    }
    return values[name]()


def entries(dtype: str) -> Any:
    rng = np.random.default_rng(0)
    x = [scale * rng.standard_normal(3000) for scale in (1e-30, 1e-6, 0.1, 1, 4, 30)]
    return np.concatenate([*x, np.linspace(-6, 6, 5001)]).astype(dtype)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", CURVES)
def test_curves_are_within_some_units_in_the_last_place(name: str, dtype: str) -> None:
    x = entries(dtype)
    want = exact(name, x.astype(Long))
    got = curve(name, x, 1, parameter=PARAMETERS.get(name, 0.0))
    assert got.dtype == dtype
    unit = np.spacing(np.abs(want).astype(dtype)).astype(Long)
    if "gelu" in name:  # tails cancel, or have the square of x in an exponent
        unit = np.maximum(unit, np.spacing(np.abs(x)) / 8)
    if name == "silu":  # x times what may be no normal number
        unit = np.maximum(unit, np.abs(x) * np.finfo(dtype).smallest_subnormal)
    assert (np.abs(got - want) / unit).max() <= (12 if "gelu" in name else 4)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", CURVES)
def test_special_entries_have_limits(name: str, dtype: str) -> None:
    tiny = float(np.finfo(dtype).smallest_subnormal)
    x = np.array([-inf, inf, nan, 0.0, -0.0, tiny, -tiny, -1e30, 1e30], dtype)
    low, high, none, zero, minus, *rest = curve(name, x, 1, parameter=PARAMETERS.get(name, 0.0))
    assert (low, high) == LIMITS[name]
    assert np.isnan(none)
    if name in ODD_AT_ZERO:
        assert str(zero) == "0.0"
        assert str(minus) == "-0.0"
        slope = curve(name, np.zeros(1, dtype), 1, g=np.ones(1, dtype), parameter=1.0)[0]
        assert rest[0] in (0, tiny, 2 * tiny)
        assert abs(rest[0] - slope * tiny) <= tiny
    assert rest[2:] == [low, high if high == 1 else x[-1]]
    slopes = curve(name, x, 1, g=np.ones_like(x), parameter=PARAMETERS.get(name, 0.0))
    if name not in ("tanh", "sigmoid"):  # whose slopes are functions of the result
        assert slopes[[0, 7]].tolist() == [0, 0]
        assert slopes[[1, 8]].tolist() == ([0, 0] if name == "erf" else [1, 1])
    assert np.isnan(slopes[2])


@pytest.mark.parametrize("name", ["sigmoid", "softplus", "silu", "elu"])
def test_results_too_small_to_be_normal_are_rounded_as_others(name: str) -> None:
    for dtype, x in (("float32", -95.0), ("float64", -720.0)):
        given = np.array([x], dtype)
        slope = np.exp(Long(x)) * ((1 + x) if name == "silu" else 1)
        got = curve(name, given, 1, g=np.ones_like(given), parameter=1.0)
        if name == "sigmoid":
            got, slope = curve(name, given, 1), np.exp(Long(x))
        unit = np.finfo(dtype).smallest_subnormal * (abs(x) if name == "silu" else 1)
        assert abs(got[0] - slope) <= 4 * abs(slope) * np.finfo(dtype).eps + unit


@pytest.mark.parametrize("dtype", ["float16", *FLOATS])
@pytest.mark.parametrize("name", CURVES)
def test_gradients_are_the_slopes_of_the_curve(name: str, dtype: str) -> None:
    rng = np.random.default_rng(1)
    x, g = rng.standard_normal((2, 7, 11)) * 2
    step = 1e-5
    up, down = [exact(name, (x + each).astype(Long)) for each in (step, -step)]
    slope = (up - down) / (2 * step)
    at = exact(name, x.astype(Long)).astype(float) if name in ("tanh", "sigmoid") else x
    got = curve_gradient(g.astype(dtype), at.astype(dtype), name=name, parameter=1.0)
    assert got.dtype == dtype
    tolerance = {"float16": 2e-2, "float32": 2e-5, "float64": 1e-8}[dtype]
    np.testing.assert_allclose(got, g * slope, rtol=tolerance, atol=tolerance)
    turned = curve_gradient((g + 1j * g).T, at.T, name=name, parameter=1.0)
    np.testing.assert_allclose(turned.T, (1 + 1j) * g * slope, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("dtype", FLOATS)
def test_entries_are_read_wherever_they_lie(dtype: str) -> None:
    x = np.random.default_rng(2).standard_normal((6, 7, 8)).astype(dtype)
    want = ops.gelu(x)
    for view in (x.T, x[::-1, :, ::2], x.transpose(1, 0, 2), x.astype(x.dtype.newbyteorder())):
        np.testing.assert_array_equal(ops.gelu(view), ops.gelu(view.copy(order="C")))
    for n in (*range(40), 5000):  # every rest behind whole vectors
        np.testing.assert_array_equal(ops.gelu(x.ravel()[:n]), want.ravel()[:n])


def test_bits_do_not_depend_on_threads() -> None:
    x = np.random.default_rng(3).standard_normal(200_000).astype("float32")
    before = tn.get_num_threads()
    try:
        tn.set_num_threads(1)
        one = ops.gelu(x)
        tn.set_num_threads(2)
        np.testing.assert_array_equal(ops.gelu(x), one)
    finally:
        tn.set_num_threads(before)


def test_what_curves_do_not_take() -> None:
    with pytest.raises(TypeError, match="one shape"):
        curve("tanh", np.ones(3), 1, g=np.ones(2))
    with pytest.raises(TypeError, match="float32 or float64"):
        curve("tanh", np.ones(3, int), 1)
    with pytest.raises(TypeError, match="erf is a function of real numbers"):
        ops.erf(1j)
