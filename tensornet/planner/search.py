"""search: from a network and any accepted `optimize=` to a tree."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from math import inf
from numbers import Integral, Real
from typing import Any

from ..config import get_num_threads
from ..errors import PlanError
from ..expr import Expr
from . import _search
from .cache import Found, Request, recall, remember
from .tree import Tree

__all__ = ["search"]

_OURS = {"auto": "auto", "tensornet": "auto", "greedy": "greedy", "random-greedy": "random-greedy"}
_TRIVIAL: tuple[tuple[tuple[int, int], ...], ...] = ((), (), ((0, 1),))


def search(
    expr: Expr,
    optimize: Any = "auto",
    *,
    seed: int = 0,
    max_time: float | None = None,
    max_steps: int | None = None,
    memory_limit: int | None = None,
    progress: bool = False,
    cache: str | os.PathLike[str] | None = None,
) -> Tree:
    """Find a contraction order.

    Args:
        expr: the network; any number of tensors, hyperedges included.
        optimize: "auto" (exact for small networks, else a portfolio that searches as long as the
            contraction is worth it), "greedy", "random-greedy"; any other name that opt_einsum
            knows; True, False or None (all "auto"); a linear path; an opt_einsum or cotengra
            optimizer; a finished cotengra tree; a `Tree`, or an object with one as its ``tree``.
        seed: names the tree that our searches find, the same for any number of threads.
        max_time: seconds to search. Such a search may find another tree on another run.
        max_steps: greedy samples to draw (and proportional annealing for "auto").
        memory_limit: entries of the largest intermediate; only passed on to other optimizers.
        progress: report the time spent on stderr while searching.
        cache: a folder in which our searches keep their best trees, see `cache.remember`; by
            default the one that the environment variable TENSORNET_PLAN_CACHE names, if any.

    Raises:
        PlanError: an unknown name, or a path or tree that does not fit the network.

    >>> expr = Expr(inputs=((0, 1), (1, 2), (2, 3)), output=(0, 3), sizes=(9, 2, 9, 2))
    >>> search(expr).steps
    ((1, 2), (0, 3))
    """
    if optimize is None or isinstance(optimize, bool):
        optimize = "auto"
    if not isinstance(optimize, str):
        return _search_with(expr, optimize, memory_limit)
    mode = _OURS.get(optimize)
    if mode is None:
        return _search_elsewhere(expr, optimize, memory_limit)
    n = len(expr.inputs)
    if n < 3:
        return Tree(expr, _TRIVIAL[n])
    request = _request(mode, seed, max_time, max_steps)
    end = inf if request.max_time is None else time.monotonic() + request.max_time

    def find(structure: Expr) -> Found:
        return Found(Tree(structure, _run(structure, request, end, progress)))

    if mode == "greedy":  # takes less time than a search for what it found before
        return recall((expr, request), lambda: find(expr).tree)
    return remember(expr, request, find, _macs, cache)


def _macs(tree: Tree) -> int:
    return tree.macs


def _request(mode: str, seed: int, max_time: float | None, max_steps: int | None) -> Request:
    """The request that these arguments make, if they are of the right kinds."""
    if max_time is not None and not (isinstance(max_time, Real) and max_time >= 0):
        raise PlanError(f"max_time is {max_time!r}: give a number of seconds")
    if not isinstance(seed, Integral):
        raise PlanError(f"seed is {seed!r}: give a whole number")
    if max_steps is not None and not (isinstance(max_steps, Integral) and 0 < max_steps < 1 << 40):
        raise PlanError(f"max_steps is {max_steps!r}: give a whole number of samples, at least 1")
    seconds = None if max_time is None else float(max_time)
    return Request(mode, "macs", int(seed) & 0xFFFFFFFFFFFFFFFF, seconds, max_steps)


def _run(expr: Expr, request: Request, end: float, progress: bool) -> tuple[tuple[int, int], ...]:
    report = _Reporter() if progress else None
    try:
        return _search.search(
            expr.inputs,
            expr.output,
            expr.sizes,
            request.name,
            request.seed,
            request.max_steps or 0,
            max(0.0, end - time.monotonic()),
            get_num_threads(),
            report,
        )
    finally:
        if report is not None:
            report.finish()


def _search_elsewhere(expr: Expr, name: str, memory_limit: int | None) -> Tree:
    """A name of opt_einsum's, looked up only when one is used: importing it takes a while."""
    from .foreign import search_by_name

    key = (expr, name, memory_limit)
    return recall(key, lambda: search_by_name(expr, name, memory_limit))


def _search_with(expr: Expr, given: Any, memory_limit: int | None) -> Tree:
    """Everything that is not a name."""
    if isinstance(given, Tree):
        return _fit(expr, given)
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], str):
        # NumPy's (name, entries of the largest intermediate)
        return search(expr, given[0], memory_limit=given[1])
    if isinstance(given, Sequence):
        return Tree.from_path(expr, given)
    if not callable(given):  # an optimizer's `tree` may not exist yet
        tree = getattr(given, "tree", None)
        if isinstance(tree, Tree):
            return _fit(expr, tree)
    from .foreign import is_optimizer, search_with

    if is_optimizer(given):
        return search_with(expr, given, memory_limit)
    raise PlanError(
        f"optimize={given!r} is neither a name, a path, an optimizer, a Tree nor a Plan"
    )


def _fit(expr: Expr, tree: Tree) -> Tree:
    """The tree for this network: its own if it was made for it, else its steps."""
    if tree.expr == expr:
        return tree
    if len(tree.expr.inputs) != len(expr.inputs):
        raise PlanError(
            f"the given plan is for {len(tree.expr.inputs)} operands, the network has "
            f"{len(expr.inputs)}"
        )
    return Tree(expr, tree.steps)


class _Reporter:
    """Writes the seconds spent so far to stderr, about once a second."""

    def __init__(self, write: Callable[[str], object] | None = None) -> None:
        self._start = self._last = time.monotonic()
        self._write = sys.stderr.write if write is None else write
        self._wrote = False

    def __call__(self) -> None:
        now = time.monotonic()
        if now - self._last >= 1.0:
            self._last = now
            self._wrote = True
            self._write(f"\rplanning: {now - self._start:.0f} s")

    def finish(self) -> None:
        """End the line."""
        if self._wrote:
            self._write("\n")
