"""How rules are written: one function per argument, or one for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..._tape import Pulls
from ...ops import cast, conj, reshape
from ...ops import sum as sum_of
from ...records import Keeps, Rule, set_rule

__all__ = ["conjugated", "constant", "joint_rule", "like", "rule"]

Pull = Callable[..., Any]
_UNKNOWN = np.dtype(object)  # of lists


def rule(
    function: Any,
    *pulls: Pull | None,
    keeps: Keeps = None,
    keeps_result: bool = False,
) -> None:
    """Give an operation its rule, one function per argument.

    Args:
        pulls: for each positional argument ``pull(g, y, *args, **options)``: its cotangent, given
            that of the result y; None for an argument that has none.
        keeps: positions of the arguments that they read beyond shape and dtype, or a tuple of them
            for each; None for all.
        keeps_result: do they read y?
    """
    set_rule(function, Rule(Pulls(*pulls), keeps, keeps_result))


def joint_rule(function: Any, pull: Pull, keeps: Keeps = None, keeps_result: bool = False) -> None:
    """Give an operation a rule that makes the cotangents of all arguments at once; see `Rule`."""
    set_rule(function, Rule(pull, keeps, keeps_result))


def constant(*functions: Any) -> None:
    """Nothing is differentiated through these operations: their results jump, or are whole."""
    for each in functions:
        set_rule(each, None)


def like(g: Any, operand: Any) -> Any:
    """The cotangent of an operand that was broadcast: summed over what it was repeated along.

    Args:
        g: cotangent of the result.
        operand: array, Tensor or Outline, of whose shape and dtype the cotangent becomes.
    """
    shape = operand.shape
    if g.shape != shape:
        lead = len(g.shape) - len(shape)
        wide = [k + lead for k, n in enumerate(shape) if n == 1 and g.shape[k + lead] != 1]
        g = sum_of(g, (*range(lead), *wide))
        if g.shape != shape:
            g = reshape(g, shape)
    return g if g.dtype == operand.dtype else cast(g, operand.dtype)


def conjugated(operand: Any) -> Any:
    """The complex conjugate of an operand as it was given: a Python number stays one."""
    if isinstance(operand, (int, float, complex)):
        return operand.conjugate()
    return operand if getattr(operand, "dtype", _UNKNOWN).kind in "fiub" else conj(operand)
