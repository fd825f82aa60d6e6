"""Contraction paths as others write them, turned into pairwise SSA steps and back.

A linear path (NumPy, opt_einsum) names positions in a list that shrinks: operands named by a step
leave it, the result joins at the end. An SSA path names tensors for good: operands are
``0 .. N-1``, step ``t`` makes ``N + t``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from math import inf
from operator import index as as_int
from typing import Any

from ..errors import PlanError
from ..expr import Expr
from . import _search

__all__ = ["linear_from_ssa", "pairs_from_groups", "read_groups", "ssa_from_linear"]

Steps = tuple[tuple[int, int], ...]


class _Places:
    """Which ids are still listed, by position: a Fenwick tree, O(log n) per question."""

    def __init__(self, n: int, room: int) -> None:
        self._size = 1 << max(room, 1).bit_length()
        counts = [0] + [1] * n + [0] * (self._size - n)
        for i in range(1, self._size + 1):
            up = i + (i & -i)
            if up <= self._size:
                counts[up] += counts[i]
        self._counts = counts

    def add(self, place: int, change: int) -> None:
        """List (+1) or strike (-1) the id `place`."""
        counts, size, i = self._counts, self._size, place + 1
        while i <= size:
            counts[i] += change
            i += i & -i

    def rank(self, place: int) -> int:
        """How many listed ids are smaller than `place`."""
        counts, i, total = self._counts, place, 0
        while i:
            total += counts[i]
            i &= i - 1
        return total

    def select(self, rank: int) -> int:
        """The listed id with `rank` smaller ones."""
        counts, i, step = self._counts, 0, self._size
        while step:
            if i + step <= self._size and counts[i + step] <= rank:
                i += step
                rank -= counts[i]
            step >>= 1
        return i


def read_groups(path: Iterable[Any]) -> list[tuple[int, ...]]:
    """The steps of a path as tuples of ints; NumPy's leading "einsum_path" is dropped.

    Raises:
        PlanError: a step is not a group of whole numbers.
    """
    groups = []
    for number, step in enumerate(path):
        if number == 0 and isinstance(step, str) and step == "einsum_path":
            continue
        try:
            groups.append(tuple([as_int(x) for x in step]))
        except TypeError:
            raise PlanError(
                f"step {number} of the path is {step!r}: each step is a tuple of operand numbers"
            ) from None
    return groups


def ssa_from_linear(groups: Sequence[tuple[int, ...]], n: int) -> list[tuple[int, ...]]:
    """Turn positions into SSA numbers.

    Raises:
        PlanError: a position beyond the list, or twice in one step.

    >>> ssa_from_linear([(1, 2), (0, 1)], 3)
    [(1, 2), (0, 3)]
    """
    places = _Places(n, n + len(groups))
    listed, result = n, []
    for t, group in enumerate(groups):
        for position in group:
            if not 0 <= position < listed:
                raise PlanError(
                    f"step {t} of the path names position {position}, but {listed} operands "
                    f"are left at that step"
                )
        if not group:
            raise PlanError(f"step {t} of the path is empty: name at least one operand")
        if len(set(group)) != len(group):
            raise PlanError(f"step {t} of the path is {group}: name each position once")
        ids = tuple([places.select(position) for position in group])
        for i in ids:
            places.add(i, -1)
        places.add(n + t, 1)
        listed -= len(group) - 1
        result.append(ids)
    return result


def linear_from_ssa(steps: Steps, n: int) -> list[tuple[int, ...]]:
    """Turn pairwise SSA steps into an opt_einsum path, in O(n log n).

    >>> linear_from_ssa(((1, 2), (0, 3)), 3)
    [(1, 2), (0, 1)]
    """
    places = _Places(n, n + len(steps))
    path: list[tuple[int, ...]] = []
    for t, (a, b) in enumerate(steps):
        x, y = places.rank(a), places.rank(b)
        path.append((x, y) if x < y else (y, x))
        places.add(a, -1)
        places.add(b, -1)
        places.add(n + t, 1)
    return path


def pairs_from_groups(expr: Expr, groups: Sequence[tuple[int, ...]]) -> Steps:
    """Turn SSA steps over any number of operands into N - 1 pairwise ones.

    A step over one operand only renames it; a step over more than two leaves their order to the
    planner, as does a path that stops early.

    Raises:
        PlanError: an operand that does not exist, or is used twice.
    """
    unused = [True] * len(expr.inputs)
    for t, group in enumerate(groups):
        if not group:
            raise PlanError(f"step {t} of the path is empty: name at least one operand")
        for i in group:
            if not 0 <= i < len(unused):
                raise PlanError(
                    f"step {t} of the path names operand {i}, but only {len(unused)} exist by then"
                )
            if not unused[i]:
                raise PlanError(f"step {t} of the path names operand {i}, which is already used")
            unused[i] = False
        unused.append(True)
    if all(len(group) == 2 for group in groups) and sum(unused) <= 1:
        return tuple([(a, b) for a, b in groups])
    return _pairwise(expr, groups)


class _Grouped:
    """Contracts groups of tensors one after the other, each in an order of our own."""

    def __init__(self, expr: Expr) -> None:
        self._n = len(expr.inputs)
        self._sizes = expr.sizes
        self._count = [0] * len(expr.sizes)  # holders of each index, the output among them
        self.terms = {k: sorted(set(term)) for k, term in enumerate(expr.inputs)}
        self.steps: list[tuple[int, int]] = []
        for held in (*self.terms.values(), expr.output):
            for i in held:
                self._count[i] += 1

    def contract(self, members: Sequence[int]) -> int:
        """Contract the tensors `members`; returns the SSA number of the result."""
        inputs = tuple([tuple(self.terms.pop(m)) for m in members])
        times = Counter(chain.from_iterable(inputs))
        kept = [i for i, held in times.items() if self._count[i] > held]
        for i, held in times.items():
            self._count[i] -= held - (self._count[i] > held)
        base, k = self._n + len(self.steps), len(members)
        for pair in _order(inputs, tuple(kept), self._sizes):
            a, b = [members[x] if x < k else base + x - k for x in pair]
            self.steps.append((a, b))
        result = self._n + len(self.steps) - 1
        self.terms[result] = kept
        return result


def _order(
    inputs: tuple[tuple[int, ...], ...], output: tuple[int, ...], sizes: Sequence[int]
) -> Steps:
    """Pairwise steps for a few operands of a larger network."""
    if len(inputs) == 2:
        return ((0, 1),)
    number: dict[int, int] = {}
    terms = tuple([tuple([number.setdefault(i, len(number)) for i in term]) for term in inputs])
    extents = tuple([sizes[i] for i in number])
    out = tuple([number[i] for i in output])
    return _search.search(terms, out, extents, "auto", 0, 0, inf, 1)


def _pairwise(expr: Expr, groups: Sequence[tuple[int, ...]]) -> Steps:
    """`pairs_from_groups` for checked groups of any length."""
    network = _Grouped(expr)
    name = list(range(len(expr.inputs)))  # number in the path -> SSA number
    for group in groups:
        members = [name[i] for i in group]
        name.append(members[0] if len(members) == 1 else network.contract(members))
    if len(network.terms) > 1:
        network.contract(list(network.terms))
    return tuple(network.steps)
