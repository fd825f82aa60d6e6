"""Tables of steps: their costs add up, and they can be read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_planner import chain, lattice, networks

import tensornet
from tensornet.expr import Expr
from tensornet.planner import Tree, search, slice_tree
from tensornet.tables import format_term, readable, steps_of, table


@given(networks(), st.integers(1, 64))
def test_the_costs_of_steps_add_up_to_those_of_the_tree(expr, max_size):
    tree = slice_tree(search(expr), max_size)
    steps = steps_of(tree)
    assert sum(step.macs for step in steps) == tree.macs
    if steps:
        assert max(step.size for step in steps) == tree.max_size


@pytest.fixture
def plan():
    return tensornet.plan(["ab", "bc", "cd"], "ad", {"a": 2, "b": 3, "c": 4, "d": 5})


def test_a_table_has_a_row_for_each_step(plan):
    lines = plan.table().splitlines()
    assert len(lines) == 1 + 2
    assert len({len(line) for line in lines}) == 1
    words = " ".join(lines[1].split())
    assert words == "0 ab,bc->ac 2 x 3, 3 x 4 -> 2 x 4 24 8 37.5% 37.5%"
    assert lines[2].endswith("100.0%")


def test_a_table_starts_with_what_costs_most_if_asked(plan):
    assert plan.table("macs").splitlines()[1].split()[0] == "1"
    assert plan.table("size").splitlines()[1].split()[0] == "1"
    assert plan.table("step").splitlines()[1].split()[0] == "0"


def test_what_is_left_out_is_accounted_for(plan):
    assert plan.table("macs", top=1).endswith("\nand 1 more, with 37.5% of the macs")
    assert "more" not in plan.table(top=2)
    assert plan.table(top=0).splitlines()[-1] == "and 2 more, with 100.0% of the macs"


def test_markdown_tables_have_the_same_number_of_cells_everywhere():
    plan = tensornet.plan(["a|", "|c", "cd"], "ad", {"a": 2, "|": 3, "c": 4, "d": 5})
    lines = plan.table(style="markdown").splitlines()
    assert len(lines) == 2 + 2
    assert {line.replace("\\|", "").count("|") for line in lines} == {8}


@pytest.mark.parametrize("options", [{"sort": "time"}, {"style": "html"}, {"top": -1}])
def test_orders_and_styles_that_do_not_exist_are_refused(plan, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        plan.table(**options)


def test_long_terms_and_shapes_are_shortened():
    wide = tuple(range(60))
    tree = Tree(Expr((wide, wide), wide, (2,) * 60), ((0, 1),))
    text = table(tree)
    assert "2^60, 2^60 -> 2^60" in text
    assert "(60 indices)" in text
    assert len(text.splitlines()[1]) < 250
    mixed = Tree(Expr((wide, wide), wide, tuple(range(2, 62))), ((0, 1),))
    assert "(60 axes)" in table(mixed)


@pytest.mark.parametrize(
    "expr", [Expr((), (), ()), Expr(((0,),), (), (3,)), Expr(((), ()), (), ())]
)
def test_small_networks_have_tables_too(expr):
    assert len(table(search(expr)).splitlines()) == 1 + max(0, len(expr.inputs) - 1)


def test_slices_and_empty_tensors_have_tables_too():
    tree = slice_tree(search(lattice(5, 5)), 8)
    assert len(table(tree, top=5).splitlines()) == 8
    empty = Expr(((0, 1), (1, 2), (2, 3)), (0, 3), (0, 2, 2, 2))
    assert "0.0%" in table(search(empty))


def test_thousands_of_steps_are_no_trouble():
    assert len(table(search(chain(3000))).splitlines()) == 3000


def test_terms_and_numbers_are_readable():
    assert format_term("abc") == "abc"
    assert format_term([0, 1, 10]) == "(0 1 10)"
    assert format_term([0, 1, 9]) == "019"
    assert (readable(1234567), readable(2**100)) == ("1,234,567", "2^100.0")
