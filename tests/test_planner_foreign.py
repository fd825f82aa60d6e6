"""Planner: every accepted `optimize=`, and our planner in other people's hands."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import opt_einsum
import pytest

import tensornet
from tensornet.errors import PlanError
from tensornet.expr import Expr, from_labels
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


def test_cotengra_optimizers_are_accepted_before_they_have_found_anything():
    cotengra = pytest.importorskip("cotengra")
    fresh = {"max_repeats": 2, "parallel": False, "methods": ["greedy"]}
    ones = [np.ones((2, 2))] * 3
    optimizer = cotengra.HyperOptimizer(**fresh)
    got = tensornet.einsum("ij,jk,kl->il", *ones, optimize=optimizer)
    np.testing.assert_array_equal(got, np.full((2, 2), 4))
    optimizer = cotengra.HyperOptimizer(**fresh)
    expression = tensornet.contract_expression("ij,jk,kl->il", *[(2, 2)] * 3, optimize=optimizer)
    np.testing.assert_array_equal(expression(*ones), got)
    optimizer = cotengra.HyperOptimizer(**fresh)
    plan = tensornet.plan(["ij", "jk", "kl"], "il", dict.fromkeys("ijkl", 2), optimize=optimizer)
    np.testing.assert_array_equal(plan.run(ones), got)


def test_an_optimizer_with_only_a_search_method_is_accepted():
    class Found:
        def get_path(self):
            return [(0, 1)] * 6

    class Searcher:
        def search(self, inputs, output, size_dict):
            assert (len(inputs), len(output), len(size_dict)) == (7, 2, 8)
            return Found()

    assert_fits(search(EXPR, Searcher()))


@pytest.mark.parametrize("make", ["opt_einsum", "cotengra"])
def test_an_optimizer_is_not_asked_about_one_operand(make):
    if make == "opt_einsum":
        optimizer = opt_einsum.RandomGreedy(max_repeats=2)
    else:
        cotengra = pytest.importorskip("cotengra")
        optimizer = cotengra.HyperOptimizer(max_repeats=2, parallel=False, methods=["greedy"])
    assert tensornet.einsum("ii->", np.eye(3), optimize=optimizer) == 3
    node = tensornet.Node(np.eye(3))
    node[0] ^ node[1]
    assert tensornet.contractors.custom([node], optimizer).tensor == 3


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


def network_of_six():
    """Labels, extents, and the Expr of a small network in which slicing pays."""
    inputs = ["abc", "cde", "efa", "bdg", "gfh", "hi"]
    sizes = dict.fromkeys("abcdefghi", 4)
    return inputs, sizes, from_labels(inputs, "i", sizes)


def test_a_sliced_cotengra_tree_keeps_its_slices():
    cotengra = pytest.importorskip("cotengra")
    inputs, sizes, expr = network_of_six()
    theirs = cotengra.array_contract_tree(inputs, "i", sizes, optimize="greedy")
    theirs.remove_ind_("e")
    theirs.remove_ind_("b")
    tree = search(expr, theirs)
    assert sorted("abcdefghi".index(x) for x in "be") == sorted(
        [list(dict.fromkeys("".join(inputs))).index("abcdefghi"[i]) for i in tree.sliced]
    )
    assert tree.n_slices == 16
    assert tree.macs == theirs.contraction_cost()


def test_peers_that_want_single_characters_take_a_hundred_thousand_indices():
    cotengra = pytest.importorskip("cotengra")
    n = 100_000
    expr = Expr(tuple((i, i + 1) for i in range(n)), (), (2,) * (n + 1))
    tree = search(expr, cotengra.GreedyOptimizer())
    assert len(tree.steps) == n - 1


@pytest.mark.parametrize("kind", ["HyperOptimizer", "ReusableHyperOptimizer"])
def test_slices_of_cotengras_searches_are_taken_over(kind):
    cotengra = pytest.importorskip("cotengra")
    _, _, expr = network_of_six()
    options = {"max_repeats": 2, "parallel": False, "methods": ["greedy"], "optlib": "random"}
    hyper = getattr(cotengra, kind)(slicing_opts={"target_size": 16}, **options)
    tree = search(expr, hyper)
    assert tree.sliced
    assert tree.max_size <= 16
    rng = np.random.default_rng(3)
    arrays = [rng.standard_normal(shape) for shape in expr.shapes]
    value = tensornet.contract_expr(expr, arrays, optimize=hyper)
    np.testing.assert_allclose(value, tensornet.contract_expr(expr, arrays), rtol=1e-10)


def test_a_sliced_tree_of_another_network_is_refused():
    cotengra = pytest.importorskip("cotengra")
    inputs, sizes, _ = network_of_six()
    theirs = cotengra.array_contract_tree(inputs, "i", sizes, optimize="greedy")
    theirs.remove_ind_("e")
    other = from_labels(["abc", "cdi", "efa", "bdg", "gfh", "hi"], "", sizes)
    with pytest.raises(PlanError, match="operand 2 of the given sliced tree"):
        search(other, theirs)
    with pytest.raises(PlanError, match="given tree is for 6 operands, the network has 7"):
        search(from_labels([*inputs, "i"], "i", sizes), theirs)


def test_an_index_that_a_cotengra_tree_fixes_is_refused():
    cotengra = pytest.importorskip("cotengra")
    inputs, sizes, expr = network_of_six()
    theirs = cotengra.array_contract_tree(inputs, "i", sizes, optimize="greedy")
    theirs.remove_ind_("e", project=1)
    with pytest.raises(PlanError, match="fixes an index"):
        search(expr, theirs)


@pytest.mark.parametrize("optimize", [tensornet.Planner(seed=1), "tensornet"])
def test_our_planner_computes_with_both_libraries(optimize):
    inputs, _, expr = network_of_six()
    rng = np.random.default_rng(4)
    arrays = [rng.standard_normal(shape) for shape in expr.shapes]
    equation = ",".join(inputs) + "->i"
    want = tensornet.einsum(equation, *arrays)
    got = opt_einsum.contract(equation, *arrays, optimize=optimize)
    np.testing.assert_allclose(got, want, rtol=1e-10)
    np.testing.assert_allclose(
        opt_einsum.contract(equation, *arrays, optimize=optimize, memory_limit=10**4),
        want,
        rtol=1e-10,
    )
    cotengra = pytest.importorskip("cotengra")
    got = cotengra.einsum(equation, *arrays, optimize=optimize)
    np.testing.assert_allclose(got, want, rtol=1e-10)
    got = cotengra.array_contract(arrays, inputs, "i", optimize=optimize)
    np.testing.assert_allclose(got, want, rtol=1e-10)


def test_cotengra_gets_the_slices_of_our_planner():
    cotengra = pytest.importorskip("cotengra")
    inputs, sizes, expr = network_of_six()
    planner = Planner("greedy", max_entries=16)
    tree = cotengra.array_contract_tree(inputs, "i", sizes, optimize=planner)
    assert tree.sliced_inds
    assert tree.max_size() <= 4**3  # which operands have; they are counted there
    rng = np.random.default_rng(5)
    arrays = [rng.standard_normal(shape) for shape in expr.shapes]
    want = tensornet.contract_expr(expr, arrays)
    np.testing.assert_allclose(tree.contract(arrays), want, rtol=1e-10)


def test_the_name_is_registered_with_the_import_of_tensornet():
    code = (
        "import tensornet, opt_einsum\n"
        "print(opt_einsum.contract_path('ab,bc,cd', (2, 3), (3, 4), (4, 5), shapes=True, "
        "optimize='tensornet')[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
