"""Rules of the activations of neural networks, of softmax and its kin."""

from __future__ import annotations

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
from .reductions import widened
from .registry import conjugated, rule

__all__: list[str] = []

rule(relu, lambda g, y, a: where(y > 0, g, 0.0), keeps=(), keeps_result=True)
rule(
    leaky_relu,
    lambda g, y, a, negative_slope=0.01: where(a > 0, g, negative_slope * g),
)
rule(
    elu,
    lambda g, y, a, alpha=1.0: where(a > 0, g, g * (alpha * exp(minimum(a, 0)))),
)
rule(sigmoid, lambda g, y, a: g * (y * (1 - y)), keeps=(), keeps_result=True)
rule(softplus, lambda g, y, a: g * sigmoid(a))


def _of_silu(g: Any, _: Any, a: Any) -> Any:
    s = sigmoid(a)
    return g * (s * (a * (1 - s) + 1))


def _of_gelu(g: Any, _: Any, a: Any, approximate: str = "none") -> Any:
    if approximate == "tanh":
        inner = sqrt(2 / pi) * a
        squared = 0.044715 * (a * a)
        t = tanh(inner * (1 + squared))
        return (0.5 * g) * ((1 + t) + (1 - t * t) * (inner * (1 + 3 * squared)))
    density = exp(-0.5 * (a * a)) * (1 / sqrt(2 * pi))
    return g * (0.5 * (1 + erf(sqrt(0.5) * a)) + a * density)


rule(silu, _of_silu)
rule(gelu, _of_gelu)


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
