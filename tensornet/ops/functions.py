"""Functions of every entry: hyperbolic, inverse trigonometric, and those precise near zero.

All take tensors of any shape, real or complex unless they say otherwise, and return NumPy's results
with NumPy's warnings where an entry is outside of what they are defined for.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tape import operation
from .curves import curve
from .elementwise import imag, operand, real, real_operand

__all__ = [
    "angle",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "cosh",
    "expm1",
    "log1p",
    "reciprocal",
    "sinh",
    "square",
    "tan",
    "tanh",
]


@operation
def square(tensor: Any) -> Any:
    """The square of every entry.

    >>> square([3.0, 2j])
    array([ 9.+0.j, -4.+0.j])
    """
    return np.square(operand(tensor))


@operation
def reciprocal(tensor: Any) -> Any:
    """One over every entry; in whole numbers for these, as in NumPy.

    >>> reciprocal([4.0])
    array([0.25])
    """
    return np.reciprocal(operand(tensor))


@operation
def tan(tensor: Any) -> Any:
    """The tangent of every entry.

    >>> tan([0.0])
    array([0.])
    """
    return np.tan(operand(tensor))


@operation
def sinh(tensor: Any) -> Any:
    """The hyperbolic sine of every entry.

    >>> sinh([0.0])
    array([0.])
    """
    return np.sinh(operand(tensor))


@operation
def cosh(tensor: Any) -> Any:
    """The hyperbolic cosine of every entry.

    >>> cosh([0.0])
    array([1.])
    """
    return np.cosh(operand(tensor))


@operation
def tanh(tensor: Any) -> Any:
    """The hyperbolic tangent of every entry.

    >>> tanh([0.0, 100.0])
    array([0., 1.])
    """
    given = operand(tensor)
    if type(given) is np.ndarray and given.dtype.char in "fd":
        return curve("tanh", given)
    return np.tanh(given)


@operation
def arcsin(tensor: Any) -> Any:
    """The inverse sine of every entry.

    >>> arcsin([0.0])
    array([0.])
    """
    return np.arcsin(operand(tensor))


@operation
def arccos(tensor: Any) -> Any:
    """The inverse cosine of every entry.

    >>> arccos([1.0])
    array([0.])
    """
    return np.arccos(operand(tensor))


@operation
def arctan(tensor: Any) -> Any:
    """The inverse tangent of every entry.

    >>> arctan([0.0])
    array([0.])
    """
    return np.arctan(operand(tensor))


@operation
def arcsinh(tensor: Any) -> Any:
    """The inverse hyperbolic sine of every entry.

    >>> arcsinh([0.0])
    array([0.])
    """
    return np.arcsinh(operand(tensor))


@operation
def arccosh(tensor: Any) -> Any:
    """The inverse hyperbolic cosine of every entry.

    >>> arccosh([1.0])
    array([0.])
    """
    return np.arccosh(operand(tensor))


@operation
def arctanh(tensor: Any) -> Any:
    """The inverse hyperbolic tangent of every entry.

    >>> arctanh([0.0])
    array([0.])
    """
    return np.arctanh(operand(tensor))


@operation
def arctan2(y: Any, x: Any) -> Any:
    """The angle of the points (x, y), from -pi to pi; TypeError for complex entries.

    >>> arctan2([0.0, 1.0], [1.0, 0.0]).round(3)
    array([0.   , 1.571])
    """
    return np.arctan2(real_operand(y, "arctan2"), real_operand(x, "arctan2"))


def angle(tensor: Any) -> Any:
    """The argument of every complex number, from -pi to pi; 0 or pi for real ones.

    >>> angle([1.0, 1j]).round(3)
    array([0.   , 1.571])
    """
    return arctan2(imag(tensor), real(tensor))


@operation
def expm1(tensor: Any) -> Any:
    """exp(x) - 1 of every entry, precise near zero.

    >>> expm1([1e-20])
    array([1.e-20])
    """
    return np.expm1(operand(tensor))


@operation
def log1p(tensor: Any) -> Any:
    """log(1 + x) of every entry, precise near zero.

    >>> log1p([1e-20])
    array([1.e-20])
    """
    return np.log1p(operand(tensor))
