"""Rules of the activations of neural networks, of softmax and its kin."""

from __future__ import annotations

from collections.abc import Callable
from math import pi, sqrt
from typing import Any

from ...ops import (
    elu,
    erf,
    exp,
    gelu,
    leaky_relu,
    log_softmax,
    logsumexp,
    minimum,
    relu,
    sigmoid,
    silu,
    softmax,
    softplus,
    tanh,
    where,
)
from ...ops import sum as sum_of
from ...ops.curves import curve_gradient
from .reductions import widened
from .registry import conjugated, rule

__all__: list[str] = []

rule(relu, lambda g, y, a: where(y > 0, g, 0.0), keeps=(), keeps_result=True)
rule(
    leaky_relu,
    lambda g, y, a, negative_slope=0.01: where(a > 0, g, negative_slope * g),
)


def _slope_of_silu(a: Any, _: float) -> Any:
    s = sigmoid(a)
    return s * (a * (1 - s) + 1)


def _slope_of_gelu(a: Any, _: float) -> Any:
    density = exp(-0.5 * (a * a)) * (1 / sqrt(2 * pi))
    return 0.5 * (1 + erf(sqrt(0.5) * a)) + a * density


def _slope_of_gelu_by_tanh(a: Any, _: float) -> Any:
    inner = sqrt(2 / pi) * a
    squared = 0.044715 * (a * a)
    t = tanh(inner * (1 + squared))
    return 0.5 * ((1 + t) + (1 - t * t) * (inner * (1 + 3 * squared)))


# What kernels compute in one pass, in library operations, for the derivatives of these derivatives.
_SLOPES: dict[str, Callable[[Any, float], Any]] = {
    "tanh": lambda y, _: 1 - y * y,
    "sigmoid": lambda y, _: y * (1 - y),
    "silu": _slope_of_silu,
    "softplus": lambda a, _: sigmoid(a),
    "elu": lambda a, alpha: where(a > 0, 1.0, alpha * exp(minimum(a, 0))),
    "erf": lambda a, _: (2 / sqrt(pi)) * exp(-a * a),
    "gelu": _slope_of_gelu,
    "gelu_tanh": _slope_of_gelu_by_tanh,
}


def _of_slope(given: Any, _: Any, g: Any, a: Any, name: str, parameter: float = 0.0) -> Any:
    from ..functional import vjp  # which has all rules below it

    return vjp(lambda x: _SLOPES[name](x, parameter), a)[1](given * g)[0]


def _of_gelu(g: Any, _: Any, a: Any, approximate: str = "none") -> Any:
    return curve_gradient(g, a, name="gelu_tanh" if approximate == "tanh" else "gelu")


def _of_tanh(g: Any, y: Any, _: Any) -> Any:
    if y.dtype.kind == "c":
        return g * conjugated(1 - y * y)
    return curve_gradient(g, y, name="tanh")


rule(
    curve_gradient,
    lambda given, _, g, a, name, parameter=0.0: curve_gradient(
        given, a, name=name, parameter=parameter
    ),
    _of_slope,
)
rule(elu, lambda g, y, a, alpha=1.0: curve_gradient(g, a, name="elu", parameter=alpha))
rule(
    sigmoid,
    lambda g, y, a: curve_gradient(g, y, name="sigmoid"),
    keeps=(),
    keeps_result=True,
)
rule(softplus, lambda g, y, a: curve_gradient(g, a, name="softplus"))
rule(silu, lambda g, y, a: curve_gradient(g, a, name="silu"))
rule(gelu, _of_gelu)
rule(erf, lambda g, y, a: curve_gradient(g, a, name="erf"))
rule(tanh, _of_tanh, keeps=(), keeps_result=True)


# Sums of exponentials


def _of_logsumexp(g: Any, _: Any, a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return widened(g, a, axis, keepdims) * conjugated(softmax(a, axis))


def _of_softmax(g: Any, y: Any, a: Any, axis: Any = -1) -> Any:
    weighted = g * conjugated(y)
    return weighted - conjugated(y) * sum_of(weighted, axis, True)


def _of_log_softmax(g: Any, y: Any, a: Any, axis: Any = -1) -> Any:
    return g - conjugated(exp(y)) * sum_of(g, axis, True)


rule(logsumexp, _of_logsumexp)
rule(softmax, _of_softmax, keeps=(), keeps_result=True)
rule(log_softmax, _of_log_softmax, keeps=(), keeps_result=True)
