"""Planning: a network, what a run may take, and a time become a Plan.

Only here do a tree, which counts entries, and a limit in bytes meet.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from numpy.typing import DTypeLike

from .arrays import check_dtype
from .config import check_threads, get_num_threads, parse_bytes
from .errors import MemoryLimitError
from .expr import Expr
from .fitting import (
    IMPOSSIBLE,
    LONG_RUN,
    Budget,
    Memory,
    search_within,
    sliced_for_cache,
    sliced_to_fit,
)
from .planner import Tree, one_run, repeated, search, slice_tree, unwrapped
from .planner.cache import recall
from .planner.objective import cost, objective_of
from .planner.search import search_seconds, warn_of_interruption
from .planner.slicing import MOST_SLICES
from .plans import Plan

__all__ = ["find_tree", "plan_expr"]

_SEARCHING = 0.9  # share of the time, where the rest is for slices that stay near the caches


def plan_expr(
    expr: Expr,
    optimize: Any = "auto",
    *,
    minimize: str = "macs",
    seed: int = 0,
    max_time: float | None = None,
    max_steps: int | None = None,
    memory_limit: int | str | None = None,
    max_entries: int | None = None,
    dtype: DTypeLike = "float64",
    threads: int | None = None,
    strip_exponent: bool = False,
    progress: bool = False,
    cache: str | os.PathLike[str] | None = None,
    cache_slices: bool = False,
    constants: Collection[int] = (),
    runs: int = 1,
) -> Plan:
    """Plan a contraction, sliced until it keeps to the limits.

    Args:
        minimize: as in `tensornet.planner.search`.
        cache_slices: also slice a long contraction whose intermediates would leave the caches,
            where that adds little arithmetic: it is faster, and takes less memory.
        memory_limit: bytes that a run may allocate, as a number or as text such as "512MB".
        max_entries: entries of the largest intermediate, opt_einsum's kind of limit.
        cache: a folder of trees found before, as in `tensornet.planner.search`.
        constants, runs: as in `tensornet.plan`; the limits then hold for a network with an index
            of extent `runs` on all other operands and on the output, if not for less.

    Raises:
        PlanError: `optimize` names no search, or its path does not contract this network.
        MemoryLimitError: no slicing is enough; the message says the smallest limit that would do.
        TypeError, ValueError: no kernels for this dtype, an impossible number of threads.
    """
    limit = parse_bytes(memory_limit)
    threads = check_threads(threads)
    start = time.perf_counter()
    given = isinstance(unwrapped(optimize), Tree)
    many = expr if given else repeated(expr, constants, runs)

    def find(seconds: float | None, entries: int | None = max_entries) -> Tree:
        least = min([x for x in (entries, max_entries) if x is not None], default=None)
        tree = find_tree(
            many,
            optimize,
            minimize=minimize,
            seed=seed,
            max_time=seconds,
            max_steps=max_steps,
            memory_limit=least,
            progress=progress,
            cache=cache,
            stopped=budget.stopped,
        )
        if least is None or tree.max_size <= least:
            return tree
        if entries == max_entries:  # which has to be kept
            return slice_tree(tree, least, max_time=budget.left, stopped=budget.stopped)
        with suppress(MemoryLimitError):
            tree = slice_tree(
                tree, least, max_time=seconds, max_slices=MOST_SLICES, stopped=budget.stopped
            )
        return tree

    seconds = search_seconds(optimize, max_time, max_steps)
    budget = searching = Budget.lasting(seconds, seed, max_steps)
    if seconds is not None and cache_slices:
        seconds *= _SEARCHING
        searching = replace(Budget.lasting(seconds, seed, max_steps), stopped=budget.stopped)
    plan = Plan(_NOTHING, check_dtype(dtype), threads, strip_exponent, search=_name_of(optimize))
    if limit is not None and seconds is not None:
        objective = objective_of(minimize)
        memory = _memory(plan, many, limit)
        tree = search_within(memory, seconds, find, lambda tree: cost(tree, objective), searching)
    else:
        tree = find(max_time if seconds is None else seconds)
    plan = replace(plan, tree=tree)
    if cache_slices and not budget.stopped:
        plan = _sliced_for_cache(plan, budget)
    if limit is not None and _required(plan) > limit:
        plan = _sliced_to_fit(plan, limit, budget)
    if budget.stopped:
        warn_of_interruption(stacklevel=3)
    return replace(plan, tree=one_run(plan.tree, expr), seconds=time.perf_counter() - start)


def _name_of(optimize: Any) -> str:
    """What found the tree, in a word or two."""
    if optimize is None or isinstance(optimize, bool):
        return "auto"
    if isinstance(optimize, Plan) and optimize.search is not None:
        return optimize.search
    if isinstance(unwrapped(optimize), Tree):
        return "given tree"
    named = isinstance(optimize, tuple) and len(optimize) == 2 and isinstance(optimize[0], str)
    name = optimize[0] if named else optimize
    if isinstance(name, str):
        return name
    if isinstance(name, Sequence):
        return "given path"
    return getattr(name, "__name__", type(name).__name__)


def find_tree(expr: Expr, optimize: Any, **options: Any) -> Tree:
    """Search for a tree, unless `optimize` is one of this network: its slices are then kept."""
    given = unwrapped(optimize)
    if isinstance(given, Tree) and given.expr == expr:
        return given
    return search(expr, optimize, **options)


_NOTHING = Tree(Expr((), (), ()), ())


def _memory(plan: Plan, expr: Expr, limit: int) -> Memory:
    """What a run of a tree of this network, made like `plan`, may take."""
    result = expr.output_size * plan.dtype.itemsize
    return Memory(limit, result, lambda tree: _required(replace(plan, tree=tree)))


def _sliced_to_fit(plan: Plan, limit: int, budget: Budget) -> Plan:
    threads = get_num_threads() if plan.threads is None else plan.threads
    key = ("sliced to fit", plan, limit, threads, replace(budget, end=None))
    memory = _memory(plan, plan.expr, limit)
    make = partial(sliced_to_fit, plan.tree, memory, budget)
    return replace(plan, tree=recall(key, make, budget.stopped))


def _sliced_for_cache(plan: Plan, budget: Budget) -> Plan:
    """The plan in slices that stay near the caches, or as it is where they cost too much."""
    itemsize = plan.dtype.itemsize
    try:
        if plan.compile().macs < LONG_RUN:
            return plan
    except MemoryLimitError:  # of an intermediate that no machine holds
        pass

    def macs(tree: Tree) -> int:
        return replace(plan, tree=tree).compile().macs

    def make() -> Tree:
        return sliced_for_cache(plan.tree, itemsize, macs, budget)

    key = ("sliced for the cache", plan.tree, itemsize, replace(budget, end=None))
    tree = make() if budget.end is not None else recall(key, make, budget.stopped)
    return replace(plan, tree=tree)


def _required(plan: Plan) -> int:
    """Bytes of a run, or a part of them where the compiler refuses because no machine has them."""
    try:
        return plan.peak_memory
    except MemoryLimitError:
        return max(IMPOSSIBLE, plan.max_size * plan.dtype.itemsize)
