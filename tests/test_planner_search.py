"""Planner: the searches, what they minimise, and how they end."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_planner import all_steps, assert_valid, chain, lattice, networks, recount

from tensornet.errors import PlanError
from tensornet.expr import Expr
from tensornet.planner import Tree, _search, cache, clear_cache, search

OURS = ["auto", "once", "greedy", "random-greedy", "min-fill", "min-size", "bisection", "anneal"]


@settings(deadline=None)
@given(networks(), st.sampled_from(OURS))
def test_every_search_gives_a_valid_tree_with_true_costs(expr, name):
    tree = search(expr, name)
    assert_valid(tree)
    assert (tree.macs, tree.max_size) == recount(tree)


@settings(deadline=None, max_examples=25)
@given(networks(min_tensors=12, max_tensors=40, max_indices=30), st.sampled_from(OURS))
def test_larger_networks_give_valid_trees_with_true_costs(expr, name):
    tree = search(expr, name)
    assert_valid(tree)
    assert (tree.macs, tree.max_size) == recount(tree)


@settings(deadline=None, max_examples=40)
@given(networks(min_tensors=2, max_tensors=5, least=1))
def test_exact_search_equals_exhaustive_search(expr):
    best = min(Tree(expr, steps).macs for steps in all_steps(len(expr.inputs)))
    assert search(expr, "optimal").macs == best
    assert search(expr).macs == best


def test_exact_search_equals_exhaustive_search_for_six_tensors():
    inputs = ((0, 1, 2), (2, 3), (0, 4, 5), (1, 4, 3), (5, 2), (5, 6))
    expr = Expr(inputs, (6,), (2, 3, 4, 5, 3, 2, 7))
    assert search(expr).macs == min(Tree(expr, steps).macs for steps in all_steps(6))


def step_costs(tree: Tree) -> list[tuple[int, int, int, int]]:
    """(macs, entries of left, of right, of the result) of every step."""
    sizes = tree.expr.sizes

    def entries(*terms: tuple[int, ...]) -> int:
        return math.prod(sizes[i] for i in {i for term in terms for i in term})

    return [(entries(a, b), entries(a), entries(b), entries(c)) for a, b, c in tree.step_terms()]


def step_macs(tree: Tree) -> list[int]:
    return [all_ for all_, _, _, _ in step_costs(tree)]


def halves(tree: Tree) -> tuple[int, int]:
    """The multiply-adds on either side of the last step."""
    n = len(tree.expr.inputs)
    below = [0] * n
    for (a, b), macs in zip(tree.steps, step_macs(tree)):
        below.append(macs + below[a] + below[b])
    a, b = tree.steps[-1]
    return below[a], below[b]


def overlap(sites: int, bond: int) -> Expr:
    """The inner product of two matrix product states of physical extent 2."""
    inputs = []
    for first in (0, sites - 1):
        for site in range(sites):
            bonds = [first + i for i in (site - 1, site) if 0 <= i < sites - 1]
            inputs.append((2 * (sites - 1) + site, *bonds))
    sizes = (bond,) * (2 * sites - 2) + (2,) * sites
    return Expr(tuple(inputs), (), sizes)


MEASURES = {
    "macs": lambda steps: sum(m for m, *_ in steps),
    "write": lambda steps: sum(c for *_, c in steps),
    "size": lambda steps: max((c for *_, c in steps), default=0),
    "combo": lambda steps: sum(m + 64 * c for m, _, _, c in steps),
    "combo-8": lambda steps: sum(m + 8 * c for m, _, _, c in steps),
    "time": lambda steps: sum(m + 8 * c + 6 * (a + b) + 1e4 for m, a, b, c in steps),
}


def simple(draw_inputs, sizes) -> Expr:
    """Without repeats and dangling indices, on which definitions of sizes could differ."""
    counts = [sum(i in term for term in draw_inputs) for i in range(len(sizes))]
    inputs = tuple([tuple(sorted({i for i in t if counts[i] > 1})) for t in draw_inputs])
    return Expr(inputs, (), sizes)


@settings(deadline=None, max_examples=30)
@given(networks(min_tensors=3, max_tensors=5, least=1), st.sampled_from(list(MEASURES)))
def test_exact_search_minimises_what_it_is_told_to(expr, minimize):
    expr = simple(expr.inputs, expr.sizes)
    measure = MEASURES[minimize]
    best = min(measure(step_costs(Tree(expr, steps))) for steps in all_steps(len(expr.inputs)))
    for name in ("optimal", "auto", "hyper"):
        tree = search(expr, name, minimize=minimize, max_steps=1)
        assert measure(step_costs(tree)) == pytest.approx(best)


@pytest.mark.parametrize("minimize", list(MEASURES))
@pytest.mark.parametrize("name", ["hyper", "anneal", "bisection"])
def test_searches_minimise_what_they_are_told_to(minimize, name):
    expr = lattice(6, 6, 3)
    measure = MEASURES[minimize]
    tree = search(expr, name, minimize=minimize, max_steps=4)
    other = search(expr, "greedy")
    assert_valid(tree)
    assert measure(step_costs(tree)) <= measure(step_costs(other)) * 1.000001


@pytest.mark.parametrize("minimize", ["macros", "size-2", "combo-x", "combo--1", 3])
def test_nothing_else_can_be_minimised(minimize):
    with pytest.raises(PlanError, match="minimize=") as caught:
        search(chain(5), minimize=minimize)
    assert "\n" not in str(caught.value)


def best_of_all_trees(expr: Expr) -> int:
    """The least macs over all trees, by the definition of a step and no shortcut."""
    n = len(expr.inputs)
    held = []
    for s in range(1 << n):
        inside = {i for k in range(n) if s >> k & 1 for i in expr.inputs[k]}
        outside = {i for k in range(n) if not s >> k & 1 for i in expr.inputs[k]}
        held.append(inside & (outside | set(expr.output)))
    best = [0] * (1 << n)
    for s in range(1, 1 << n):
        halves = [h for h in range(1, s) if h & s == h and h < s ^ h]
        if halves:
            best[s] = min(
                best[h] + best[s ^ h] + math.prod(expr.sizes[i] for i in held[h] | held[s ^ h])
                for h in halves
            )
    return best[-1]


@settings(deadline=None, max_examples=15)
@given(networks(min_tensors=6, max_tensors=8, max_indices=12, least=1))
def test_exact_search_equals_exhaustive_search_up_to_eight_tensors(expr):
    assert search(expr, "optimal").macs == best_of_all_trees(expr)


@settings(deadline=None, max_examples=30)
@given(networks(min_tensors=3, max_tensors=9))
def test_without_outer_products_every_step_of_a_connected_network_shares_an_index(expr):
    spine = tuple([(*t, 8 + k, 9 + k) for k, t in enumerate(expr.inputs)])
    sizes = (*expr.sizes, *(1,) * (8 - len(expr.sizes)), *(2,) * (len(spine) + 1))
    tree = search(Expr(spine, (), sizes), "dp")
    assert_valid(tree)
    for left, right, _ in tree.step_terms():
        assert set(left) & set(right)


def test_exact_search_refuses_more_tensors_than_it_can_take():
    with pytest.raises(PlanError, match="at most"):
        search(chain(_search.MAX_EXACT + 1), "optimal")


def test_once_is_never_worse_than_greedy_and_searches_less_than_auto():
    for expr in (lattice(5, 5), lattice(6, 6, 3), chain(40)):
        greedy, once, auto = [search(expr, name) for name in ("greedy", "once", "auto")]
        assert_valid(once)
        assert auto.macs <= once.macs <= greedy.macs
        assert search(expr, "once", seed=0) == once


def test_auto_is_never_worse_than_greedy_on_lattices():
    for expr in (lattice(4, 4), lattice(6, 6), lattice(3, 12, 3)):
        assert search(expr).macs <= search(expr, "greedy").macs


@pytest.mark.parametrize("sites", [5, 30, 101])
def test_half_of_the_work_is_on_either_side_of_the_last_step(sites):
    expr = overlap(sites, 120)
    tree = search(expr)
    assert_valid(tree)
    assert (tree.macs, tree.max_size) == recount(tree)
    assert max(halves(tree)) < 0.6 * tree.macs
    assert tree.macs < 1.002 * search(expr, "anneal").macs


def test_the_last_step_moves_only_where_that_costs_next_to_nothing():
    moved = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(5, 11))
        ring = [[i, (i + 1) % n] for i in range(n)]
        for hyperedge in (n, n + 1):
            for at in rng.permutation(n)[:3]:
                ring[at].append(hyperedge)
        sizes = (*map(int, rng.integers(60, 250, n)), 2, 2)
        expr = Expr(tuple(map(tuple, ring)), (), sizes)
        tree, best = search(expr), search(expr, "optimal")
        assert_valid(tree)
        assert (tree.macs, tree.max_size) == recount(tree)
        assert best.macs <= tree.macs <= 1.001 * best.macs
        moved += tree.steps != best.steps
        opened = Expr(expr.inputs, (0,), sizes)
        assert search(opened).steps == search(opened, "optimal").steps
    assert moved > 5


@pytest.mark.parametrize("bond", [8, 400])
def test_the_last_step_stays_where_steps_are_small_or_huge(bond):
    assert search(overlap(5, bond)).steps == search(overlap(5, bond), "optimal").steps


@pytest.mark.parametrize("name", ["auto", "hyper", "random-greedy", "bisection", "min-fill"])
def test_a_seed_names_one_tree_whatever_the_number_of_threads(name):
    expr = lattice(9, 9)
    runs = [
        _search.search(expr.inputs, expr.output, expr.sizes, name, 3, 40, math.inf, threads)
        for threads in (1, 2, 7)
    ]
    assert runs[0] == runs[1] == runs[2]


def test_more_samples_are_never_worse():
    expr = lattice(7, 7)
    macs = [search(expr, "random-greedy", max_steps=k).macs for k in (1, 10, 100)]
    assert macs[0] >= macs[1] >= macs[2]
    assert macs[0] == search(expr, "greedy").macs


def test_max_time_ends_the_search():
    tree = search(lattice(12, 12), "random-greedy", max_time=0.05)
    assert_valid(tree)
    assert_valid(search(lattice(12, 12), max_time=0.05))
    assert_valid(search(lattice(12, 12), max_time=0.0))
    for name in ("hyper", "bisection", "min-fill", "min-size", "anneal"):
        assert_valid(search(lattice(12, 12), name, max_time=0.02))
        assert_valid(search(lattice(12, 12), name, max_time=0.0))


@settings(deadline=None, max_examples=20)
@given(networks(max_tensors=24, max_indices=20))
def test_the_hyper_search_gives_valid_trees_with_true_costs(expr):
    tree = search(expr, "hyper", max_steps=1)
    assert_valid(tree)
    assert (tree.macs, tree.max_size) == recount(tree)
    if all(expr.sizes):  # where there is nothing to compute, every order is as good
        assert tree.macs <= search(expr, "greedy").macs


def test_the_hyper_search_is_never_worse_than_those_it_is_made_of():
    for expr in (lattice(7, 7), chain(60, 3), lattice(4, 9, 3)):
        best = search(expr, "hyper", max_steps=20).macs
        assert best <= min(search(expr, name).macs for name in ("greedy", "min-fill", "min-size"))


def test_a_search_reports_the_best_cost_and_width_so_far():
    expr = lattice(10, 10)
    seen: list[tuple[float, float]] = []
    args = (expr.inputs, expr.output, expr.sizes, "hyper", 0, 0, 0.4, 1)
    steps = _search.search(*args, lambda macs, width: seen.append((macs, width)))
    tree = Tree(expr, steps)
    known = [(m, w) for m, w in seen if m < math.inf]
    assert known
    # of the network that simplification left
    assert all(m > math.log2(tree.macs) - 1.0 and 0 < w < 100 for m, w in known)


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize(
    "expr",
    [
        Expr((), (), ()),
        Expr(((),), (), ()),
        Expr(((0, 1),), (1,), (2, 3)),
        Expr(((0, 1), (1, 2)), (0, 2), (2, 3, 4)),
        Expr(((),) * 40, (), ()),
        Expr(((0, 0, 0), (0, 1)) * 10, (1,), (3, 2)),
        Expr(tuple([(i,) for i in range(20)]), tuple(range(20)), (2,) * 20),
        Expr(tuple([(0, i) for i in range(1, 31)]), (0,), (3,) * 31),
        Expr(tuple([(i, i + 1) for i in range(30)]), (0, 30), (0, 1) * 15 + (2,)),
        Expr(tuple([(i, i + 1) for i in range(30)]), (0,), (1,) * 31),
        Expr(tuple([(i % 5, 5 + i % 3) for i in range(40)]), (0, 5), (2,) * 8),
    ],
    ids=[
        "none",
        "scalar",
        "one",
        "two",
        "scalars",
        "traces",
        "outer",
        "star",
        "empty",
        "ones",
        "hadamard",
    ],
)
def test_degenerate_networks_plan(expr, name):
    tree = search(expr, name)
    assert_valid(tree)
    assert (tree.macs, tree.max_size) == recount(tree)


@pytest.mark.parametrize("name", OURS)
def test_a_400_way_hyperedge_plans(name):

    rim = tuple([(0, i, i % 400 + 1) for i in range(1, 401)])
    tree = search(Expr(rim, (), (2,) * 401), name, max_steps=2)
    assert_valid(tree)
    assert tree.width <= 10


@pytest.mark.parametrize(
    "expr",
    [
        chain(10_000),
        chain(100_000),
        lattice(250, 400),
        Expr(tuple([(i // 2,) for i in range(180_000)]), (), (2,) * 90_000),
        Expr(tuple([(0, i) for i in range(1, 10_001)]), (), (2,) * 10_001),
        Expr(tuple([(0, i, i + 1) for i in range(1, 10_001)]), (), (2,) * 10_002),
        Expr((tuple(range(2_000)), *[(i,) for i in range(2_000)]), (), (2,) * 2_000),
    ],
    ids=["deep-chain", "long-chain", "lattice", "components", "star", "wheel", "centre"],
)
def test_giant_networks_plan_without_recursion(expr):
    tree = search(expr)
    assert_valid(tree)
    assert tree.macs > 0
    assert len(tree.path) == len(expr.inputs) - 1


def test_components_are_merged_smallest_first():
    pieces = tuple([(2 * k, 2 * k + 1) for k in range(15)])
    expr = Expr(pieces, tuple(range(30)), (2,) * 30)
    assert search(expr, "greedy").macs == recount(search(expr))[0]


# ---------------------------------------------------------------- cache and interruption


def test_named_searches_are_remembered_until_the_cache_is_cleared():
    expr = lattice(5, 5)
    first = search(expr)
    assert search(expr) is first
    assert search(expr, seed=1) is not first
    clear_cache()
    assert search(expr) is not first
    assert search(expr) == first


def test_the_cache_is_bounded(monkeypatch):
    clear_cache()
    monkeypatch.setattr(cache, "_MAX_TENSORS", 150)
    trees = [search(chain(n)) for n in (5, 6, 7)]
    assert search(chain(7)) is trees[2]
    assert search(chain(5)) is not trees[0]
    clear_cache()


def test_many_threads_may_search_at_once():
    found: list[Tree] = []
    expr = lattice(6, 6)
    clear_cache()
    threads = [threading.Thread(target=lambda: found.append(search(expr))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len({tree.steps for tree in found}) == 1


INTERRUPTED = """
import signal, warnings
from tensornet.expr import Expr
from tensornet.planner import search
n = {n}
inputs = tuple([((7 * i) % n, (11 * i + 3) % n, (13 * i + 5) % n) for i in range(n)])
expr = Expr(inputs, (), (2,) * n)
signal.setitimer(signal.ITIMER_REAL, {after})
signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
try:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tree = search(expr, {name!r}, max_steps=10**9)
    print("stopped", len(tree.steps), len(caught), "best" in str(caught[0].message))
    print(search(expr, "greedy").macs >= tree.macs)
except KeyboardInterrupt:
    print("interrupted", len(search(expr, "greedy").steps))
"""


def run_interrupted(name: str, n: int, after: float) -> list[str]:
    if not hasattr(signal, "setitimer"):
        pytest.skip("needs interval timers")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED.format(name=name, n=n, after=after)],
        capture_output=True,
        text=True,
        timeout=60,
        env=env,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("name", ["auto", "random-greedy", "hyper", "anneal"])
def test_ctrl_c_ends_a_search_with_the_best_tree_so_far(name):
    assert run_interrupted(name, 2000, 0.5) == ["stopped", "1999", "1", "True", "True"]


def test_ctrl_c_before_there_is_a_tree_is_raised():
    assert run_interrupted("bisection", 50_000, 0.3) == ["interrupted", "49999"]


@pytest.mark.parametrize("seconds", [0.05, 0.4, 0.8])
def test_giants_cut_against_the_clock_get_valid_trees(seconds):
    expr = lattice(150, 140)  # more tensors than there may be time to cut
    for name in ("auto", "hyper", "bisection"):
        assert_valid(search(expr, name, max_time=seconds))
