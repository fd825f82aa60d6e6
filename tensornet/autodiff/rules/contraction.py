"""Rules of contractions: of pairs, and of whole networks by one sweep over the contraction tree.

A network of three and more operands is computed by the first half of its `GradientProgram`, which
leaves the intermediates that the way back reads; a sliced one whose value is a number has its
gradients at once. In a sweep that is itself recorded, operations take the place of the program.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np

from ...api import einsum, tensordot
from ...arrays import result_dtype
from ...expr import Equation, Expr, bind_equation, parse_einsum
from ...expression import call_expression
from ...gradient import contraction_gradients, recent_gradient
from ...ops import cast, conj, multiply, reshape, transpose
from ...planner import Tree
from ...program import run_operands
from ...records import Rule, set_rule, state
from ...road import contract_operands, find_program
from ...tape import as_operands
from .registry import joint_rule
from .tree_sweep import network_gradients

__all__: list[str] = []

_PLANNED = ("optimize", "seed", "memory_limit", "max_entries", "minimize")
_ELSEWHERE = ("memory_limit", "max_entries", "progress", "executor", "checkpoint")


class Network(NamedTuple):
    """A call as a network: its tree, all operands, and which arguments some of them are."""

    tree: Tree
    operands: Sequence[Any]
    places: Sequence[int | None]  # of each operand among the arguments; None: a constant
    dtype: np.dtype[Any] | None  # of the computation; None: NumPy's result type of the operands

    def wanted(self, needed: Sequence[bool]) -> tuple[int, ...]:
        """The operands whose gradients are needed."""
        places = self.places
        if isinstance(places, range) and all(needed[places.start : places.stop : places.step]):
            return tuple(range(len(places)))
        return tuple([k for k, at in enumerate(places) if at is not None and needed[at]])

    def fitting(self) -> list[Any]:
        """The operands without the axes of extent 1 that their terms do not have."""
        return [
            x if x.shape == shape else reshape(x, shape)
            for x, shape in zip(self.operands, self.tree.expr.shapes)
        ]


class Half(NamedTuple):
    """What the value of a network leaves for its gradients."""

    network: Network
    wanted: tuple[int, ...]
    pull: Callable[[Any], Sequence[Any]]
    lead: int | None  # arguments before the operands, if these are the last ones and all are wanted


Finder = Callable[[Sequence[Any], Mapping[str, Any]], Network]


def _give_rule(operation: Any, find: Finder, run: Callable[..., Any]) -> None:
    """The rule of an operation that contracts a network."""

    def forward(
        needed: list[bool], args: Sequence[Any], options: Mapping[str, Any]
    ) -> tuple[Any, Any]:
        if len(args) >= 3 and {*map(options.get, _ELSEWHERE)} == {None}:
            network = find(args, options)
            halves = _first_half(network, network.wanted(needed))
            if halves is not None:
                return halves
        return run(*args, **options), None

    def pull(
        g: Any, _: Any, needed: list[bool], args: Sequence[Any], options: Mapping[str, Any]
    ) -> Sequence[Any]:
        if options.get("strip_exponent") or isinstance(g, list):
            raise TypeError("a contraction with strip_exponent has no gradient: leave it out")
        half = options.get("saved")
        if half is not None:
            network, wanted = half.network, half.wanted
            found = half.pull(g)
            if half.lead is not None:
                return [*[None] * half.lead, *found]
        else:
            network = find(args, options)
            wanted = network.wanted(needed)
            found = _gradients(network, wanted, g)
        cotangents: list[Any] = [None] * len(args)
        for k, cotangent in zip(wanted, found):
            shape = network.operands[k].shape
            place = network.places[k]
            assert place is not None
            fits = cotangent.shape == shape
            cotangents[place] = cotangent if fits else reshape(cotangent, shape)
        return cotangents

    set_rule(operation, Rule(pull, forward=forward))


def _first_half(network: Network, wanted: tuple[int, ...]) -> tuple[Any, Half] | None:
    """The value by the first half of a program that has gradients, too, or None: it needs none."""
    tree, operands = network.tree, tuple(network.operands)
    dtype = network.dtype or operands[0].dtype
    if dtype.kind not in "fc" or not wanted or len(tree.steps) < 2:
        return None
    if tree.sliced and tree.expr.output:
        return None
    program = recent_gradient(tree, dtype, wanted)
    places = network.places
    plain = isinstance(places, range) and places.step == 1 and len(places) == len(wanted)
    if not program.accepts(operands):
        operands, plain = tuple(network.fitting()), False
        if not program.accepts(operands):
            return None
    lead = network.places[0] if plain else None
    if not tree.sliced:
        value, saved = program.forward(operands)
        return value, Half(network, wanted, partial(program.backward, saved), lead)
    value, gradients = program(operands, np.ones((), dtype))
    return value, Half(network, wanted, lambda g: [multiply(each, g) for each in gradients], lead)


def _gradients(network: Network, wanted: Sequence[int], g: Any) -> Sequence[Any]:
    """The gradients of a network of which nothing was left; in operations, if they are recorded."""
    operands = network.fitting()
    if not state.depth:
        return contraction_gradients(network.tree, operands, g, wanted, dtype=network.dtype)
    chosen = [k in wanted for k in range(len(operands))]
    dtype = network.dtype or result_dtype([x.dtype for x in operands], None, "same_kind")
    alike = [x if x.dtype == dtype else cast(x, dtype) for x in operands]
    swept = network_gradients(network.tree, alike, g, chosen)
    return [swept[k] for k in wanted]


def _of_program(args: Sequence[Any], _: Mapping[str, Any]) -> Network:
    return Network(args[0].tree, as_operands(args[1:]), range(1, len(args)), args[0].dtype)


def _of_expr(args: Sequence[Any], options: Mapping[str, Any]) -> Network:
    return _planned(args[0], as_operands(args[1:]), range(1, len(args)), options)


def _of_expression(args: Sequence[Any], _: Mapping[str, Any]) -> Network:
    tree, operands, positions, dtype = args[0].network(as_operands(args[1:]))
    places: list[int | None] = [None] * len(operands)
    for place, position in enumerate(positions, start=1):
        places[position] = place
    return Network(tree, operands, places, dtype)


def _of_einsum(args: Sequence[Any], options: Mapping[str, Any]) -> Network:
    equation: Any = args[0]
    places = range(1, len(args))
    if not isinstance(equation, str):
        equation = parse_einsum(args)[0]
        places = range(0, len(args) - len(args) % 2, 2)
    operands = as_operands([args[k] for k in places])
    expr = _bound(equation, tuple([x.shape for x in operands]))
    return _planned(expr, operands, places, options)


@lru_cache(maxsize=256)
def _bound(equation: str | Equation, shapes: tuple[tuple[int, ...], ...]) -> Expr:
    parsed = parse_einsum((equation, *shapes))[0] if isinstance(equation, str) else equation
    return bind_equation(parsed, shapes)[0]


def _planned(
    expr: Expr, operands: Sequence[Any], places: Sequence[int], options: Mapping[str, Any]
) -> Network:
    """The network with the tree along which the contraction is made: it is in the cache."""
    casting = options.get("casting", "same_kind")
    dtype = result_dtype([x.dtype for x in operands], options.get("dtype"), casting)
    chosen = {name: options[name] for name in _PLANNED if name in options}
    return Network(find_program(expr, dtype, **chosen).tree, operands, places, dtype)


def _tensordot_pull(
    g: Any, _: Any, needed: list[bool], args: Sequence[Any], __: Mapping[str, Any]
) -> Sequence[Any]:
    (a, b), axes = as_operands(args[:2]), args[2]
    ours, theirs = _pairs(len(a.shape), len(b.shape), axes)
    free = [k for k in range(len(a.shape)) if k not in ours]
    others = [k for k in range(len(b.shape)) if k not in theirs]
    places = list(range(len(free) + len(others)))
    of_a = of_b = None
    if needed[0]:
        made = tensordot(g, conj(b), (places[len(free) :], others))
        of_a = _in_order(made, [*free, *[ours[theirs.index(k)] for k in sorted(theirs)]])
    if needed[1]:
        made = tensordot(conj(a), g, (free, places[: len(free)]))
        of_b = _in_order(made, [*[theirs[ours.index(k)] for k in sorted(ours)], *others])
    return of_a, of_b, None


def _in_order(made: Any, axes: list[int]) -> Any:
    """A tensor whose axis k is axis ``axes[k]`` of what is sought, put in order; a view."""
    if axes == sorted(axes):
        return made
    return transpose(made, tuple(np.argsort(axes).tolist()))


def _pairs(a_rank: int, b_rank: int, axes: Any) -> tuple[list[int], list[int]]:
    """The axes that a tensordot sums, on a and on b, none negative."""
    if np.ndim(axes) == 0 and not isinstance(axes, (list, tuple)):
        return list(range(a_rank - int(axes), a_rank)), list(range(int(axes)))
    left, right = [np.atleast_1d(each).tolist() for each in axes]
    return [k % a_rank for k in left], [k % b_rank for k in right]


joint_rule(tensordot, _tensordot_pull)
_give_rule(einsum, _of_einsum, einsum)
_give_rule(contract_operands, _of_expr, contract_operands)
_give_rule(run_operands, _of_program, run_operands)
_give_rule(call_expression, _of_expression, call_expression)
