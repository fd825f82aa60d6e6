"""Rules of functions of every entry, from the result alone where that is enough."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...ops import (
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctan2,
    arctanh,
    cos,
    cosh,
    equal,
    exp,
    expm1,
    log,
    log1p,
    multiply,
    reciprocal,
    sin,
    sinh,
    sqrt,
    square,
    tan,
    where,
)
from .registry import conjugated, like, rule

__all__: list[str] = []


def _from_entry(function: Any, slope: Callable[[Any], Any]) -> None:
    """The rule of a function whose slope is computed from the entry."""
    rule(function, lambda g, y, a: g * conjugated(slope(a)))


def _from_result(function: Any, slope: Callable[[Any], Any]) -> None:
    """The rule of a function whose slope is computed from its result, which alone is kept."""
    rule(function, lambda g, y, a: g * conjugated(slope(y)), keeps=(), keeps_result=True)


_from_result(exp, lambda y: y)
_from_result(expm1, lambda y: y + 1)
_from_result(sqrt, lambda y: 0.5 / y)
_from_result(tan, lambda y: y * y + 1)
_from_result(reciprocal, lambda y: -y * y)
_from_entry(square, lambda a: 2 * a)
_from_entry(sin, cos)
_from_entry(cos, lambda a: -sin(a))
_from_entry(sinh, cosh)
_from_entry(cosh, sinh)
_from_entry(arcsin, lambda a: 1 / sqrt(1 - a * a))
_from_entry(arccos, lambda a: -1 / sqrt(1 - a * a))
_from_entry(arctan, lambda a: 1 / (a * a + 1))
_from_entry(arcsinh, lambda a: 1 / sqrt(a * a + 1))
_from_entry(arccosh, lambda a: 1 / (sqrt(a - 1) * sqrt(a + 1)))
_from_entry(arctanh, lambda a: 1 / (1 - a * a))
rule(log, lambda g, y, a: g / conjugated(a))
rule(log1p, lambda g, y, a: g / conjugated(a + 1))


def _per_square(g: Any, y: Any, x: Any) -> Any:
    """g over the square of the distance to the origin, where it is zero."""
    squared = multiply(x, x) + multiply(y, y)
    at_origin = equal(squared, 0)
    return where(at_origin, 0.0, g / where(at_origin, 1.0, squared))


rule(
    arctan2,
    lambda g, _, y, x: like(_per_square(g, y, x) * x, y),
    lambda g, _, y, x: like(-_per_square(g, y, x) * y, x),
)
