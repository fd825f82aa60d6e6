"""Planner: every accepted `optimize=`, and our planner in other people's hands."""

from __future__ import annotations

import opt_einsum
import pytest

from tensornet.errors import PlanError
from tensornet.expr import Expr
from tensornet.planner import Planner, Tree, search

EXPR = Expr(
    ((0, 1, 2), (2, 3), (0, 4, 5), (1, 4, 3), (5, 6), (6, 7), (7, 2)),
    (3, 5),
    (2, 3, 4, 5, 3, 2, 6, 4),
)
NAMES = [
    "optimal",
    "dp",
    "branch-1",
    "branch-2",
    "branch-all",
    "auto-hq",
    "eager",
    "opportunistic",
    "random-greedy-128",
    "dynamic-programming",
]


def assert_fits(tree: Tree) -> None:
    assert tree.expr == EXPR
    assert sorted(x for step in tree.steps for x in step) == list(range(12))


@pytest.mark.parametrize("name", NAMES)
def test_every_opt_einsum_name_is_accepted(name):
    assert_fits(search(EXPR, name))


@pytest.mark.parametrize(
    "given",
    [
        True,
        False,
        "auto",
        "tensornet",
        [],
        [(0, 1, 2)],
        ((3, 4),),
        ["einsum_path", (0, 1)],
        ("greedy", 100),
    ],
)
def test_flags_paths_and_numpy_forms_are_accepted(given):
    assert_fits(search(EXPR, given))


def test_auto_is_as_good_as_opt_einsums_optimal():
    assert search(EXPR).macs <= search(EXPR, "optimal").macs


def test_trees_and_plans_are_taken_over():
    class Holder:
        tree = search(EXPR)

    sliced = Tree(EXPR, Holder.tree.steps, (2,))
    assert search(EXPR, Holder.tree) is Holder.tree
    assert search(EXPR, Holder()) is Holder.tree
    assert search(EXPR, sliced) is sliced
    resized = Expr(EXPR.inputs, EXPR.output, (2,) * 8)
    assert search(resized, sliced) == Tree(resized, sliced.steps)


def test_opt_einsum_optimizers_are_accepted():
    assert_fits(search(EXPR, opt_einsum.RandomGreedy(max_repeats=4)))
    assert_fits(search(EXPR, opt_einsum.paths.greedy))
    assert_fits(search(EXPR, opt_einsum.DynamicProgramming(), memory_limit=10**6))


def test_cotengra_optimizers_and_trees_are_accepted():
    cotengra = pytest.importorskip("cotengra")
    hyper = cotengra.HyperOptimizer(max_repeats=2, parallel=False, methods=["greedy"])
    assert_fits(search(EXPR, hyper))
    inputs = [["abcdefgh"[i] for i in term] for term in EXPR.inputs]
    sizes = dict(zip("abcdefgh", EXPR.sizes))
    tree = cotengra.GreedyOptimizer().search(inputs, ["d", "f"], sizes)
    assert_fits(search(EXPR, tree))
    assert search(EXPR, tree).macs == tree.contraction_cost()


def test_an_optimizer_with_only_a_search_method_is_accepted():
    class Found:
        def get_path(self):
            return [(0, 1)] * 6

    class Searcher:
        def search(self, inputs, output, size_dict):
            assert (len(inputs), len(output), len(size_dict)) == (7, 2, 8)
            return Found()

    assert_fits(search(EXPR, Searcher()))


def test_what_an_optimizer_returns_is_checked():
    with pytest.raises(PlanError, match="position 9"):
        search(EXPR, lambda inputs, output, sizes, memory_limit: [(0, 9)])


@pytest.mark.parametrize("given", [None, True, False])
def test_none_and_booleans_mean_auto(given):
    assert search(EXPR, given).steps == search(EXPR, "auto").steps


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("greedier", "'greedier' is no path name; use one of"),
        (7, "optimize=7 is neither"),
        (3.5, "optimize=3.5 is neither"),
        ([(0, 99)], "position 99"),
    ],
)
def test_anything_else_is_refused_in_one_line(given, message):
    with pytest.raises(PlanError, match=message) as caught:
        search(EXPR, given)
    assert "\n" not in str(caught.value)


def test_a_plan_for_another_number_of_operands_is_refused():
    other = search(Expr(((0,), (0,)), (), (2,)))
    with pytest.raises(PlanError, match="2 operands, the network has 7"):
        search(EXPR, other)


@pytest.mark.parametrize("budget", [{"max_time": -1.0}, {"max_steps": 0}])
def test_impossible_budgets_are_refused(budget):
    with pytest.raises(PlanError, match="max_"):
        search(EXPR, seed=12345, **budget)


def test_our_planner_serves_opt_einsum_as_object_and_by_name():
    shapes = [(4, 5), (5, 6, 7), (7, 4, 3)]
    for optimize in (Planner(), Planner("random-greedy", seed=2, max_steps=3), "tensornet"):
        path, info = opt_einsum.contract_path(
            "ab,bcd,dae->ce", *shapes, shapes=True, optimize=optimize
        )
        assert len(path) == 2
        assert info.largest_intermediate <= 5 * 6 * 7


def test_our_planner_serves_cotengra():
    cotengra = pytest.importorskip("cotengra")
    inputs, output = [("a", "b"), ("b", "c"), ("c", "d")], ("a", "d")
    sizes = {"a": 2, "b": 3, "c": 4, "d": 5}
    tree = cotengra.array_contract_tree(inputs, output, sizes, optimize=Planner())
    assert tree.is_complete()


def test_our_planner_ignores_the_order_in_which_sets_iterate():
    terms = [frozenset("abc"), frozenset("cd"), frozenset("dea"), frozenset("eb")]
    sizes = dict.fromkeys("abcde", 3)
    mixed = [frozenset(sorted(term, reverse=True)) for term in terms]
    assert Planner()(terms, frozenset(), sizes) == Planner()(mixed, frozenset(), sizes)


@pytest.mark.parametrize("name", NAMES)
def test_empty_tensors_are_no_trouble_for_other_optimizers(name):
    empty = Expr(EXPR.inputs, EXPR.output, (0, *EXPR.sizes[1:]))
    tree = search(empty, name)
    assert sorted(x for step in tree.steps for x in step) == list(range(12))
