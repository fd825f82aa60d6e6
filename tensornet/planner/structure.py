"""The structure of a network: what is left of it without the names of its indices."""

from __future__ import annotations

from typing import NamedTuple

from ..expr import Expr
from ._search import canonical
from .tree import Tree

__all__ = ["Structure", "structure"]


class Structure(NamedTuple):
    """The one network that stands for all that differ only in index ids and in orders of axes.

    Attributes:
        expr: the same for all of them.
        ids: the index of this network that each index of `expr` is.
    """

    expr: Expr
    ids: tuple[int, ...]

    def translate(self, expr: Expr, tree: Tree) -> Tree:
        """A tree of the structure as one of the network `expr`, from which it was taken."""
        if expr == tree.expr:
            return tree
        return Tree(expr, tree.steps, tuple([self.ids[i] for i in tree.sliced]))


def structure(expr: Expr) -> Structure:
    """Forget the ids of indices, the order of axes within operands, and that of the output.

    An index is known by the operands that it is on, by its extent and by being summed or not;
    indices that agree in all of this can be exchanged. So they are numbered in the order of these
    signatures. Takes O(L log L) for L axes of all operands, if none has thousands.

    >>> one = Expr(((0, 1), (1, 2)), (2, 0), (2, 3, 4))
    >>> other = Expr(((2, 1), (0, 2)), (1, 0), (4, 2, 3))
    >>> structure(one).expr == structure(other).expr
    True
    """
    inputs, output, ids = canonical(expr.inputs, expr.output, expr.sizes)
    return Structure(Expr(inputs, output, tuple([expr.sizes[i] for i in ids])), ids)
