"""Rules of arithmetic, comparisons, and what chooses between entries."""

from __future__ import annotations

from math import log as log_of_number
from typing import Any

from ...ops import (
    abs,
    add,
    cast,
    clip,
    conj,
    divide,
    equal,
    greater,
    greater_equal,
    imag,
    less,
    less_equal,
    log,
    maximum,
    minimum,
    multiply,
    negative,
    not_equal,
    power,
    real,
    sign,
    subtract,
    where,
)
from ...ops.elementwise import imaginary
from .registry import conjugated, constant, like, rule

__all__: list[str] = []

constant(equal, not_equal, less, less_equal, greater, greater_equal)

rule(add, lambda g, y, a, b: like(g, a), lambda g, y, a, b: like(g, b), keeps=())
rule(subtract, lambda g, y, a, b: like(g, a), lambda g, y, a, b: like(-g, b), keeps=())
rule(
    multiply,
    lambda g, y, a, b: like(g * conjugated(b), a),
    lambda g, y, a, b: like(g * conjugated(a), b),
    keeps=((1,), (0,)),
)
rule(
    divide,
    lambda g, y, a, b: like(g / conjugated(b), a),
    lambda g, y, a, b: like(-g * conjugated(a / b / b), b),
    keeps=((1,), (0, 1)),
)
rule(negative, lambda g, y, a: -g, keeps=())
rule(conj, lambda g, y, a: conj(g), keeps=())
rule(cast, lambda g, y, a, dtype: cast(g, a.dtype), keeps=())
rule(real, lambda g, y, a: g if g.dtype == a.dtype else cast(g, a.dtype), keeps=())
rule(imag, lambda g, y, a: imaginary(g) if a.dtype.kind == "c" else None, keeps=())
rule(imaginary, lambda g, y, a: imag(g), keeps=())


# Powers. Where the base is zero, 0 * inf is avoided: the slope of x**0 is 0 everywhere.


def _of_base(g: Any, _: Any, a: Any, b: Any) -> Any:
    if isinstance(b, (int, float, complex)):
        slope = 2 * a if b == 2 else b * power(a, b - 1) if b else 0.0
    else:
        is_zero = equal(b, 0)
        slope = where(is_zero, 0.0, b * power(a, where(is_zero, 1.0, subtract(b, 1))))
    return like(g * conjugated(slope), a)


def _of_exponent(g: Any, _: Any, a: Any, b: Any) -> Any:
    if isinstance(a, (int, float)) and a > 0:
        logarithm: Any = log_of_number(a)
    else:
        logarithm = log(where(equal(a, 0), 1.0, a))
    return like(g * conjugated(power(a, b) * logarithm), b)


rule(power, _of_base, _of_exponent)


# Absolute values: at zero the gradient is zero.


def _of_sign(g: Any, y: Any, a: Any) -> Any:
    """Only the angle of a complex entry changes its sign."""
    if a.dtype.kind != "c":
        return None
    size = abs(a)
    is_zero = equal(size, 0)
    turned = (g - y * real(conj(y) * g)) / where(is_zero, 1.0, size)
    return where(is_zero, 0.0, turned)


rule(abs, lambda g, y, a: g * sign(a))
rule(sign, _of_sign, keeps_result=True)


# One of two entries. Nothing is multiplied by zero, so nan and inf stay where they were not chosen.


def _of_greater(g: Any, a: Any, b: Any) -> Any:
    """What the greater of a and b gets, half of it if they are equal, in the place of a."""
    return where(equal(a, b), 0.5 * g, where(greater(a, b), g, 0.0))


rule(
    maximum,
    lambda g, y, a, b: like(_of_greater(g, a, b), a),
    lambda g, y, a, b: like(_of_greater(g, b, a), b),
)
rule(
    minimum,
    lambda g, y, a, b: like(_of_greater(g, b, a), a),
    lambda g, y, a, b: like(_of_greater(g, a, b), b),
)
rule(
    where,
    None,
    lambda g, y, condition, a, b: like(where(condition, g, 0.0), a),
    lambda g, y, condition, a, b: like(where(condition, 0.0, g), b),
    keeps=(0,),
)


def _of_clipped(g: Any, _: Any, a: Any, min: Any = None, max: Any = None) -> Any:
    if min is not None:
        g = where(greater_equal(a, min), g, 0.0)
    if max is not None:
        g = where(less_equal(a, max), g, 0.0)
    return like(g, a)


def _of_low(g: Any, _: Any, a: Any, min: Any, max: Any = None) -> Any:
    if max is not None:  # which is the result where it is below `min`
        g = where(less_equal(min, max), g, 0.0)
    return like(where(less(a, min), g, 0.0), min)


def _of_high(g: Any, _: Any, a: Any, min: Any, max: Any) -> Any:
    raised = a if min is None else maximum(a, min)
    return like(where(greater(raised, max), g, 0.0), max)


rule(clip, _of_clipped, _of_low, _of_high)
