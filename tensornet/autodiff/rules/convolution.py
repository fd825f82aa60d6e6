"""Rules of convolution: of three operations, each of which is linear in two operands, each is made
of the other two.
"""

from __future__ import annotations

from ...ops.convolution import convolve, convolve_data_gradient, convolve_weight_gradient
from .registry import conjugated, rule

__all__: list[str] = []

rule(
    convolve,
    lambda g, _, x, w, windows, groups=1: convolve_data_gradient(g, conjugated(w), windows, groups),
    lambda g, _, x, w, windows, groups=1: convolve_weight_gradient(
        conjugated(x), g, windows, groups
    ),
    keeps=((1,), (0,)),
)
rule(
    convolve_data_gradient,
    lambda g, _, y, w, windows, groups=1: convolve(g, conjugated(w), windows, groups),
    lambda g, _, y, w, windows, groups=1: convolve_weight_gradient(
        g, conjugated(y), windows, groups
    ),
    keeps=((1,), (0,)),
)
rule(
    convolve_weight_gradient,
    lambda g, _, x, y, windows, groups=1: convolve_data_gradient(conjugated(y), g, windows, groups),
    lambda g, _, x, y, windows, groups=1: convolve(conjugated(x), g, windows, groups),
    keeps=((1,), (0,)),
)
