"""Planner: trees, their paths and their exact costs."""

from __future__ import annotations

import itertools
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensornet.errors import PlanError
from tensornet.expr import Expr
from tensornet.planner import Tree, search
from tensornet.planner.paths import linear_from_ssa, ssa_from_linear


def recount(tree: Tree) -> tuple[int, int]:
    """(macs, max_size) straight from the definition: no sets carried from step to step."""
    expr = tree.expr
    n = len(expr.inputs)
    extent = [1 if i in tree.sliced else s for i, s in enumerate(expr.sizes)]
    below: list[frozenset[int]] = [frozenset([k]) for k in range(n)]

    def held(leaves: frozenset[int]) -> set[int]:
        inside = {i for k in leaves for i in expr.inputs[k]}
        outside = {i for k in set(range(n)) - leaves for i in expr.inputs[k]} | set(expr.output)
        return inside & outside

    macs, largest = 0, 0
    for a, b in tree.steps:
        macs += math.prod(extent[i] for i in held(below[a]) | held(below[b]))
        below.append(below[a] | below[b])
        largest = max(largest, math.prod(extent[i] for i in held(below[-1])))
    if not tree.steps:
        largest = math.prod(extent[i] for i in expr.output)
    return macs * math.prod(expr.sizes[i] for i in tree.sliced), largest


def assert_valid(tree: Tree) -> None:
    """Every tensor is used exactly once, before it is made never."""
    n = len(tree.expr.inputs)
    assert len(tree.steps) == max(n - 1, 0)
    used = [x for step in tree.steps for x in step]
    assert sorted(used) == list(range(len(used)))
    for t, (a, b) in enumerate(tree.steps):
        assert max(a, b) < n + t


def all_steps(n: int):
    """Every pairwise SSA order of n tensors (as trees; orders of independent steps collapse)."""

    def grow(alive: tuple[int, ...], made: int):
        if len(alive) == 1:
            yield ()
            return
        for a, b in itertools.combinations(alive, 2):
            rest = tuple(x for x in alive if x not in (a, b))
            for tail in grow((*rest, made), made + 1):
                yield ((a, b), *tail)

    return grow(tuple(range(n)), n)


@st.composite
def networks(draw, max_tensors=9, max_indices=8, min_tensors=0, least=0):
    """Small networks with everything: hyperedges, traces, scalars, outputs, extents 0 and 1."""
    n_ix = draw(st.integers(0, max_indices))
    term = st.lists(st.integers(0, n_ix - 1), max_size=4).map(tuple) if n_ix else st.just(())
    inputs = draw(st.lists(term, min_size=min_tensors, max_size=max_tensors).map(tuple))
    used = sorted({i for t in inputs for i in t})
    output = draw(st.permutations(used))[: draw(st.integers(0, min(len(used), 4)))]
    extents = draw(st.lists(st.integers(least, 4), min_size=n_ix, max_size=n_ix).map(tuple))
    return Expr(inputs, tuple(output), extents)


def chain(n: int, extent: int = 2) -> Expr:
    return Expr(tuple([(i, i + 1) for i in range(n)]), (0, n), (extent,) * (n + 1))


def lattice(rows: int, columns: int, extent: int = 2) -> Expr:
    number: dict[tuple[int, int, int], int] = {}
    inputs = []
    for r in range(rows):
        for c in range(columns):
            bonds = [(r - 1, c, 0), (r, c, 0), (r, c - 1, 1), (r, c, 1)]
            real = [
                b
                for b in bonds
                if min(b) >= 0 and b[0] + (b[2] == 0) < rows and b[1] + (b[2] == 1) < columns
            ]
            inputs.append(tuple([number.setdefault(b, len(number)) for b in real]))
    return Expr(tuple(inputs), (), (extent,) * len(number))


# ---------------------------------------------------------------- Tree


@settings(deadline=None)
@given(networks(), st.randoms(use_true_random=False))
def test_costs_of_any_tree_equal_a_brute_force_recount(expr, random):
    alive, steps = list(range(len(expr.inputs))), []
    while len(alive) > 1:
        a, b = random.sample(alive, 2)
        alive = [x for x in alive if x not in (a, b)] + [len(expr.inputs) + len(steps)]
        steps.append((a, b))
    sliced = tuple(i for i in range(len(expr.sizes)) if random.random() < 0.2)
    tree = Tree(expr, tuple(steps), sliced)
    assert (tree.macs, tree.max_size) == recount(tree)
    assert tree.n_slices == math.prod(expr.sizes[i] for i in sliced)


@settings(deadline=None)
@given(networks(), st.randoms(use_true_random=False))
def test_paths_survive_the_way_to_linear_form_and_back(expr, random):
    alive, steps = list(range(len(expr.inputs))), []
    while len(alive) > 1:
        a, b = sorted(random.sample(alive, 2))
        alive = [x for x in alive if x not in (a, b)] + [len(expr.inputs) + len(steps)]
        steps.append((a, b))
    tree = Tree(expr, tuple(steps))
    assert Tree.from_path(expr, tree.path) == tree
    assert Tree.from_ssa_path(expr, tree.ssa_path) == tree
    assert Tree.from_dict(json.loads(json.dumps(tree.to_dict()))) == tree


@settings(deadline=None)
@given(networks(min_tensors=1), st.randoms(use_true_random=False))
def test_paths_with_steps_of_any_length_give_valid_trees(expr, random):
    left, path = len(expr.inputs), []
    while left > 1 and random.random() < 0.8:
        k = random.randint(1, left)
        path.append(tuple(random.sample(range(left), k)))
        left -= k - 1
    tree = Tree.from_path(expr, path)
    assert_valid(tree)
    assert (tree.macs, tree.max_size) == recount(tree)


def test_step_terms_name_what_each_step_reads_and_keeps():
    expr = Expr(((0, 0, 1), (1, 2, 3), (3, 2, 4)), (4, 0), (2, 3, 4, 5, 6))
    tree = Tree(expr, ((1, 2), (3, 0)))
    assert list(tree.step_terms()) == [
        ((1, 2, 3), (3, 2, 4), (1, 4)),
        ((1, 4), (0, 0, 1), (4, 0)),
    ]
    sliced = Tree(expr, tree.steps, (2, 4))
    assert list(sliced.step_terms()) == [((1, 3), (3,), (1,)), ((1,), (0, 0, 1), (0,))]


def test_a_hyperedge_is_summed_once_its_last_tensor_is_in():
    expr = Expr(((0, 1), (0, 2), (0, 3)), (1, 2, 3), (5, 2, 2, 2))
    terms = list(Tree(expr, ((0, 1), (3, 2))).step_terms())
    assert terms[0][2] == (0, 1, 2)
    assert terms[1][2] == (1, 2, 3)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ([(0, 5)], "position 5"),
        ([(0, 0)], "each position once"),
        ([()], "at least one operand"),
        ([(0, -1)], "position -1"),
        (["ab"], "tuple of operand numbers"),
        ([(0, 1.5)], "tuple of operand numbers"),
        ([3], "tuple of operand numbers"),
        ([(0, 1), (0, 1), (0, 1)], "position 1"),
    ],
)
def test_a_path_that_does_not_fit_is_refused_in_one_line(path, message):
    with pytest.raises(PlanError, match=message) as caught:
        Tree.from_path(chain(3), path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "message"),
    [([(0, 1), (0, 2)], "operand 0, which is already used"), ([(0, 9)], "operand 9")],
)
def test_an_ssa_path_that_does_not_fit_is_refused_in_one_line(path, message):
    with pytest.raises(PlanError, match=message):
        Tree.from_ssa_path(chain(3), path)


@pytest.mark.parametrize(
    "change",
    [
        {"steps": [[0, 1]]},
        {"steps": 3},
        {"inputs": [[0, 9]]},
        {"inputs": [[0, 1], [1, 2.5], [2, 3]]},
        {"sliced": [-1]},
        {"sliced": [1, 1]},
        {"output": [0, 0]},
        {"output": [0, 4], "sizes": [2, 2, 2, 2, 2]},
        {"sizes": None},
        {"sizes": [2, 2, 2, -2]},
        {"sizes": [2, 2, 2, 2**63]},
    ],
)
def test_data_that_is_no_tree_is_refused(change):
    data = {**search(chain(3)).to_dict(), **change}
    with pytest.raises(PlanError):
        Tree.from_dict(data)


def test_linear_paths_of_many_tensors_convert_both_ways():
    n = 20_000
    steps = tuple([(2 * t, 2 * t + 1) for t in range(n - 1)])
    assert ssa_from_linear(linear_from_ssa(steps, n), n) == list(steps)


@pytest.mark.parametrize("steps", [((0, 0),), ((0, 2),), ((-1, 0),), ((0, 1), (0, 2))])
def test_costs_of_steps_that_contract_nothing_there_are_refused(steps):
    expr = Expr(((0,), (0,)) if len(steps) == 1 else ((0,), (0,), (0,)), (), (2,))
    with pytest.raises(ValueError, match=r"not both are there"):
        Tree(expr, steps).macs  # noqa: B018
    with pytest.raises(ValueError, match="has index 1, but there are 1 indices"):
        Tree(Expr(((1,), (0,)), (), (2,)), ((0, 1),)).macs  # noqa: B018


def test_costs_that_no_machine_word_holds_are_exact():
    expr = Expr(((0, 1), (1, 2)), (0, 2), (3**50, 5**40, 7**30))
    tree = Tree(expr, ((0, 1),))
    assert (tree.macs, tree.max_size) == (3**50 * 5**40 * 7**30, 3**50 * 7**30)
