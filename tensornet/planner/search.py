"""search: from a network and any accepted `optimize=` to a tree."""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from math import inf, log10
from numbers import Integral, Real
from typing import Any

from ..config import get_num_threads
from ..errors import MemoryLimitError, PlanError
from ..expr import Expr
from . import _search
from .cache import Found, Request, recall, remember
from .objective import Objective, cost, objective_of
from .slicing import MOST_SLICES, slice_tree
from .tree import Tree, unwrapped

__all__ = ["search", "search_seconds"]

_TRIVIAL: tuple[tuple[tuple[int, int], ...], ...] = ((), (), ((0, 1),))
_HYPER_SECONDS = 10.0


def search(
    expr: Expr,
    optimize: Any = "auto",
    *,
    minimize: str = "macs",
    seed: int = 0,
    max_time: float | None = None,
    max_steps: int | None = None,
    memory_limit: int | None = None,
    progress: bool = False,
    cache: str | os.PathLike[str] | None = None,
    stopped: list[BaseException] | None = None,
) -> Tree:
    """Find a contraction order.

    Args:
        expr: the network; any number of tensors, hyperedges included.
        optimize: "auto" (exact for small networks, else a portfolio that searches as long as the
            contraction is worth it, and some milliseconds in any case), "once" (the same without
            these milliseconds, for a contraction that is not repeated), "hyper" (all searches on
            all cores for `max_time`, 10 s unless told otherwise), or one search: "greedy",
            "random-greedy", "min-fill", "min-size" (elimination orders), "bisection", "anneal",
            "optimal" (exact), "dp" (exact but for outer products); any other name that opt_einsum
            knows; True, False or None (all "auto"); a linear path; an opt_einsum or cotengra
            optimizer; a finished cotengra tree; a `Tree`, or an object with one as its ``tree``.
            "auto", "once" and "hyper" put the last step of a network without output indices where
            half of the work is on either side, so that two threads can share it, if values are
            small and that adds less than a thousandth.
        minimize: what our searches make small: "macs", "size" (of the largest result), "write"
            (entries of all results), "combo" (macs + 64 * write; "combo-256" for another factor)
            or "time" (of a run of our kernels, by a model of them).
        seed: names the tree that our searches find, the same for any number of threads.
        max_time: seconds to search. Such a search may find another tree on another run.
        max_steps: samples to draw (and 20,000 annealing moves each for "auto" and "hyper").
        memory_limit: entries of the largest intermediate. "hyper" then searches for the half of
            its time and anneals tree and sliced indices for the other, so that the tree is
            sliced unless that takes more slices than can ever be run; opt_einsum's optimizers
            are told; other searches take no notice.
        progress: report the time spent and the best tree so far on stderr while searching.
        cache: a folder in which our searches keep their best trees, see `cache.remember`; by
            default the one that the environment variable TENSORNET_PLAN_CACHE names, if any.

    Ctrl-C ends a search of ours: with the best tree so far and a RuntimeWarning, or, before there
    is any, with KeyboardInterrupt. Callers that go on from there give a list, `stopped`, to which
    the interruption is appended instead of being warned of; once there is one in it, what finds a
    tree at all is all that is done.

    Raises:
        PlanError: an unknown name, or a path or tree that does not fit the network.

    >>> expr = Expr(inputs=((0, 1), (1, 2), (2, 3)), output=(0, 3), sizes=(9, 2, 9, 2))
    >>> search(expr).steps
    ((1, 2), (0, 3))
    """
    if optimize is None or isinstance(optimize, bool):
        optimize = "auto"
    objective = objective_of(minimize)
    if not isinstance(optimize, str):
        return _search_with(expr, optimize, memory_limit)
    mode = "auto" if optimize == "tensornet" else optimize
    n = len(expr.inputs)
    if mode not in _search.MODES or (mode == "dp" and n > _search.MAX_EXACT):
        return _search_elsewhere(expr, optimize, memory_limit)
    if mode == "optimal" and n > _search.MAX_EXACT:
        raise PlanError(
            f'optimize="optimal" takes at most {_search.MAX_EXACT} operands, not {n}: use "hyper"'
        )
    if n < 3:
        return Tree(expr, _TRIVIAL[n])
    max_time = search_seconds(mode, max_time, max_steps)
    limit = memory_limit if mode == "hyper" else None
    effort = _Effort(seed, max_time, max_steps, progress, [] if stopped is None else stopped)

    def find(structure: Expr) -> Found:
        tree = effort.run(structure, mode, objective, limit)
        return Found(tree, not effort.stopped)

    goal = minimize if limit is None else f"{minimize} within {limit}"
    request = Request(mode, goal, effort.seed, effort.seconds, max_steps)
    if mode == "greedy":  # takes less time than a search for what it found before
        return recall((expr, request), lambda: find(expr).tree)
    tree = remember(expr, request, find, lambda tree: cost(tree, objective), cache)
    if effort.stopped and stopped is None:
        warn_of_interruption(stacklevel=3)
    return tree


def warn_of_interruption(stacklevel: int) -> None:
    """Say that Ctrl-C ended a search whose best tree is returned."""
    message = "the search was interrupted: this is the best contraction order so far"
    warnings.warn(message, RuntimeWarning, stacklevel=stacklevel)


def search_seconds(optimize: Any, max_time: float | None, max_steps: int | None) -> float | None:
    """The seconds that a search of ours with these options is given, None if it is not timed.

    Raises:
        PlanError: `max_time` is no number of seconds.

    >>> search_seconds("hyper", None, None), search_seconds("auto", None, None)
    (10.0, None)
    """
    if not (optimize is None or isinstance(optimize, (bool, str))):
        return None
    if max_time is None:
        return _HYPER_SECONDS if optimize == "hyper" and max_steps is None else None
    if not (isinstance(max_time, Real) and max_time >= 0):
        raise PlanError(f"max_time is {max_time!r}: give a number of seconds")
    return float(max_time)


class _Effort:
    """How long to search, checked, and the interruption that came if one did."""

    def __init__(
        self,
        seed: int,
        max_time: float | None,
        max_steps: int | None,
        progress: bool,
        stopped: list[BaseException],
    ) -> None:
        if not isinstance(seed, Integral):
            raise PlanError(f"seed is {seed!r}: give a whole number")
        if max_steps is not None and not (
            isinstance(max_steps, Integral) and 0 < max_steps < 1 << 40
        ):
            raise PlanError(
                f"max_steps is {max_steps!r}: give a whole number of samples, at least 1"
            )
        self.seed: int = int(seed) & 0xFFFFFFFFFFFFFFFF
        self.seconds: float | None = None if max_time is None else float(max_time)
        self._steps: int = 0 if max_steps is None else int(max_steps)
        self._progress: bool = progress
        self._begin: float = time.monotonic()
        self.stopped: list[BaseException] = stopped

    def run(
        self,
        expr: Expr,
        mode: str,
        objective: Objective,
        limit: int | None,
    ) -> Tree:
        """The tree of a search in C, sliced if there is a limit."""
        seconds = self._left()
        if seconds is not None and limit is not None:
            seconds /= 2
        shown = self._progress and sys.stderr is not None
        report = _Reporter() if shown else None
        try:
            steps = _search.search(
                expr.inputs,
                expr.output,
                expr.sizes,
                mode,
                self.seed,
                self._steps,
                inf if seconds is None else seconds,
                get_num_threads(),
                report,
                objective,
                self.stopped,
            )
        finally:
            if report is not None:
                report.finish()
        tree = Tree(expr, steps)
        if limit is None or tree.max_size <= limit:
            return tree
        try:
            return slice_tree(
                tree,
                limit,
                seed=self.seed,
                max_time=self._left(),
                max_steps=self._steps,
                max_slices=MOST_SLICES,
                stopped=self.stopped,
            )
        except MemoryLimitError:
            return tree

    def _left(self) -> float | None:
        """Seconds that are left of `max_time`."""
        if self.stopped:
            return 0.0
        if self.seconds is None:
            return None
        return max(0.0, self.seconds - (time.monotonic() - self._begin))


def _search_elsewhere(expr: Expr, name: str, memory_limit: int | None) -> Tree:
    """A name of opt_einsum's, looked up only when one is used: importing it takes a while."""
    from .foreign import path_names, search_by_name

    if name not in path_names():
        ours = ", ".join(_search.MODES)
        theirs = ", ".join(sorted(set(path_names()).difference(_search.MODES)))
        raise PlanError(
            f"optimize={name!r} is no path name; use one of {ours}, or of opt_einsum's {theirs}"
        )
    key = (expr, name, memory_limit)
    return recall(key, lambda: search_by_name(expr, name, memory_limit))


def _search_with(expr: Expr, given: Any, memory_limit: int | None) -> Tree:
    """Everything that is not a name."""
    given = unwrapped(given)
    if isinstance(given, Tree):
        return _fit(expr, given)
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], str):
        # NumPy's (name, entries of the largest intermediate)
        return search(expr, given[0], memory_limit=given[1])
    if isinstance(given, Sequence):
        return Tree.from_path(expr, given)
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
    """Writes the seconds spent and the best tree so far to stderr, about once a second."""

    def __init__(self, write: Callable[[str], object] | None = None) -> None:
        self._start = self._last = time.monotonic()
        self._write = sys.stderr.write if write is None else write
        self._wrote = False

    def __call__(self, macs: float = inf, width: float = inf) -> None:
        now = time.monotonic()
        if now - self._last >= 1.0:
            self._last = now
            self._wrote = True
            best = f", log10 macs {macs * log10(2):.2f}, width {width:.1f} " if macs < inf else ""
            self._write(f"\rplanning: {now - self._start:.0f} s{best}")

    def finish(self) -> None:
        """End the line."""
        if self._wrote:
            self._write("\n")
