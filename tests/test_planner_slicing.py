"""Planner: slicing keeps to its limit and to its books."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_planner import assert_valid, chain, lattice, networks, recount

from tensornet.errors import MemoryLimitError
from tensornet.expr import Expr
from tensornet.planner import Tree, _search, search, slice_tree
from tensornet.planning import plan_expr


@settings(deadline=None)
@given(networks(min_tensors=2), st.integers(1, 64), st.sampled_from(["auto", "greedy"]))
def test_sliced_trees_keep_the_limit_and_true_costs(expr, max_size, name):
    tree = slice_tree(search(expr, name), max_size)
    assert_valid(tree)
    assert tree.max_size <= max_size
    assert (tree.macs, tree.max_size) == recount(tree)
    assert len(set(tree.sliced)) == len(tree.sliced)


@settings(deadline=None)
@given(networks(min_tensors=2, least=1), st.integers(1, 64))
def test_no_sliced_index_could_have_been_spared(expr, max_size):
    tree = slice_tree(search(expr), max_size)
    for i in tree.sliced:
        fewer = Tree(expr, tree.steps, tuple(k for k in tree.sliced if k != i))
        assume(expr.sizes[i] > 1)
        assert fewer.max_size > max_size


@settings(deadline=None)
@given(networks(min_tensors=2), st.integers(1, 64))
def test_hoisted_macs_count_steps_that_no_slice_changes_once(expr, max_size):
    tree = slice_tree(search(expr), max_size)
    extent = [1 if i in tree.sliced else s for i, s in enumerate(expr.sizes)]
    changes = [not set(tree.sliced).isdisjoint(term) for term in expr.inputs]
    macs = 0
    whole = Tree(Expr(expr.inputs, expr.output, tuple(extent)), tree.steps)
    for (a, b), (left, right, _) in zip(tree.steps, held_terms(whole), strict=True):
        changes.append(changes[a] or changes[b])
        work = math.prod(extent[i] for i in left | right)
        macs += work * (tree.n_slices if changes[-1] else 1)
    assert tree.hoisted_macs == macs <= max(tree.macs, macs)


def held_terms(tree: Tree) -> list[tuple[set[int], set[int], None]]:
    """The indices that both operands of each step still hold, dangling ones summed."""
    n = len(tree.expr.inputs)
    below = [frozenset([k]) for k in range(n)]

    def held(leaves: frozenset[int]) -> set[int]:
        inside = {i for k in leaves for i in tree.expr.inputs[k]}
        outside = {i for k in set(range(n)) - leaves for i in tree.expr.inputs[k]}
        return inside & (outside | set(tree.expr.output))

    terms = []
    for a, b in tree.steps:
        terms.append((held(below[a]), held(below[b]), None))
        below.append(below[a] | below[b])
    return terms


@settings(deadline=None, max_examples=20)
@given(networks(min_tensors=3, max_tensors=14, max_indices=12), st.integers(1, 32))
def test_the_hyper_search_keeps_a_limit(expr, limit):
    tree = search(expr, "hyper", max_steps=1, memory_limit=limit)
    assert_valid(tree)
    assert tree.max_size <= limit
    assert (tree.macs, tree.max_size) == recount(tree)


def test_sliced_plans_sum_to_the_unsliced_value():
    rng = np.random.default_rng(5)
    for rows, columns, limit in ((4, 5, 4), (5, 5, 8), (3, 9, 2)):
        expr = lattice(rows, columns)
        arrays = [rng.standard_normal([expr.sizes[i] for i in t]) for t in expr.inputs]
        whole = plan_expr(expr).compile()(*arrays)
        plan = plan_expr(expr, "hyper", max_steps=2, max_entries=limit)
        assert plan.n_slices > 1
        np.testing.assert_allclose(plan.compile()(*arrays), whole, rtol=1e-9)


def test_a_seed_names_one_sliced_tree_whatever_the_number_of_threads():
    expr = lattice(10, 10)
    steps = search(expr, "greedy").steps
    runs = [
        _search.slice_steps(
            expr.inputs, (), expr.sizes, steps, 6.0, math.inf, 1, 10, math.inf, threads
        )
        for threads in (1, 2, 5)
    ]
    assert runs[0] == runs[1] == runs[2]


def test_annealing_makes_slices_no_dearer():
    expr = lattice(12, 12)
    tree = search(expr, "greedy")
    at_once = slice_tree(tree, 64, max_time=0.0)
    assert at_once.max_size <= 64
    assert slice_tree(tree, 64, max_steps=10).hoisted_macs < at_once.hoisted_macs


def test_a_tree_that_fits_is_returned_as_it_is():
    tree = search(lattice(4, 4))
    assert slice_tree(tree, tree.max_size) is tree


def test_slices_add_up_to_more_work_only_as_much_as_the_width_asks():
    tree = search(lattice(8, 8), "greedy")
    macs = [slice_tree(tree, 1 << w).macs for w in (9, 6, 3)]
    assert tree.macs / 2 <= macs[0] <= macs[1] <= macs[2]


def test_output_indices_may_be_sliced():
    expr = Expr(((0, 1), (1, 2)), (0, 2), (16, 2, 16))
    tree = slice_tree(search(expr), 16)
    assert tree.max_size <= 16
    assert tree.macs == search(expr).macs


def test_a_sliced_tree_can_be_sliced_again():
    first = slice_tree(search(lattice(7, 7)), 32)
    again = slice_tree(first, 4)
    assert again.sliced[: len(first.sliced)] == first.sliced
    assert again.max_size <= 4
    assert (again.macs, again.max_size) == recount(again)


def test_sizes_that_are_no_powers_of_two_keep_the_exact_limit():
    expr = chain(12, 7)
    for limit in (48, 49, 50, 343):
        assert slice_tree(search(expr), limit).max_size <= limit


def test_slicing_is_deterministic():
    tree = search(lattice(9, 9))
    assert slice_tree(tree, 64) == slice_tree(tree, 64)


def test_slicing_a_large_tree_keeps_the_limit():
    tree = search(lattice(12, 60), "greedy")
    limit = tree.max_size // 8
    assert slice_tree(tree, limit).max_size <= limit


def test_slicing_a_giant_tree_keeps_the_limit_and_the_steps():
    tree = search(lattice(10, 10_000), "greedy")
    sliced = slice_tree(tree, tree.max_size // 4)
    assert sliced.max_size <= tree.max_size // 4
    assert sliced.steps == tree.steps


def test_the_impossible_is_refused():
    with pytest.raises(MemoryLimitError, match="the least is 1"):
        slice_tree(search(chain(5)), 0)


def test_the_smallest_limit_is_one():
    tree = slice_tree(search(lattice(3, 3)), 1)
    assert tree.max_size == 1
    assert tree.n_slices == math.prod(tree.expr.sizes[i] for i in tree.sliced)


def test_the_output_of_a_single_operand_can_be_sliced():
    tree = slice_tree(search(Expr(((0, 1, 2),), (0, 2), (4, 3, 8))), 4)
    assert tree.max_size <= 4
    assert (tree.macs, tree.max_size) == recount(tree)


def test_more_slices_than_allowed_are_refused():
    tree = search(lattice(6, 6))
    needed = slice_tree(tree, 8).n_slices
    assert slice_tree(tree, 8, max_slices=4 * needed).max_size <= 8
    with pytest.raises(MemoryLimitError, match="takes more than 2 slices"):
        slice_tree(tree, 8, max_slices=2)
    once = replace(tree, sliced=slice_tree(tree, 8).sliced[:1])
    with pytest.raises(MemoryLimitError, match="takes more than 4 slices"):
        slice_tree(once, 8, max_slices=4)  # what is sliced already counts
