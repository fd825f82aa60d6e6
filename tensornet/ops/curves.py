"""Functions of every real entry that kernels compute in one pass, and their derivatives.

They are within 4 units in the last place, but for the tails of silu and gelu: x times a chance that
may be no normal number, or has the square of x in an exponent; these are within 2 units of x.
Infinite entries have the limits. float16 is computed in float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _kernels
from ..arrays import Array
from ..config import get_num_threads
from ..tape import operation
from .elementwise import real_operand

__all__ = ["curve", "curve_gradient", "erf"]


def curve(name: str, given: Any, parameter: float = 0.0) -> Any:
    """One of `_kernels.CURVES` of real numbers, a new array: float64 of whole ones."""
    array = np.asarray(given)
    result = _drawn(name, array, parameter)
    return result if result.ndim else result[()]


@operation
def curve_gradient(g: Any, a: Any, name: str, parameter: float = 0.0) -> Any:
    """g times the derivative of a curve at a, or at its result for "tanh" and "sigmoid". One pass.

    >>> curve_gradient(np.array([1.0, 2.0]), np.array([0.5, 0.5]), name="sigmoid")
    array([0.25, 0.5 ])
    """
    g = np.asarray(g)
    if g.dtype.kind != "c":
        return _drawn(name, np.asarray(a), parameter, g)
    result = np.empty(g.shape, g.dtype)
    result.real = _drawn(name, np.asarray(a), parameter, g.real)
    result.imag = _drawn(name, np.asarray(a), parameter, g.imag)
    return result


@operation
def erf(tensor: Any) -> Any:
    """The error function of every real entry; TypeError for complex ones.

    >>> erf([0.0, 1.0, np.inf]).round(6)
    array([0.      , 0.842701, 1.      ])
    """
    return curve("erf", real_operand(tensor, "erf"))


def _drawn(name: str, array: Array, parameter: float, g: Array | None = None) -> Array:
    if array.flags.f_contiguous and not array.flags.c_contiguous:
        turned: Array = _drawn(name, array.T, parameter, None if g is None else g.T).T
        return turned
    dtype = array.dtype if array.dtype.kind == "f" else np.dtype(np.float64)
    within = np.float32 if dtype.itemsize < 8 else np.float64
    entries = np.asarray(array, within, order="C")
    slopes = None if g is None else np.asarray(g, within, order="C")
    result: Array = _kernels.curve(name, entries, get_num_threads(), parameter=parameter, g=slopes)
    return result.astype(dtype, copy=False)
