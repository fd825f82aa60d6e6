"""Rules of what is computed entry by entry."""

from __future__ import annotations

from ...ops import (
    add,
    cast,
    conj,
    equal,
    greater,
    greater_equal,
    imag,
    less,
    less_equal,
    multiply,
    negative,
    not_equal,
    real,
    sign,
    subtract,
)
from .registry import constant, like, rule

__all__: list[str] = []

constant(equal, not_equal, less, less_equal, greater, greater_equal, sign)

rule(add, lambda g, y, a, b: like(g, a), lambda g, y, a, b: like(g, b), keeps=())
rule(subtract, lambda g, y, a, b: like(g, a), lambda g, y, a, b: like(-g, b), keeps=())
rule(
    multiply,
    lambda g, y, a, b: like(g * conj(b), a),
    lambda g, y, a, b: like(g * conj(a), b),
)
rule(negative, lambda g, y, a: -g, keeps=())
rule(conj, lambda g, y, a: conj(g), keeps=())
rule(cast, lambda g, y, a, dtype: cast(g, a.dtype), keeps=())
rule(real, lambda g, y, a: cast(g, a.dtype), keeps=())
rule(imag, lambda g, y, a: 1j * g if a.dtype.kind == "c" else None, keeps=())
