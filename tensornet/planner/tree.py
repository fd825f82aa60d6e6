"""Tree: a contraction order with its exact costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from math import log2, prod
from operator import index as as_int
from typing import Any

from ..errors import PlanError
from ..expr import Expr
from ._search import tree_costs
from .paths import Steps, linear_from_ssa, pairs_from_groups, read_groups, ssa_from_linear

__all__ = ["Tree", "unwrapped"]

Term = tuple[int, ...]


@dataclass(frozen=True)
class Tree:
    """A pairwise contraction order of a network, and the indices that are sliced.

    Attributes:
        expr: the network.
        steps: ``(a, b)`` per step in SSA form: operands are ``0 .. N-1``, step ``t`` makes tensor
            ``N + t``; exactly ``N - 1`` steps for ``N >= 1`` operands.
        sliced: index ids that an outer loop runs over, outermost first.

    An index is summed at the step after which neither the output nor a remaining tensor has it,
    however many tensors it was on. All costs are exact integers, found once in O(total indices).

    >>> expr = Expr(inputs=((0, 1), (1, 2), (2,)), output=(0,), sizes=(2, 3, 4))
    >>> tree = Tree.from_path(expr, [(1, 2), (0, 1)])
    >>> tree.steps, tree.macs, tree.max_size
    (((1, 2), (0, 3)), 18, 3)
    """

    expr: Expr
    steps: Steps
    sliced: Term = ()

    @classmethod
    def from_path(cls, expr: Expr, path: Iterable[Sequence[int]]) -> Tree:
        """Take a linear path as opt_einsum and NumPy write them.

        Steps over one operand are accepted; steps over more than two, and operands that the path
        leaves over, are put in an order of our own.

        Raises:
            PlanError: the path does not fit the network.
        """
        groups = ssa_from_linear(read_groups(path), len(expr.inputs))
        return cls(expr, pairs_from_groups(expr, groups))

    @classmethod
    def from_ssa_path(cls, expr: Expr, ssa_path: Iterable[Sequence[int]]) -> Tree:
        """Take a path in SSA form; the same liberties as `from_path`.

        Raises:
            PlanError: the path does not fit the network.
        """
        return cls(expr, pairs_from_groups(expr, read_groups(ssa_path)))

    @cached_property
    def _hash(self) -> int:
        return hash((self.expr, self.steps, self.sliced))

    def __hash__(self) -> int:
        return self._hash

    def step_terms(self) -> Iterator[tuple[Term, Term, Term]]:
        """Yield the index ids of (left, right, result) for each step, within one slice.

        Sliced indices are left out. An operand of the network keeps its own axes, repeats
        included; a result has the kept indices of left, then of right; the last result has the
        order of the output.
        """
        count, sliced = self._holders()
        inputs = self.expr.inputs
        terms: list[Term] = [tuple([i for i in t if i not in sliced]) for t in inputs]
        last = len(self.steps) - 1
        for t, (a, b) in enumerate(self.steps):
            left, right = terms[a], terms[b]
            terms[a] = terms[b] = ()
            union = dict.fromkeys(left)
            for i in dict.fromkeys(right):
                if i in union:
                    count[i] -= 1
                else:
                    union[i] = None
            result = tuple([i for i in union if count[i] > 1])
            if t == last:
                result = tuple([i for i in self.expr.output if i not in sliced])
            terms.append(result)
            yield left, right, result

    def _holders(self) -> tuple[list[int], frozenset[int]]:
        """How many tensors hold each index (the output counts as one), and the sliced ones."""
        count = [0] * len(self.expr.sizes)
        for term in self.expr.inputs:
            for i in set(term):
                count[i] += 1
        for i in self.expr.output:
            count[i] += 1
        return count, frozenset(self.sliced)

    @cached_property
    def _costs(self) -> tuple[int, int, int]:
        """Multiply-adds and largest result of one slice, and macs that no slice changes.

        A small tensor on a large one costs the small one's indices only.
        """
        expr = self.expr
        if not self.steps:
            return 0, prod([expr.sizes[i] for i in expr.output if i not in self.sliced]), 0
        return tree_costs(expr.inputs, expr.output, expr.sizes, self.steps, self.sliced)

    @cached_property
    def n_slices(self) -> int:
        """How many slices the outer loop runs over; 1 if nothing is sliced."""
        return prod([self.expr.sizes[i] for i in self.sliced])

    @property
    def macs(self) -> int:
        """Scalar multiply-adds over all steps and slices.

        A step takes the product of the extents of both operands' indices, after summing those
        that live on one operand only.
        """
        return self._costs[0] * self.n_slices

    @property
    def hoisted_macs(self) -> int:
        """Multiply-adds when steps that no sliced index reaches are made once for all slices.

        >>> expr = Expr(((0, 1), (1, 2), (2, 3)), (0, 3), (2, 2, 2, 2))
        >>> tree = Tree(expr, ((0, 1), (3, 2)), sliced=(3,))
        >>> tree.macs, tree.hoisted_macs
        (24, 16)
        """
        macs, _, once = self._costs
        return (macs - once) * self.n_slices + once

    @property
    def max_size(self) -> int:
        """Entries of the largest intermediate or output within one slice."""
        return self._costs[1]

    @property
    def width(self) -> float:
        """log2 of `max_size`; 0 for empty results."""
        return log2(max(self.max_size, 1))

    @cached_property
    def path(self) -> list[tuple[int, ...]]:
        """The order as a linear opt_einsum path."""
        if len(self.expr.inputs) == 1:
            return [(0,)]
        return linear_from_ssa(self.steps, len(self.expr.inputs))

    @property
    def ssa_path(self) -> Steps:
        """The order in SSA form."""
        return self.steps

    def to_dict(self) -> dict[str, Any]:
        """The tree as plain lists and ints, for JSON.

        >>> Tree(Expr(((0,), (0,)), (), (2,)), ((0, 1),)).to_dict()["steps"]
        [[0, 1]]
        """
        return {
            "inputs": [list(term) for term in self.expr.inputs],
            "output": list(self.expr.output),
            "sizes": list(self.expr.sizes),
            "steps": [list(step) for step in self.steps],
            "sliced": list(self.sliced),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Tree:
        """Rebuild a tree from `to_dict` data.

        Raises:
            PlanError: something is missing or does not describe a tree.
        """
        try:
            inputs = tuple([tuple([as_int(i) for i in term]) for term in data["inputs"]])
            output = tuple([as_int(i) for i in data["output"]])
            sizes = tuple([as_int(s) for s in data["sizes"]])
            sliced = tuple([as_int(i) for i in data["sliced"]])
            groups = read_groups(data["steps"])
        except (KeyError, TypeError, ValueError) as error:
            raise PlanError(f"the data does not describe a tree: {error!r}") from None
        _check_indices(inputs, output, sizes, sliced)
        if any(len(group) != 2 for group in groups) or len(groups) != max(len(inputs) - 1, 0):
            raise PlanError(
                f"{len(groups)} steps for {len(inputs)} operands: a tree has pairwise steps, one "
                f"fewer than operands"
            )
        expr = Expr(inputs, output, sizes)
        return cls(expr, pairs_from_groups(expr, groups), sliced)


def unwrapped(given: Any) -> Any:
    """The Tree of a Plan; anything else as it is.

    An optimizer may have a `tree`, too, but of the network that it saw last, if it saw any.
    """
    tree = None if callable(given) else getattr(given, "tree", None)
    return tree if isinstance(tree, Tree) else given


def _check_indices(inputs: Sequence[Term], output: Term, sizes: Term, sliced: Term) -> None:
    """Raise PlanError unless these index ids and extents are a network and its slices."""
    held = set(chain.from_iterable(inputs))
    for i in held.difference(range(len(sizes))):
        raise PlanError(f"index {i} of inputs has no extent: {len(sizes)} are given")
    for i, extent in enumerate(sizes):
        if not 0 <= extent < 2**63:
            raise PlanError(f"index {i} has extent {extent}, which no axis can have")
    for what, ids in (("output", output), ("sliced", sliced)):
        for i in set(ids) - held:
            raise PlanError(f"index {i} of {what} is on no operand")
        if len(set(ids)) != len(ids):
            raise PlanError(f"{what} names an index twice: {list(ids)}")
