"""Products of little arithmetic whose operands lie in different orders: copies come first."""

from __future__ import annotations

import random
from itertools import product
from math import prod

import numpy as np
import pytest
from oracle import assert_exact, small_integers

import tensornet as tn
from tensornet import config
from tensornet.expr import from_labels
from tensornet.planner import Tree
from tensornet.program import Program, lower

DTYPES = ["float32", "float64", "complex64", "complex128", "float16", "int32", "uint8", "bool"]

SCRAMBLED = [
    ("c,cba->ab", {"a": 96, "b": 5, "c": 40}),  # a vector times many axes
    ("abc,c->ba", {"a": 9, "b": 30, "c": 40}),
    ("ecdab,edc->ba", {"a": 3, "b": 30, "c": 2, "d": 10, "e": 12}),
    ("cba,bc->ac", {"a": 12, "b": 30, "c": 20}),  # many of these
    ("abc,ed->edcab", {"a": 3, "b": 7, "c": 11, "d": 6, "e": 8}),  # outer products
    ("ba,cd->adbc", {"a": 16, "b": 12, "c": 3, "d": 20}),
    ("ea,bced->bdeca", {"a": 1, "b": 7, "c": 16, "d": 20, "e": 8}),
    (",ab->ba", {"a": 70, "b": 90}),
    ("ab,ba->ab", {"a": 70, "b": 90}),  # elementwise
    ("cbda,d->acdb", {"a": 30, "b": 12, "c": 10, "d": 8}),
]


TANGLED = [
    (
        "dbea,ceda->cab",
        {"a": 16, "b": 20, "c": 7, "d": 9, "e": 5},
    ),  # batch axes nearest on operands
    ("eba,deac->bdac", {"a": 9, "b": 8, "c": 17, "d": 10, "e": 5}),
    ("fbcda,fae->adecb", {"a": 40, "b": 12, "c": 2, "d": 2, "e": 2, "f": 17}),
    ("adb,acd->bca", {"a": 40, "b": 31, "c": 150, "d": 10}),  # and on the result
    ("ca,bc->ab", {"a": 60, "b": 4, "c": 300}),  # a small result in an odd order
    ("ae,ebdc->bacd", {"a": 2, "b": 7, "c": 5, "d": 12, "e": 60}),
    ("adb,cd->cba", {"a": 50, "b": 60, "c": 9, "d": 60}),  # across the runs of an operand
    ("ab,ac->bca", {"a": 2, "b": 90, "c": 120}),  # a large one of slivers
    ("dca,dcb->ab", {"a": 300, "b": 3, "c": 4, "d": 25}),
    ("ac,bc->ab", {"a": 200, "b": 150, "c": 6}),  # columns apart, and a large result
    ("ca,dbc->adb", {"a": 150, "b": 90, "c": 7, "d": 2}),
]


def tree_of(subscripts: str, sizes: dict[str, int]) -> Tree:
    terms, output = subscripts.split("->")
    return Tree(from_labels(terms.split(","), output, sizes), ((0, 1),), ())


def operands(tree: Tree, dtype: str, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [small_integers(rng, shape, dtype) for shape in tree.expr.shapes]


def copies(program: Program) -> int:
    return sum("unary" in step for step in program.steps())


@pytest.mark.parametrize(("subscripts", "sizes"), SCRAMBLED + TANGLED)
@pytest.mark.parametrize("dtype", DTYPES)
def test_scrambled_products_are_exact(subscripts: str, sizes: dict[str, int], dtype: str) -> None:
    tree = tree_of(subscripts, sizes)
    arrays = operands(tree, dtype)
    assert_exact(tn.einsum(subscripts, *arrays), tree.expr, arrays)


@pytest.mark.parametrize(("subscripts", "sizes"), SCRAMBLED + TANGLED)
def test_what_lies_in_another_order_is_copied_and_counted(
    subscripts: str, sizes: dict[str, int]
) -> None:
    tree = tree_of(subscripts, sizes)
    program = lower(tree, "float64")
    assert copies(program)
    output = [tree.expr.sizes[i] for i in tree.expr.output]
    result, copied = 8 * prod(output), 8 * min(map(prod, (*tree.expr.shapes, output)))
    assert program.memory_required >= result + (copied if copied > 8 else 0)


@pytest.mark.parametrize(
    ("subscripts", "sizes"),
    [
        ("abc,c->ab", {"a": 30, "b": 30, "c": 30}),
        ("ab,cd->abcd", {"a": 10, "b": 10, "c": 10, "d": 10}),
        ("ab,ab->ab", {"a": 100, "b": 100}),
        ("c,cba->ab", {"a": 8, "b": 8, "c": 8}),  # in order, or small
        ("dba,cda->cab", {"a": 16, "b": 3, "c": 3, "d": 50}),
        ("dba,cda->cab", {"a": 4, "b": 24, "c": 7, "d": 100}),  # a short batch axis
        ("ac,bc->ab", {"a": 60, "b": 50, "c": 6}),  # columns apart, but a small result
        ("ac,bc->ab", {"a": 9, "b": 5000, "c": 6}),  # or an operand nearly as large
    ],
)
def test_nothing_is_copied_that_is_in_order_or_small(
    subscripts: str, sizes: dict[str, int]
) -> None:
    assert not copies(lower(tree_of(subscripts, sizes), "float64"))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("run", [1, 2, 3, 7, 15, 16, 40])
def test_sums_over_runs_that_do_not_follow_each_other_are_exact(run: int, dtype: str) -> None:
    for rows in (3, 63, 64, 100):
        tree = tree_of("bac,bc->a", {"a": rows, "b": 6, "c": run})
        arrays = operands(tree, dtype)
        assert_exact(tn.einsum("bac,bc->a", *arrays), tree.expr, arrays)
        gaps = [arrays[0], np.repeat(arrays[1], 2, axis=1)[:, ::2]]
        assert_exact(tn.einsum("bac,bc->a", *gaps), tree.expr, gaps)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("length", [3, 5, 11, 15])
def test_what_is_not_finite_stays_in_its_short_row(length: int, dtype: str) -> None:
    a = np.ones((100, length), dtype)
    a[50, -1], a[99, 0] = np.nan, np.inf
    finite = np.isfinite(tn.einsum("ik,k->i", a, np.ones(length, dtype)))
    assert np.flatnonzero(~finite).tolist() == [50, 99]


def test_random_products_in_random_orders_are_exact() -> None:
    choose = random.Random(5)
    reordered = 0
    for case in range(150):
        letters = list("abcdef"[: choose.randint(2, 6)])
        sizes = {i: choose.choice([1, 2, 3, 5, 8, 17, 24]) for i in letters}
        left, right = letters[:], [i for i in letters if choose.random() < 0.5]
        output = [i for i in letters if i not in right or choose.random() < 0.6]
        for term in (left, right, output):
            choose.shuffle(term)
        if choose.random() < 0.3:  # an outer product
            left = [i for i in letters if i not in right]
            output = choose.sample(letters, len(letters))
        if prod(sizes.values()) > 200_000:
            continue
        subscripts = f"{''.join(left)},{''.join(right)}->{''.join(output)}"
        tree = tree_of(subscripts, sizes)
        dtype = choose.choice(DTYPES)
        arrays = operands(tree, dtype, case)
        if choose.random() < 0.3:
            arrays = [a[::-1] if a.ndim else a for a in arrays]
        assert_exact(tn.einsum(subscripts, *arrays), tree.expr, arrays)
        reordered += copies(lower(tree, dtype)) > 0
    assert reordered > 10


@pytest.mark.parametrize(("subscripts", "sizes"), SCRAMBLED, ids=[case[0] for case in SCRAMBLED])
def test_out_of_any_strides_takes_a_scrambled_product(
    subscripts: str, sizes: dict[str, int]
) -> None:
    tree = tree_of(subscripts, sizes)
    arrays = operands(tree, "float64")
    wanted = tn.einsum(subscripts, *arrays)
    wide = np.full([2 * n for n in wanted.shape], -7.0)
    view = wide[tuple(slice(None, None, 2) for _ in wanted.shape)]
    assert tn.einsum(subscripts, *arrays, out=view) is view
    np.testing.assert_array_equal(view, wanted)
    assert np.count_nonzero(wide == -7.0) >= wide.size - view.size
    backwards = np.empty_like(wanted)[..., ::-1]
    tn.einsum(subscripts, *arrays, out=backwards)
    np.testing.assert_array_equal(backwards, wanted)


@pytest.mark.parametrize(("subscripts", "sizes"), SCRAMBLED, ids=[case[0] for case in SCRAMBLED])
def test_slices_of_a_scrambled_product_add_up_to_it(subscripts: str, sizes: dict[str, int]) -> None:
    whole = tree_of(subscripts, sizes)
    arrays = operands(whole, "float64")
    wanted = tn.einsum(subscripts, *arrays)
    for sliced in range(len(whole.expr.sizes)):
        program = lower(Tree(whole.expr, whole.steps, (sliced,)), "float64")
        np.testing.assert_array_equal(program(*arrays), wanted)


def test_threads_change_no_bit_of_a_scrambled_product() -> None:
    rng = np.random.default_rng(3)
    x, a = rng.standard_normal(300), rng.standard_normal((300, 60, 200))
    results = []
    try:
        for threads in (1, 2, 5):
            config.set_num_threads(threads)
            results.append(tn.einsum("c,cba->ab", x, a))
    finally:
        config.set_num_threads(None)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_gradients_of_a_scrambled_product_are_those_of_its_definition() -> None:
    rng = np.random.default_rng(4)
    x, a = rng.standard_normal(20), rng.standard_normal((20, 6, 50))
    weights = rng.standard_normal((50, 6))
    value = tn.autodiff.grad(lambda x, a: tn.einsum("ab,c,cba->", weights, x, a), argnums=(0, 1))
    by_x, by_a = value(x, a)
    np.testing.assert_allclose(by_x, np.einsum("ab,cba->c", weights, a), atol=1e-12)
    np.testing.assert_allclose(by_a, np.einsum("ab,c->cba", weights, x), atol=1e-12)


@pytest.mark.parametrize("subscripts", ["beca,ed->cdab", "bca,cb->a", "ab,ba->ab", "abc,c->ba"])
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_axes_along_which_an_operand_repeats_itself_count_like_others(
    subscripts: str, dtype: str
) -> None:
    tree = tree_of(subscripts, {"a": 12, "b": 32, "c": 40, "d": 2, "e": 17})
    shapes, rng = tree.expr.shapes, np.random.default_rng(1)
    axes = [(v, d) for v, shape in enumerate(shapes) for d in range(len(shape))]
    for chosen in product([False, True], repeat=len(axes)):
        repeated = {axis for axis, is_repeated in zip(axes, chosen) if is_repeated}
        arrays = []
        for v, shape in enumerate(shapes):
            apart = [1 if (v, d) in repeated else n for d, n in enumerate(shape)]
            arrays.append(np.broadcast_to(small_integers(rng, apart, dtype), shape))
        wanted = np.einsum(subscripts, *arrays, optimize=True)
        np.testing.assert_array_equal(tn.einsum(subscripts, *arrays), wanted)
