"""Rules of contractions: of pairs, and of whole networks by one sweep over the contraction tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ...api import contract_expr, einsum, tensordot
from ...arrays import result_dtype
from ...expr import Equation, Expr, bind_equation, from_labels, parse_einsum
from ...expression import call_expression
from ...ops import conj, reshape, transpose
from ...planner import Tree
from ...program import run_operands
from ...road import contract_operands, find_program
from .registry import joint_rule

__all__ = ["network_gradients"]

_PLANNED = ("optimize", "seed", "memory_limit", "max_entries", "minimize")


def network_gradients(
    tree: Tree, operands: Sequence[Any], g: Any, needed: Sequence[bool]
) -> list[Any]:
    """The cotangents of the operands of a contraction, by one sweep over its tree.

    The cotangent of one side of a step is that of its result contracted with the conjugate of the
    other side, so the sweep takes at most twice the multiply-adds of the contraction, besides those
    to make its intermediate results again.

    Args:
        tree: of the contraction; its slices do not matter.
        operands: arrays or Tensors; an axis of extent 1 may stand for an index that is stretched.
        g: cotangent of the result.
        needed: for which operands a cotangent is made; the others get None.
    """
    steps = _steps(Tree(tree.expr, tree.steps))
    sizes = tree.expr.sizes
    wanted = list(needed)
    values = [_fitting(x, term, sizes) for x, term in zip(operands, tree.expr.inputs)]
    for step in steps:
        wanted.append(wanted[step.a] or wanted[step.b])
    for step in steps[:-1]:
        values.append(_contracted((step.left, step.right), step.result, sizes, _pair(values, step)))
    cotangents: dict[int, Any] = {}
    if not steps:
        last = Step(0, 0, tree.expr.inputs[0], (), tree.expr.output)
        return [_pulled(last, g, last.left, None, (), sizes) if needed[0] else None]
    cotangents[len(operands) + len(steps) - 1] = g
    for k in reversed(range(len(steps))):
        step = steps[k]
        arrived = cotangents.pop(len(operands) + k, None)
        if arrived is None:
            continue
        a, b = values[step.a], values[step.b]
        if wanted[step.a]:
            cotangents[step.a] = _pulled(step, arrived, step.left, b, step.right, sizes)
        if wanted[step.b]:
            cotangents[step.b] = _pulled(step, arrived, step.right, a, step.left, sizes)
        del values[len(operands) + k :]
    return [reshape(cotangents[k], x.shape) if wanted[k] else None for k, x in enumerate(operands)]


class Step(NamedTuple):
    """One step of a tree: two values, the indices of both and of the result."""

    a: int
    b: int
    left: tuple[int, ...]
    right: tuple[int, ...]
    result: tuple[int, ...]


@lru_cache(maxsize=256)
def _steps(tree: Tree) -> tuple[Step, ...]:
    return tuple(
        [Step(*pair, *terms) for pair, terms in zip(tree.steps, tree.step_terms(), strict=True)]
    )


def _pair(values: Sequence[Any], step: Step) -> tuple[Any, Any]:
    return values[step.a], values[step.b]


def _pulled(
    step: Step, g: Any, term: tuple[int, ...], other: Any, other_term: tuple[int, ...], sizes: Any
) -> Any:
    """The cotangent of the value with the indices `term`, whose sibling in the step is `other`."""
    terms: list[tuple[Any, ...]] = [step.result]
    operands = [g]
    if other is not None:
        terms.append(other_term)
        operands.append(conj(other))
    known = {*step.result, *other_term}
    real = g.dtype.type(0).real.dtype
    output: list[Any] = []
    for i in term:
        if i in output:  # a diagonal
            copy = ("copy", i, len(output))
            terms.append((i, copy))
            operands.append(np.eye(sizes[i], dtype=real))
            output.append(copy)
            continue
        if i not in known:  # it was summed on its own
            terms.append((i,))
            operands.append(np.ones(sizes[i], real))
        output.append(i)
    return _contracted(terms, output, sizes, operands)


def _contracted(terms: Sequence[Any], output: Sequence[Any], sizes: Any, operands: Any) -> Any:
    extents = {i: sizes[i[1] if isinstance(i, tuple) else i] for term in terms for i in term}
    return contract_expr(from_labels(terms, output, extents), operands)


def _fitting(operand: Any, term: Sequence[int], sizes: Sequence[int]) -> Any:
    """An operand without the axes of extent 1 that its term does not have."""
    return (
        operand if len(operand.shape) == len(term) else reshape(operand, [sizes[i] for i in term])
    )


def _no_exponent(options: Mapping[str, Any]) -> None:
    if options.get("strip_exponent"):
        raise TypeError("a contraction with strip_exponent has no gradient: leave it out")


def _program_pull(
    g: Any, _: Any, needed: list[bool], args: Sequence[Any], __: Mapping[str, Any]
) -> Sequence[Any]:
    _no_exponent({"strip_exponent": args[0].strip_exponent})
    return [None, *network_gradients(args[0].tree, args[1:], g, needed[1:])]


def _expr_pull(
    g: Any, _: Any, needed: list[bool], args: Sequence[Any], options: Mapping[str, Any]
) -> Sequence[Any]:
    _no_exponent(options)
    tree = _tree_of(args[0], args[1:], options)
    return [None, *network_gradients(tree, args[1:], g, needed[1:])]


def _expression_pull(
    g: Any, _: Any, needed: list[bool], args: Sequence[Any], __: Mapping[str, Any]
) -> Sequence[Any]:
    _no_exponent({"strip_exponent": isinstance(g, list)})
    tree, operands, positions = args[0].network(args[1:])
    wanted = [False] * len(operands)
    for k, position in enumerate(positions):
        wanted[position] = needed[k + 1]
    found = network_gradients(tree, operands, g, wanted)
    return [None, *[found[position] for position in positions]]


def _einsum_pull(
    g: Any, _: Any, needed: list[bool], args: Sequence[Any], options: Mapping[str, Any]
) -> Sequence[Any]:
    _no_exponent(options)
    if isinstance(args[0], str):
        positions = list(range(1, len(args)))
        equation: Any = args[0]
    else:
        positions = list(range(0, len(args) - len(args) % 2, 2))
        equation, _given = parse_einsum(args)
    operands = [args[k] for k in positions]
    expr = _bound(equation, tuple([x.shape for x in operands]))
    found = network_gradients(
        _tree_of(expr, operands, options), operands, g, [needed[k] for k in positions]
    )
    cotangents: list[Any] = [None] * len(args)
    for k, each in zip(positions, found):
        cotangents[k] = each
    return cotangents


@lru_cache(maxsize=256)
def _bound(equation: str | Equation, shapes: tuple[tuple[int, ...], ...]) -> Expr:
    parsed = parse_einsum((equation, *shapes))[0] if isinstance(equation, str) else equation
    return bind_equation(parsed, shapes)[0]


def _tree_of(expr: Expr, operands: Sequence[Any], options: Mapping[str, Any]) -> Tree:
    """The tree along which the contraction was made: it is in the cache."""
    dtype = result_dtype([x.dtype for x in operands], options.get("dtype"), "same_kind")
    chosen = {name: options[name] for name in _PLANNED if name in options}
    return find_program(expr, dtype, **chosen).tree


def _tensordot_pull(
    g: Any, _: Any, needed: list[bool], args: Sequence[Any], __: Mapping[str, Any]
) -> Sequence[Any]:
    a, b, axes = args
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
joint_rule(einsum, _einsum_pull)
joint_rule(contract_operands, _expr_pull)
joint_rule(run_operands, _program_pull)
joint_rule(call_expression, _expression_pull)
