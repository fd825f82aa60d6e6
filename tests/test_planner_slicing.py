"""Planner: slicing keeps to its limit and to its books."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_planner import assert_valid, chain, lattice, networks, recount

from tensornet.errors import MemoryLimitError
from tensornet.expr import Expr
from tensornet.planner import Tree, search, slice_tree


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
