"""What searches make small: the weights of `minimize=`, and the cost of a tree by them."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from math import inf, log2

from ..errors import PlanError
from .tree import Tree

__all__ = ["Objective", "cost", "objective_of"]

Objective = tuple[float, float, float, float, float]

# Weights of what a step counts for: macs, entries of its result (to a power), entries of its
# operands, the step itself. Time is in units of a multiply-add in a large square product (about
# 1e-4 microseconds). What an entry costs besides was measured on one core, in float32, float64 and
# complex64: products of (2^11, 2) with (2, 2^11) for results and of (2^20, 8) with (8, 1) for
# operands, less their multiply-adds; tiny products take about a microsecond.
_OBJECTIVES: dict[str, Objective] = {
    "macs": (1.0, 0.0, 0.0, 0.0, 1.0),
    "size": (0.0, 1.0, 0.0, 0.0, 16.0),
    "write": (0.0, 1.0, 0.0, 0.0, 1.0),
    "combo": (1.0, 64.0, 0.0, 0.0, 1.0),
    "time": (1.0, 8.0, 6.0, 1e4, 1.0),
}


def objective_of(minimize: str) -> Objective:
    """The weights of `minimize`, as planner.h has them.

    Raises:
        PlanError: there is no such thing to minimize.
    """
    name, _, factor = minimize.partition("-") if isinstance(minimize, str) else ("", "", "")
    known = _OBJECTIVES.get(name)
    if known is None or (factor and name != "combo"):
        names = ", ".join([*_OBJECTIVES, "combo-FACTOR"])
        raise PlanError(f"minimize={minimize!r} is nothing to minimize; use one of {names}")
    if not factor:
        return known
    try:
        weight = float(factor)
    except ValueError:
        weight = 0.0
    if not 0 < weight < inf:
        raise PlanError(f"minimize={minimize!r}: the factor after combo- must be a number above 0")
    return (1.0, weight, 0.0, 0.0, 1.0)


def cost(tree: Tree, objective: Objective) -> float:
    """log2 of what the steps of a tree count for together, all slices included.

    >>> from tensornet.expr import Expr
    >>> tree = Tree(Expr(((0, 1), (1, 2)), (0, 2), (2, 4, 8)), ((0, 1),))
    >>> cost(tree, objective_of("macs")), cost(tree, objective_of("write"))
    (6.0, 4.0)
    """
    if objective == _OBJECTIVES["macs"]:
        return log2(max(1, tree.hoisted_macs))
    macs, out, read, step, power = objective
    extent = [log2(max(1, size)) for size in tree.expr.sizes]
    holders = Counter(chain(tree.expr.output, *map(set, tree.expr.inputs)))
    total = _Sum()
    for left, right, result in tree.step_terms():
        a = {i for i in left if holders[i] > 1}
        b = {i for i in right if holders[i] > 1}
        total.add(macs, sum([extent[i] for i in a | b]))
        total.add(out, power * sum([extent[i] for i in result]))
        for operand in (a, b):
            total.add(read, sum([extent[i] for i in operand]))
        total.add(step, 0.0)
    return total.log2 + log2(tree.n_slices)


class _Sum:
    """A sum of numbers too large for a float, kept as a fraction and a power of two."""

    def __init__(self) -> None:
        self._fraction, self._exponent = 0.0, 0.0

    def add(self, weight: float, exponent: float) -> None:
        """Add weight * 2**exponent."""
        if exponent > self._exponent:
            self._fraction *= 2.0 ** (self._exponent - exponent)
            self._exponent = exponent
        self._fraction += weight * 2.0 ** (exponent - self._exponent)

    @property
    def log2(self) -> float:
        return self._exponent + log2(self._fraction) if self._fraction else 0.0
