"""tensornet.fitting: trees and slices for an amount of memory."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from test_planner import lattice

from tensornet import MemoryLimitError, clear_cache, plan_expr, planning, set_num_threads
from tensornet.fitting import Budget, Memory, search_within, sliced_to_fit
from tensornet.planner import Tree, search

EXPR = lattice(6, 6)
WHOLE = search(EXPR, "greedy")


def entries(tree: Tree) -> int:
    return 8 * tree.max_size


def macs(tree: Tree) -> float:
    return math.log2(tree.hoisted_macs)


def test_all_time_is_for_the_search_where_the_memory_holds_what_it_finds():
    asked = []

    def find(seconds: float, entries: int | None) -> Tree:
        asked.append(seconds)
        return WHOLE

    memory = Memory(1 << 30, 8, entries)
    budget = Budget.lasting(10.0, 0, None)
    assert search_within(memory, 10.0, find, macs, budget) is WHOLE
    assert sum(asked) == pytest.approx(10.0)


def test_most_time_is_for_trees_with_few_entries_where_it_does_not():
    asked = []

    def find(seconds: float, most: int | None) -> Tree:
        asked.append((seconds, most))
        return WHOLE

    memory = Memory(8 * 8, 8, entries)
    found = search_within(memory, 0.2, find, macs, Budget.lasting(0.2, 0, None))
    assert found.max_size <= 8
    assert found.sliced
    look, *rest = asked
    assert look[1] is None
    assert all(most is not None and 8 <= most < WHOLE.max_size for _, most in rest)
    assert look[0] < sum(seconds for seconds, _ in rest)
    assert len({most for _, most in rest}) == len(rest)  # the same would come from memory


def test_a_tree_that_fits_is_not_lost_to_a_better_one_that_does_not():
    small, large = WHOLE, search(EXPR, "min-size")
    assert small.max_size < large.max_size
    found = iter([small, large])
    memory = Memory(8 * small.max_size, 8, entries)
    budget = Budget.lasting(0.0, 0, None)
    tree = search_within(memory, 0.0, lambda seconds, entries: next(found), macs, budget)
    assert tree.max_size <= small.max_size
    assert macs(tree) <= macs(small)


@pytest.mark.parametrize("seconds", [None, 0.0, 0.1])
def test_slices_keep_the_memory_whatever_the_time(seconds):
    memory = Memory(8 * 16, 8, entries)
    tree = sliced_to_fit(WHOLE, memory, Budget.lasting(seconds, 0, None))
    assert tree.max_size <= 16


def test_what_no_slicing_makes_small_enough_is_told():
    memory = Memory(100, 8, lambda tree: 101)
    with pytest.raises(MemoryLimitError, match="smallest memory_limit that would do is 101"):
        sliced_to_fit(WHOLE, memory, Budget())


def test_what_takes_more_slices_than_can_be_run_is_refused_before_they_are_sought(monkeypatch):
    def never(*args: Any, **options: Any) -> Tree:
        raise AssertionError("an attempt to slice it")

    monkeypatch.setattr("tensornet.fitting.slice_tree", never)
    memory = Memory(1 << 20, 8, lambda tree: 1 << 100)
    with pytest.raises(MemoryLimitError, match="more than 2\\*\\*59 slices"):
        sliced_to_fit(WHOLE, memory, Budget())


def test_slices_are_found_between_too_large_ones_and_too_many(monkeypatch):
    asked = []

    def sliced(tree: Tree, entries: int, **options: Any) -> Tree:
        asked.append(entries)
        if entries < whole >> 6:
            raise MemoryLimitError("too many")
        return replace(tree, sliced=tuple(range(whole.bit_length() - entries.bit_length())))

    def required(tree: Tree) -> int:  # falls late, and not much before slices are too many
        return 1 << (20 if len(tree.sliced) >= 5 else 29)

    whole = WHOLE.max_size
    monkeypatch.setattr("tensornet.fitting.slice_tree", sliced)
    tree = sliced_to_fit(WHOLE, Memory(1 << 20, 8, required), Budget())
    assert len(tree.sliced) == 5
    assert len(asked) < 9


@pytest.mark.parametrize("limit", [8 * 8, 1 << 30])
def test_an_interruption_ends_all_searches_that_would_follow(limit):
    budget, asked = Budget.lasting(100.0, 0, None), []

    def find(seconds: float, most: int | None) -> Tree:
        asked.append(seconds)
        budget.stopped.append(KeyboardInterrupt())
        return WHOLE

    memory = Memory(limit, 8, entries)
    assert memory.holds(search_within(memory, 100.0, find, macs, budget))
    assert asked == [10.0]


def test_an_interruption_before_there_are_slices_is_raised():
    budget = Budget.lasting(100.0, 0, None)
    budget.stopped.append(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        sliced_to_fit(WHOLE, Memory(100, 8, lambda tree: 101), budget)


def test_an_interrupted_plan_keeps_its_limit_warns_and_is_not_remembered(monkeypatch):
    expr = lattice(7, 7, 3)
    limit = plan_expr(expr).peak_memory // 4
    want = plan_expr(expr, "greedy", memory_limit=limit)
    clear_cache()

    def interrupted(*args: Any, stopped: list[BaseException], **options: Any) -> Tree:
        stopped.append(KeyboardInterrupt())
        return search(*args, stopped=stopped, **options)

    with monkeypatch.context() as patched:
        patched.setattr(planning, "search", interrupted)
        for optimize, seconds in (("greedy", None), ("hyper", 60.0)):
            with pytest.warns(RuntimeWarning, match="interrupted"):
                plan = plan_expr(expr, optimize, memory_limit=limit, max_time=seconds)
            assert plan.peak_memory <= limit
            assert plan.seconds < 30
    assert plan_expr(expr, "greedy", memory_limit=limit) == want


@pytest.mark.parametrize("optimize", ["auto", "hyper"])
def test_a_timed_search_with_a_limit_in_bytes_keeps_it(optimize):
    expr = lattice(7, 7, 3)
    limit = plan_expr(expr).peak_memory // 4
    plan = plan_expr(expr, optimize, max_time=0.2, memory_limit=limit)
    assert plan.peak_memory <= limit
    assert plan.n_slices > 1
    again = plan_expr(expr, optimize, max_time=0.2, memory_limit="1GB")
    assert again.n_slices == 1


def test_steps_and_a_seed_name_one_sliced_plan_whatever_the_number_of_threads():
    expr = lattice(7, 7, 3)
    limit = plan_expr(expr).peak_memory // 4
    found = []
    for threads in (1, 3):
        set_num_threads(threads)
        try:
            plan = plan_expr(expr, "hyper", max_steps=3, seed=5, memory_limit=limit, threads=1)
        finally:
            set_num_threads(None)
        found.append(replace(plan, threads=None).tree)
    assert found[0] == found[1]
    assert found[0].sliced


def test_slices_for_the_caches_take_no_more_time_than_there_is(monkeypatch):
    expr = lattice(10, 10, 4)  # 10^12 multiply-adds, intermediates of 8 MB and more
    asked = []

    def sliced(tree: Tree, entries: int, max_time: float | None, **options: Any) -> Tree:
        asked.append(max_time)
        raise MemoryLimitError("too many")

    monkeypatch.setattr("tensornet.fitting.slice_tree", sliced)
    plan = plan_expr(expr, "hyper", max_time=0.5, cache_slices=True, dtype="complex128")
    assert plan.n_slices == 1
    assert asked
    assert sum(asked) <= 0.2
