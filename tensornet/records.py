"""What a tape keeps of the operations on tracked Tensors, and the rules that say how much.

An operation without a rule keeps nothing, and differentiating it is an error.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from ._tape import MISSING, Outline, Record, Rule, rule_of, state

__all__ = [
    "Keeps",
    "Origin",
    "Outline",
    "Record",
    "Rule",
    "has_rule",
    "rule_of",
    "set_rule",
    "state",
]


# Positions of arguments; or, for each argument, those that its cotangent reads; or None for all.
Keeps: TypeAlias = "tuple[int, ...] | tuple[tuple[int, ...], ...] | None"

# A record, and which of its results.
Origin: TypeAlias = "tuple[Record, int]"


def has_rule(function: Any) -> bool:
    """Does anyone know how to differentiate it?"""
    return rule_of(function) is not MISSING


def set_rule(function: Any, rule: Rule | None) -> None:
    """Give an operation its rule; None for one whose results count as constants."""
    function.gradient_rule = rule
