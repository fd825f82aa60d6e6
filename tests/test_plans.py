"""Plan: what it says of itself."""

from __future__ import annotations

import json

import opt_einsum
import pytest
from test_planner import lattice

import tensornet
from tensornet import Plan, plan_expr

EXPR = lattice(4, 4)


def test_printing_a_plan_shows_all_that_it_costs():
    text = str(plan_expr(EXPR, max_entries=8))
    lines = dict(line.strip().split("  ", 1) for line in text.splitlines()[1:])
    assert text.splitlines()[0] == "Plan of 16 tensors and 24 indices"
    assert list(lines) == [
        "output",
        "width",
        "log10 macs",
        "peak memory",
        "slices",
        "search",
    ]
    assert lines["search"].strip().startswith("auto, ")
    assert lines["search"].endswith("s")
    assert "over" in lines["slices"]


@pytest.mark.parametrize(
    ("optimize", "name"),
    [
        (None, "auto"),
        (True, "auto"),
        ("greedy", "greedy"),
        (("greedy", 100), "greedy"),
        ([(0, 1)], "given path"),
        (plan_expr(EXPR).tree, "given tree"),
        (plan_expr(EXPR, "greedy"), "greedy"),
        (opt_einsum.RandomGreedy(max_repeats=2), "RandomGreedy"),
        (opt_einsum.paths.greedy, "greedy"),
    ],
)
def test_a_plan_says_what_found_it(optimize, name):
    plan = plan_expr(EXPR, optimize)
    assert plan.search == name
    assert plan.seconds is not None
    assert plan.seconds >= 0


def test_plans_that_took_another_time_are_equal():
    one, two = plan_expr(EXPR), plan_expr(EXPR)
    assert one == two
    assert hash(one) == hash(two)


def test_a_saved_plan_remembers_its_search():
    plan = plan_expr(EXPR, "greedy")
    again = Plan.from_json(plan.to_json())
    assert again == plan
    assert (again.search, again.seconds) == (plan.search, plan.seconds)


def test_plans_saved_without_their_search_are_read():
    fields = json.loads(tensornet.plan_expr(EXPR).to_json())
    del fields["search"], fields["seconds"]
    again = Plan.from_json(json.dumps(fields))
    assert (again.search, again.seconds) == (None, None)
    assert "search" not in str(again)


def test_a_malformed_time_is_refused():
    fields = json.loads(tensornet.plan_expr(EXPR).to_json())
    fields["seconds"] = "long"
    with pytest.raises(tensornet.FormatError, match="malformed"):
        Plan.from_json(json.dumps(fields))
