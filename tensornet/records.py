"""What a tape keeps of the operations on tracked Tensors, and the rules that say how much.

An operation without a rule keeps nothing, and differentiating it is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from threading import local
from typing import Any, NamedTuple, TypeAlias

import numpy as np

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


class _State(local):
    """What is being differentiated in this thread.

    Attributes:
        depth: how many differentiations are under way; operations are recorded if any is.
        tapes: the GradientTapes among them.
    """

    def __init__(self) -> None:
        self.depth = 0
        self.tapes: list[Any] = []


state = _State()


# Positions of arguments; or, for each argument, those that its cotangent reads; or None for all.
Keeps: TypeAlias = "tuple[int, ...] | tuple[tuple[int, ...], ...] | None"


class Rule(NamedTuple):
    """How to differentiate an operation, and which of its arrays that takes.

    Attributes:
        pull: ``pull(g, result, needed, args, options)`` returns the cotangent of each argument,
            None or anything for those that are not `needed`. g is the cotangent of the result; if
            that is a tuple, `result` is one, too, and g has None where nothing arrived.
        keeps: positions of the arguments whose entries it reads, or a tuple of them for each
            argument: what its cotangent reads; None for all. Of other arrays it sees an `Outline`.
        keeps_result: does it read the entries of the result?
        forward: ``forward(needed, args, options)`` takes the place of the operation where it is
            recorded: it returns the result and something that `pull` will find as
            ``options["saved"]``; in a sweep that is itself recorded, None.
    """

    pull: Callable[[Any, Any, list[bool], Sequence[Any], Mapping[str, Any]], Sequence[Any]]
    keeps: Keeps = None
    keeps_result: bool = False
    forward: Callable[[list[bool], Sequence[Any], Mapping[str, Any]], tuple[Any, Any]] | None = None


MISSING = Rule(lambda *_: (), ())  # of operations that have none


def rule_of(function: Any) -> Rule | None:
    """The rule of an operation; None: nothing is differentiated through it."""
    return getattr(function, "gradient_rule", MISSING)


def has_rule(function: Any) -> bool:
    """Does anyone know how to differentiate it?"""
    return rule_of(function) is not MISSING


def set_rule(function: Any, rule: Rule | None) -> None:
    """Give an operation its rule; None for one whose results count as constants."""
    function.gradient_rule = rule


class Outline(NamedTuple):
    """What remains of an array whose entries are not needed."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def outline(array: Any) -> Outline:
    """The Outline of an array."""
    return _new(Outline, (array.shape, array.dtype))


_new = tuple.__new__  # half the time of calling Outline


def kept_of(keeps: Any, arrays: list[Any], parents: Sequence[Origin | None]) -> list[Any]:
    """The arguments, of which a rule reads the entries of those that `keeps` names."""
    if keeps is None:
        return arrays
    if keeps and type(keeps[0]) is tuple:
        keeps = [k for read, parent in zip(keeps, parents) if parent for k in read]
    return [
        outline(x) if type(x) is np.ndarray and k not in keeps else x for k, x in enumerate(arrays)
    ]


class Record:
    """An operation on the tape, or, without a function, a variable at its beginning.

    Attributes:
        function, args, options: the call, with arrays in place of Tensors.
        parents: what made each argument; None for those that nothing on the tape made.
        results: the arrays of the results, or their Outlines.
        is_tuple: did the operation return a tuple?
        saved: what the `forward` of its rule has left for its `pull`.
        order: later records have greater numbers.
    """

    __slots__ = (
        *("__weakref__", "args", "function", "is_tuple", "options", "order", "parents"),
        *("results", "saved"),
    )

    def __init__(
        self,
        function: Any,
        args: Sequence[Any],
        options: Mapping[str, Any],
        parents: Sequence[Origin | None],
        results: Sequence[Any],
        is_tuple: bool = False,
        saved: Any = None,
    ) -> None:
        self.function = function
        self.args = args
        self.options = options
        self.parents = parents
        self.results = results
        self.is_tuple = is_tuple
        self.saved = saved
        self.order = next(_orders)


_orders = count()

# A record, and which of its results.
Origin: TypeAlias = "tuple[Record, int]"
