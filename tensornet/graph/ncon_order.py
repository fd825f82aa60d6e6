"""ncon_solver: the order in which `ncon` should sum the labels of a network."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from math import log10
from typing import Any

from ..expr import parse_ncon
from ..planner import Tree, search
from ..planner._search import MAX_EXACT
from ..tape import as_operands

__all__ = ["ncon_solver"]

Label = int | str

_QUICK = 12  # tensors whose orders are all searched in milliseconds


def ncon_solver(
    tensors: Sequence[Any],
    labels: Sequence[Sequence[Label]],
    max_branch: int | None = None,
) -> tuple[list[Label], float, bool]:
    """Find a good order of summation for `tensornet.ncon`, without contracting.

    Args:
        tensors: arrays or Tensors, of which only the shapes matter.
        labels: a list of labels per tensor, as for `ncon`.
        max_branch: None searches all orders of a network of at most 18 tensors, which may take
            seconds, a number those of at most 12; for larger ones the planner chooses a search.

    Returns:
        the summed labels in the order found, for ``ncon(con_order=)``; log10 of the multiply-adds
        of contracting in this order (-inf if there are none); True if no order whatsoever, outer
        products included, takes fewer.

    Raises:
        ShapeError: labels and shapes that do not fit together.

    An exhaustive search takes time exponential in the number of tensors, others about linear.

    >>> import numpy as np
    >>> a, b, c = np.ones((2, 3)), np.ones((3, 4)), np.ones(4)
    >>> order, cost, is_optimal = ncon_solver([a, b, c], [[-1, 1], [1, 2], [2]])
    >>> order, round(10**cost), is_optimal
    ([2, 1], 18, True)
    """
    shapes = [operand.shape for operand in as_operands(tensors)]
    expr, _ = parse_ncon(shapes, labels)
    exact = len(shapes) <= (MAX_EXACT if max_branch is None else _QUICK)
    tree = search(expr, "optimal" if exact else "auto")
    names = list(dict.fromkeys(chain.from_iterable(labels)))
    order = [names[i] for i in _order_of_sums(tree)]
    _, path = parse_ncon(shapes, labels, con_order=order)
    macs = tree.macs if path is None else Tree.from_ssa_path(expr, path).macs
    cost = log10(macs) if macs else float("-inf")
    return order, cost, exact and macs == tree.macs


def _order_of_sums(tree: Tree) -> list[int]:
    """The index ids that are summed, in the order in which the tree sums them."""
    holders: dict[int, int] = {}
    for term in tree.expr.inputs:
        for i in dict.fromkeys(term):
            holders[i] = holders.get(i, 0) + 1
    kept = set(tree.expr.output)
    order = [i for i, count in holders.items() if count == 1 and i not in kept]
    for left, right, result in tree.step_terms():
        remaining = {*result, *order}
        order += [i for i in dict.fromkeys((*left, *right)) if i not in remaining]
    return order
