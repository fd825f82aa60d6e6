"""The sweep back over a contraction tree, in operations: what higher derivatives go through."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ...api import contract_expr
from ...expr import from_labels
from ...ops import conj
from ...planner import Tree

__all__ = ["network_gradients"]


def network_gradients(
    tree: Tree, operands: Sequence[Any], g: Any, needed: Sequence[bool]
) -> list[Any]:
    """The cotangents of the operands of a contraction, by one sweep over its tree.

    The cotangent of one side of a step is that of its result contracted with the conjugate of the
    other side, so the sweep takes at most twice the multiply-adds of the contraction, besides those
    to make its intermediate results again.

    Args:
        tree: of the contraction; its slices do not matter.
        operands: arrays or Tensors, of the shapes of the network.
        g: cotangent of the result.
        needed: for which operands a cotangent is made; the others get None.
    """
    steps = _steps(Tree(tree.expr, tree.steps))
    sizes = tree.expr.sizes
    wanted = list(needed)
    values = list(operands)
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
    return [cotangents.get(k) for k in range(len(operands))]


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
