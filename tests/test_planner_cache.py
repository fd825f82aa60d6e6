"""Plans found before: by structure, in memory and in a folder."""

from __future__ import annotations

import json
import math
import multiprocessing
import random
import stat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from test_planner import assert_valid, chain, lattice, networks, recount

import tensornet
from tensornet.errors import PlanError
from tensornet.expr import Expr, from_labels
from tensornet.planner import Tree, _search, cache, clear_cache, search
from tensornet.planner.cache import Found, Request, remember
from tensornet.planner.shelf import Shelf
from tensornet.planner.structure import structure


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    monkeypatch.delenv(cache.FOLDER_VARIABLE, raising=False)
    clear_cache()
    yield
    clear_cache()


@pytest.fixture
def searches(monkeypatch):
    """The names of the searches that really ran."""
    ran: list[str] = []
    original = _search.search

    def run(*args, **options):
        ran.append(args[3])
        return original(*args, **options)

    monkeypatch.setattr(_search, "search", run)
    return ran


def disguised(expr: Expr, seed: int) -> Expr:
    """The same structure with other index ids, other orders of axes, and another output order."""
    rng = random.Random(seed)
    name = list(range(len(expr.sizes)))
    rng.shuffle(name)
    sizes = [0] * len(name)
    for i, size in enumerate(expr.sizes):
        sizes[name[i]] = size

    def shuffled(term):
        ids = [name[i] for i in term]
        rng.shuffle(ids)
        return tuple(ids)

    return Expr(tuple(map(shuffled, expr.inputs)), shuffled(expr.output), tuple(sizes))


# ---------------------------------------------------------------- structure


@given(networks())
def test_structures_do_not_depend_on_ids_and_orders_of_axes(expr):
    assert structure(expr).expr == structure(disguised(expr, 5)).expr


@given(networks())
def test_a_structure_is_the_network_under_other_ids(expr):
    form = structure(expr)
    assert sorted(form.ids) == list(range(len(expr.sizes)))
    assert form.expr.sizes == tuple(expr.sizes[i] for i in form.ids)
    for ours, term in zip(form.expr.inputs, expr.inputs):
        assert sorted(form.ids[i] for i in ours) == sorted(term)
    assert sorted(form.ids[i] for i in form.expr.output) == sorted(expr.output)


@pytest.mark.parametrize(
    "other",
    [
        Expr(((0, 1), (1, 2), (2, 0)), (), (2, 3, 5)),
        Expr(((0, 1), (1, 2), (2, 0)), (0,), (2, 3, 4)),
        Expr(((0, 1), (1, 2), (2, 1)), (), (2, 3, 4)),
        Expr(((0, 1), (1, 2), (2, 0, 0)), (), (2, 3, 4)),
        Expr(((0, 1), (1, 2), (2, 0), ()), (), (2, 3, 4)),
    ],
)
def test_other_extents_outputs_and_wires_are_another_structure(other):
    expr = Expr(((0, 1), (1, 2), (2, 0)), (), (2, 3, 4))
    assert structure(expr).expr != structure(other).expr


@given(networks(min_tensors=3))
def test_trees_translate_with_their_costs_and_slices(expr):
    form = structure(expr)
    tree = search(form.expr)
    sliced = Tree(form.expr, tree.steps, tuple(range(0, len(form.expr.sizes), 2)))
    ours = form.translate(expr, sliced)
    assert ours.expr == expr
    assert_valid(ours)
    assert (ours.macs, ours.max_size) == recount(ours) == (sliced.macs, sliced.max_size)


# ---------------------------------------------------------------- in memory


@pytest.mark.parametrize("budget", [{}, {"max_steps": 3}, {"max_time": 0.02}])
def test_relabelled_networks_need_no_new_search(searches, budget):
    expr = lattice(5, 5)
    first = search(expr, **budget)
    again = [search(disguised(expr, seed), **budget) for seed in range(5)]
    assert searches == ["auto"]
    assert {tree.steps for tree in again} == {first.steps}


def test_relabelled_terms_need_no_new_search(searches):
    terms, sizes = ["ab", "bcd", "dea", "ecf"], dict.fromkeys("abcdef", 3)
    tensornet.plan(terms, "f", sizes)
    other = str.maketrans("abcdef", "zyxwvu")
    renamed = {k.translate(other): v for k, v in sizes.items()}
    tensornet.plan([term.translate(other)[::-1] for term in terms], "u", renamed)
    assert searches == ["auto"]


@pytest.mark.parametrize("first", [0, 1])
def test_seeded_searches_do_not_depend_on_who_asked_before(first):
    network = lattice(6, 6)
    both = [network, disguised(network, 3)]
    alone = [search(both[first], seed=4, max_steps=2).steps]
    clear_cache()
    search(both[1 - first], seed=4, max_steps=2)
    assert [search(both[first], seed=4, max_steps=2).steps] == alone


def test_other_seeds_steps_and_names_are_searched_for(searches):
    expr = lattice(5, 5)
    search(expr)
    search(expr, seed=1)
    search(expr, max_steps=2)
    search(expr, "random-greedy")
    assert searches == ["auto", "auto", "auto", "random-greedy"]


def test_timed_searches_are_repeated_only_for_more_time(searches):
    expr = lattice(5, 5)
    for seconds in (0.02, 0.02, 0.01, 0.03, 0.02):
        search(expr, max_time=seconds)
    assert searches == ["auto"] * 2
    search(expr, max_time=0.02, seed=1)
    assert searches == ["auto"] * 3


def answer(cost: int, finished: bool = True):
    """A search of a chain of five that returns a good or a bad tree; and the cost of it."""
    good, bad = ((0, 1), (5, 2), (6, 3), (7, 4)), ((0, 4), (5, 2), (6, 1), (7, 3))
    return lambda expr: Found(Tree(expr, good if cost == 1 else bad), finished)


def macs(tree: Tree) -> int:
    return tree.macs


@pytest.mark.parametrize("in_folder", [False, True])
def test_a_better_tree_is_never_replaced_by_a_worse_one(in_folder, tmp_path):
    folder = tmp_path if in_folder else None
    expr = chain(5)
    good = macs(answer(1)(expr).tree)
    bad = macs(answer(2)(expr).tree)
    assert good < bad

    def ask(seconds, find):
        return macs(remember(expr, Request("x", "macs", 0, seconds, None), find, macs, folder))

    assert ask(1.0, answer(2)) == bad
    assert ask(2.0, answer(1)) == good
    assert ask(3.0, answer(2)) == good
    assert ask(0.5, answer(2)) == good


@pytest.mark.parametrize("seconds", [None, 1.0])
@pytest.mark.parametrize("in_folder", [False, True])
def test_an_interrupted_search_is_made_up_for(in_folder, seconds, tmp_path):
    folder = tmp_path if in_folder else None
    request = Request("x", "macs", 0, seconds, None)
    first = remember(chain(5), request, answer(2, finished=False), macs, folder)
    second = remember(chain(5), request, answer(1), macs, folder)
    assert macs(second) < macs(first)


def test_goals_are_kept_apart(tmp_path):
    for folder in (None, tmp_path):
        size = Request("x", "size", 0, 1.0, None)
        speed = Request("x", "macs", 0, 1.0, None)
        one = remember(chain(5), size, answer(2), macs, folder)
        two = remember(chain(5), speed, answer(1), macs, folder)
        assert remember(chain(5), size, answer(1), macs, folder) == one != two


# ---------------------------------------------------------------- in a folder


def test_a_folder_serves_the_next_process(searches, tmp_path):
    expr = lattice(5, 5)
    first = search(expr, cache=tmp_path)
    clear_cache()
    assert search(disguised(expr, 1), cache=tmp_path).steps == first.steps
    assert tensornet.plan_expr(expr, cache=str(tmp_path)).tree == first
    assert searches == ["auto"]
    assert len(list(tmp_path.glob("*.json"))) == 1
    search(expr, cache=tmp_path, max_time=0.01)
    assert searches == ["auto"] * 2


def test_the_environment_names_the_folder(searches, tmp_path, monkeypatch):
    monkeypatch.setenv(cache.FOLDER_VARIABLE, str(tmp_path / "new" / "folder"))
    terms, sizes = ["ab", "bcd", "dea", "ecf"], dict.fromkeys("abcdef", 3)
    tensornet.plan(terms, "f", sizes)
    tensornet.clear_cache()
    arrays = [np.ones((3,) * len(term)) for term in terms]
    tensornet.einsum(",".join(terms) + "->f", *arrays)
    assert searches == ["auto"]


def test_a_plan_may_name_the_folder(tmp_path):
    tensornet.plan(["ab", "bc", "cd"], "ad", dict.fromkeys("abcd", 3), cache=tmp_path)
    (file,) = tmp_path.glob("*.json")
    data = json.loads(file.read_text())
    assert data["format"] == "tensornet-plan-cache"
    assert data["sizes"] == [3] * 4


def test_a_file_holds_plain_json_of_the_structure(tmp_path):
    expr = disguised(lattice(4, 4), 2)
    search(expr, cache=tmp_path)
    (file,) = tmp_path.glob("*.json")
    data = json.loads(file.read_text())
    assert data["inputs"] == [list(term) for term in structure(expr).expr.inputs]
    assert list(data["plans"]) == ["macs"]


DAMAGE = [
    "",
    "{",
    "[]",
    "null",
    "[" * 100_000,
    "9" * 5000,
    '{"format": "tensornet-plan-cache"}',
    '{"format": "tensornet-plan-cache", "version": 2}',
    "\x00\xff",
]


@pytest.mark.parametrize("text", DAMAGE, ids=range(len(DAMAGE)))
def test_damaged_files_are_ignored_and_written_anew(text, searches, tmp_path):
    expr = lattice(4, 4)
    tree = search(expr, cache=tmp_path)
    (file,) = tmp_path.glob("*.json")
    whole = file.read_text()
    file.write_text(text, encoding="latin-1")
    assert search(expr, cache=tmp_path) == tree
    assert file.read_text() == whole
    assert search(expr, cache=tmp_path) == tree
    assert searches == ["auto"] * 2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", [[0, 1]]),
        ("steps", [[0, 0]] * 15),
        ("steps", None),
        ("steps", "text"),
        ("sliced", [77]),
        ("sliced", [1e400]),
        ("searched", None),
        ("searched", {"auto seed=0": "long"}),
    ],
)
def test_damaged_fields_are_ignored(field, value, searches, tmp_path):
    expr = lattice(4, 4)
    tree = search(expr, cache=tmp_path)
    (file,) = tmp_path.glob("*.json")
    data = json.loads(file.read_text())
    data["plans"]["macs"][field] = value
    file.write_text(json.dumps(data))
    assert search(expr, cache=tmp_path) == tree
    assert searches == ["auto"] * 2


def test_another_network_under_the_same_name_is_not_taken(searches, tmp_path):
    search(lattice(4, 4), cache=tmp_path)
    (file,) = tmp_path.glob("*.json")
    other = structure(lattice(4, 5)).expr
    file.rename(Shelf(tmp_path)._file(other))
    assert search(lattice(4, 5), cache=tmp_path).expr == lattice(4, 5)
    assert searches == ["auto"] * 2


def test_a_folder_that_cannot_be_made_is_refused_before_the_search(searches, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        search(lattice(4, 4), cache=tmp_path / "file")
    assert searches == []


def test_a_full_disk_costs_a_warning_and_not_the_tree(tmp_path, monkeypatch):
    def full(self, *args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.warns(RuntimeWarning, match="the plan cannot be kept: .*No space left"):
        tree = search(lattice(4, 4), cache=tmp_path)
    assert_valid(tree)
    assert list(tmp_path.glob("*.tmp")) == list(tmp_path.glob(".*.tmp")) == []


def test_files_have_the_usual_permissions(tmp_path):
    search(lattice(4, 4), cache=tmp_path)
    (file,) = tmp_path.glob("*.json")
    plain = tmp_path / "plain"
    plain.write_text("")
    assert stat.S_IMODE(file.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_bad_budgets_are_refused_with_a_folder_too(tmp_path):
    for budget in ({"max_time": "long"}, {"max_time": math.nan}, {"max_steps": 0}, {"seed": 0.5}):
        with pytest.raises(PlanError, match="is "):
            search(lattice(4, 4), cache=tmp_path, **budget)


def _writer(folder: str, number: int) -> None:
    """Searches of different quality, all kept in one file; each sees only whole files."""
    expr = chain(5)
    for round in range(20):
        cost = 1 if (number, round) == (3, 10) else 2
        way = f"{number} {round}"
        remember(expr, Request(way, "macs", 0, 1.0, None), answer(cost), macs, folder)


def test_many_processes_write_at_once_and_lose_nothing(tmp_path):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_writer, args=(str(tmp_path), k)) for k in range(5)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 5
    kept = Shelf(tmp_path).get(structure(chain(5)).expr, "macs")
    assert kept is not None
    assert len(kept.searched) == 100
    assert macs(kept.tree) == macs(answer(1)(chain(5)).tree)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == ["", ".json"]


def test_a_large_network_is_kept(tmp_path):
    n = 20_000
    expr = from_labels([(i, i + 1) for i in range(n)], (), dict.fromkeys(range(n + 1), 2))
    tree = search(expr, cache=tmp_path)
    clear_cache()
    assert search(expr, cache=tmp_path) == tree
